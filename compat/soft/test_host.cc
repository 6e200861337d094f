#include "compat/soft/test_host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "compat/abi/vfio_numbers.h"
#include "compat/native/native.h"

namespace compat::soft {
namespace {

void Require(bool fulfilled, const char* what) {
  if (fulfilled) return;
  std::perror(what);
  std::abort();
}

// An image of 1 MiB of zeroes.
std::string MakeImage() {
  std::string path = "/tmp/vfio-compat-test-XXXXXX";
  const int fd = mkstemp(path.data());
  Require(fd >= 0 && ftruncate(fd, 1 << 20) == 0, "making an image");
  close(fd);
  return path;
}

long Answer(const ioas::Result<long>& result) {
  return result.ok() ? *result : -result.error().code;
}

}  // namespace

ioas::Status TestMemory::ReadCarefully(uint64_t address, std::span<std::byte> bytes) {
  const iovec here = {bytes.data(), bytes.size()};
  const iovec there = {reinterpret_cast<void*>(address), bytes.size()};
  if (process_vm_readv(getpid(), &here, 1, &there, 1, 0) == static_cast<long>(bytes.size())) {
    return {};
  }
  return ioas::Error{EFAULT, "cannot be read"};
}

ioas::Status TestMemory::WriteCarefully(uint64_t address, std::span<const std::byte> bytes) {
  const iovec here = {const_cast<std::byte*>(bytes.data()), bytes.size()};
  const iovec there = {reinterpret_cast<void*>(address), bytes.size()};
  if (process_vm_writev(getpid(), &here, 1, &there, 1, 0) == static_cast<long>(bytes.size())) {
    return {};
  }
  return ioas::Error{EFAULT, "cannot be written"};
}

std::vector<settings::DeviceSettings> TestHost::Engines() {
  settings::DeviceSettings engine = {.address = {0, 2, 0, 0}, .group = kEngineGroup, .image = ""};
  engine.kind = settings::DeviceKind::kDma;
  engine.pasid_bits = 20;
  settings::DeviceSettings narrow = engine;
  narrow.address.device = 1;
  narrow.pasid_bits = 4;
  settings::DeviceSettings mixed = engine;
  mixed.address.device = 2;
  mixed.group = kOtherGroup;
  return {engine, narrow, mixed};
}

TestHost::TestHost(const vfio::Personality& personality,
                   const std::vector<settings::DeviceSettings>& more)
    : images_{MakeImage(), MakeImage(), MakeImage()} {
  settings::Settings settings;
  settings.devices = {{.address = {0, 0, 5, 0}, .group = kGroup, .image = images_[0]},
                      {.address = {0, 0, 6, 0}, .group = kOtherGroup, .image = images_[1]},
                      {.address = {0, 1, 0, 0}, .group = kOtherGroup, .image = images_[2]}};
  settings.devices.insert(settings.devices.end(), more.begin(), more.end());
  const int fd = memfd_create("test-host", MFD_CLOEXEC);
  platform_ = new SoftPlatform;
  const auto host = vfio::Host::Open(fd, settings,
                                     {.personality = &personality,
                                      .descriptors = this,
                                      .platform = platform_,
                                      .native = &native::Iommufd()});
  if (!host.ok()) errno = host.error().code;
  Require(host.ok(), "opening the host");
  host_ = *host;
}

TestHost::~TestHost() {
  while (!slots_.empty()) Close(slots_.begin()->first);
  const int fd = host_->arena_fd();
  delete platform_;
  delete host_;
  close(fd);
  for (const std::string& image : images_) unlink(image.c_str());
}

int TestHost::OpenContainer() {
  const auto fd = host_->OpenContainer(/*close_on_exec=*/true);
  return fd.ok() ? *fd : -fd.error().code;
}

int TestHost::OpenGroup(uint32_t number) {
  const auto fd = host_->OpenGroup(number, /*close_on_exec=*/true);
  return fd.ok() ? *fd : -fd.error().code;
}

int TestHost::OpenIommufd() {
  const auto fd = host_->OpenIommufd(/*close_on_exec=*/true);
  return fd.ok() ? *fd : -fd.error().code;
}

int TestHost::OpenCdev(uint32_t device) {
  const auto fd = host_->OpenCdev(device, /*close_on_exec=*/true);
  return fd.ok() ? *fd : -fd.error().code;
}

int TestHost::OpenDevice(int group, const char* name) {
  return static_cast<int>(Ioctl(group, abi::kGroupGetDeviceFd, name));
}

void TestHost::Close(int fd) {
  uint32_t slot = 0;
  {
    const std::lock_guard lock(mutex_);
    slot = slots_.at(fd);
    slots_.erase(fd);
    close(fd);
  }
  host_->OnClosed(slot);
}

int TestHost::Duplicate(int fd) {
  const int copy = dup(fd);
  OnNew(copy, Slot(fd));
  return copy;
}

void TestHost::Lose(int fd) {
  const int null = open("/dev/null", O_RDWR | O_CLOEXEC);
  Require(dup2(null, fd) == fd, "replacing a descriptor");
  close(null);
}

long TestHost::Ioctl(int fd, uint32_t request, uint64_t argument) {
  TestMemory memory;
  return Answer(host_->Ioctl(fd, Slot(fd), {request, argument, memory}));
}

long TestHost::Read(int fd, void* buffer, size_t size, uint64_t position) {
  TestMemory memory;
  return Answer(host_->Read(Slot(fd), reinterpret_cast<uint64_t>(buffer), size, &position, memory));
}

long TestHost::Write(int fd, const void* buffer, size_t size, uint64_t position) {
  TestMemory memory;
  return Answer(
      host_->Write(Slot(fd), reinterpret_cast<uint64_t>(buffer), size, &position, memory));
}

long TestHost::ReadNext(int fd, void* buffer, size_t size) {
  TestMemory memory;
  return Answer(host_->Read(Slot(fd), reinterpret_cast<uint64_t>(buffer), size, nullptr, memory));
}

long TestHost::WriteNext(int fd, const void* buffer, size_t size) {
  TestMemory memory;
  return Answer(host_->Write(Slot(fd), reinterpret_cast<uint64_t>(buffer), size, nullptr, memory));
}

long TestHost::Map(int fd, size_t size, uint64_t offset) {
  const auto place = host_->FileOffsetFor(Slot(fd), offset, size, /*is_shared=*/true);
  if (!place.ok()) return -place.error().code;
  void* const address =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, static_cast<off_t>(*place));
  if (address == MAP_FAILED) return -errno;
  host_->OnMapped(Slot(fd), address, size);
  return reinterpret_cast<long>(address);
}

