#include "fuzz/sequence/product.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstring>
#include <span>
#include <string>

#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"
#include "fuzz/input.h"

namespace fuzz::sequence {
namespace {

namespace abi = compat::abi;

// One image for all devices of all inputs: nothing reads or writes it.
std::string ImagePath() {
  static const int kImage = [] {
    const int image = memfd_create("image", MFD_CLOEXEC);
    FUZZ_REQUIRE(image >= 0 && ftruncate(image, 1 << 20) == 0);
    return image;
  }();
  return "/proc/self/fd/" + std::to_string(kImage);
}

compat::settings::Settings SettingsOf(Kind kind) {
  using compat::settings::ContainerTypes;
  compat::settings::Settings settings;
  settings.container = kind == Kind::kType1   ? ContainerTypes::kType1
                       : kind == Kind::kSpapr ? ContainerTypes::kSpapr
                                              : ContainerTypes::kBoth;
  settings.devices = {{.address = {0, 0, 5, 0}, .group = kGroupNumbers[0], .image = ImagePath()}};
  if (kind == Kind::kMixed) {
    settings.devices.push_back(
        {.address = {0, 0, 6, 0}, .group = kGroupNumbers[1], .image = ImagePath()});
    settings.devices.push_back(
        {.address = {0, 1, 0, 0}, .group = kGroupNumbers[1], .image = ImagePath()});
  }
  return settings;
}

long Answer(const ioas::Result<long>& result) {
  return result.ok() ? *result : -result.error().code;
}

long Answer(const ioas::Result<int>& result) {
  return result.ok() ? *result : -result.error().code;
}

}  // namespace

Product::Product(Kind kind) : settings_(SettingsOf(kind)), personality_(settings_) {
  fds_.fill(-1);
  const int fd = memfd_create("sequence-host", MFD_CLOEXEC);
  FUZZ_REQUIRE(fd >= 0);
  platform_ = new compat::soft::SoftPlatform;
  const auto host = compat::vfio::Host::Open(
      fd, settings_, {.personality = &personality_, .descriptors = this, .platform = platform_});
  FUZZ_REQUIRE(host.ok());
  host_ = *host;
  FdOf(Slot::kNull) = open("/dev/null", O_RDWR | O_CLOEXEC);
}

Product::~Product() {
  CloseAll();
  close(FdOf(Slot::kNull));
  const int fd = host_->arena_fd();
  delete platform_;
  delete host_;
  close(fd);
}

void Product::CloseAll() {
  for (size_t name = 0; name < kSlots; ++name) {
    if (static_cast<Slot>(name) != Slot::kNull) Close(static_cast<Slot>(name));
  }
}

uint32_t Product::SlotOfName(Slot name) const {
  const auto slot = slots_.find(fds_[static_cast<size_t>(name)]);
  return slot != slots_.end() ? slot->second : 0;
}

long Product::Name(Slot name, long result) {
  FdOf(name) = static_cast<int>(std::max(result, -1L));
  return std::min(result, 0L);
}

long Product::Close(Slot name) {
  const int fd = FdOf(name);
  const auto slot = slots_.find(fd);
  if (slot == slots_.end()) return -EBADF;
  const uint32_t number = slot->second;
  slots_.erase(slot);
  FdOf(name) = -1;
  close(fd);
  host_->OnClosed(number);
  return 0;
}

long Product::Duplicate(Slot name, Slot copy) {
  const uint32_t slot = SlotOfName(name);
  if (slot == 0) return -EBADF;
  const int fd = fcntl(FdOf(name), F_DUPFD_CLOEXEC, 0);
  FUZZ_REQUIRE(fd >= 0);
  OnNew(fd, slot);
  return Name(copy, fd);
}

long Product::Ioctl(Slot name, uint32_t number, uint64_t argument) {
  const uint32_t slot = SlotOfName(name);
  if (slot == 0) return -EBADF;
  compat::soft::TestMemory memory;
  return Answer(host_->Ioctl(FdOf(name), slot, {abi::VfioRequest(number), argument, memory}));
}

long Product::IoctlBytes(Slot name, uint32_t number, std::span<std::byte> bytes) {
  std::byte* const place = Memory::Of().Structure(bytes.size());
  std::memcpy(place, bytes.data(), bytes.size());
  const long result = Ioctl(name, number, reinterpret_cast<uintptr_t>(place));
  std::memcpy(bytes.data(), place, bytes.size());
  return result;
}

long Product::Plain(const Step& step, Request& request) {
  if (request.structure.empty()) return Ioctl(step.fd, request.number, request.argument);
  const size_t size = request.bitmap.size() * sizeof(uint64_t);
  std::byte* const bitmap = Memory::Of().Bitmap(size);
  if (size != 0) std::memcpy(bitmap, request.bitmap.data(), size);
  const long result = IoctlBytes(step.fd, request.number, request.structure);
  if (size != 0) std::memcpy(request.bitmap.data(), bitmap, size);
  return result;
}

long Product::Make(const Step& step, Request& request) {
  switch (step.op) {
    case Op::kOpenContainer:
      return Name(step.fd, Answer(host_->OpenContainer(/*close_on_exec=*/true)));
    case Op::kOpenGroup:
      return Name(step.fd, Answer(host_->OpenGroup(kGroupNumbers[step.values[0] % 3],
                                                   /*close_on_exec=*/true)));
    case Op::kClose:
      return Close(step.fd);
    case Op::kDup:
      return Duplicate(step.fd, step.other);
    case Op::kSetContainer: {
      int fd = FdOf(step.other);
      return IoctlBytes(step.fd, 4, std::as_writable_bytes(std::span(&fd, 1)));
    }
    case Op::kGetDevice: {
      std::string name = kDeviceNames[step.values[0] % 4];
      return Name(
          step.other,
          IoctlBytes(step.fd, 6, std::as_writable_bytes(std::span(name.data(), name.size() + 1))));
    }
    default:
      return Plain(step, request);
  }
}

ioas::Result<uint32_t> Product::SlotOf(int fd) {
  if (fcntl(fd, F_GETFD) < 0) return ioas::Error{EBADF, "not open"};
  const auto slot = slots_.find(fd);
  return slot != slots_.end() ? slot->second : 0u;
}

int Product::DescriptorOf(uint32_t slot) {
  for (const auto& [fd, its_slot] : slots_) {
    if (its_slot == slot) return fd;
  }
  return -1;
}

}  // namespace fuzz::sequence