void TestHost::Unmap(int fd, long address, size_t size) {
  host_->OnUnmap(Slot(fd), reinterpret_cast<void*>(address), size);
  munmap(reinterpret_cast<void*>(address), size);
}

pid_t TestHost::Fork() {
  const pid_t child = fork();
  if (child == 0) {
    ioas::soft::SoftDevice::AfterForkInChild();
    host_->OnFork();
  } else {
    ioas::soft::SoftDevice::AfterForkInParent();
  }
  return child;
}

int TestHost::ContainerOfType(uint32_t type, int& group) {
  const int container = OpenContainer();
  group = OpenGroup(kGroup);
  Require(container >= 0 && group >= 0 && Ioctl(group, abi::kGroupSetContainer, &container) == 0 &&
              Ioctl(container, abi::kSetIommu, uint64_t{type}) == 0,
          "making a container");
  return container;
}

uint32_t TestHost::Slot(int fd) {
  const std::lock_guard lock(mutex_);
  return slots_.at(fd);
}

ioas::Result<uint32_t> TestHost::SlotOf(int fd) {
  if (fcntl(fd, F_GETFD) < 0) return ioas::Error{EBADF, "not open"};
  const std::lock_guard lock(mutex_);
  const auto slot = slots_.find(fd);
  return slot != slots_.end() ? slot->second : 0u;
}

int TestHost::DescriptorOf(uint32_t slot) {
  const std::lock_guard lock(mutex_);
  for (const auto& [fd, its_slot] : slots_) {
    if (its_slot == slot) return fd;
  }
  return -1;
}

void TestHost::OnNew(int fd, uint32_t slot) {
  const std::lock_guard lock(mutex_);
  slots_[fd] = slot;
}

}  // namespace compat::soft
