#include "tests/vm/kernel_platform/test_host.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "compat/kernel/find_host.h"
#include "compat/type1/type1.h"

namespace compat::kernel {
namespace {

template <typename Value>
Value Answer(const ioas::Result<Value>& result) {
  return result.ok() ? *result : static_cast<Value>(-result.error().code);
}

}  // namespace

ioas::Status TestMemory::ReadCarefully(uint64_t address, std::span<std::byte> bytes) {
  std::memcpy(bytes.data(), reinterpret_cast<const void*>(address), bytes.size());
  return {};
}

ioas::Status TestMemory::WriteCarefully(uint64_t address, std::span<const std::byte> bytes) {
  std::memcpy(reinterpret_cast<void*>(address), bytes.data(), bytes.size());
  return {};
}

TestHost::TestHost() : calls_(ioas::kernel::RealSystemCalls()), platform_(calls_) {
  calls_.FailNone();
  const auto host = vfio::Host::Open(
      memfd_create(kHostName, MFD_CLOEXEC), {},
      {.personality = &type1::Type1(), .descriptors = this, .platform = &platform_});
  if (!host.ok()) {
    std::fprintf(stderr, "opening the host: %s\n", host.error().reason);
    std::abort();
  }
  host_ = *host;
}

TestHost::~TestHost() {
  while (!slots_.empty()) Close(slots_.begin()->first);
  const int fd = host_->arena_fd();
  delete host_;
  close(fd);
}

int TestHost::OpenContainer() { return Answer(host_->OpenContainer(/*close_on_exec=*/true)); }

int TestHost::OpenGroup(uint32_t number) {
  return Answer(host_->OpenGroup(number, /*close_on_exec=*/true));
}

long TestHost::Ioctl(int fd, uint32_t request, uint64_t argument) {
  TestMemory memory;
  return Answer(host_->Ioctl(fd, slots_.at(fd), {request, argument, memory}));
}

void TestHost::Close(int fd) {
  const uint32_t slot = slots_.at(fd);
  slots_.erase(fd);
  close(fd);
  host_->OnClosed(slot);
}

vfio::ContainerState& TestHost::Container(int fd) {
  const uint32_t object = host_->files().slot(slots_.at(fd)).object;
  return *host_->arena().Get(ioas::ArenaRef<vfio::ContainerState>{object});
}

ioas::AddressSpace TestHost::Space(int fd) {
  // The view keeps a pointer to the arena, which is a view itself.
  static thread_local ioas::Arena arena;
  arena = host_->arena();
  return {arena, Container(fd).space};
}

// As the library's table of descriptors: what it says is made sure of before it is used, and holds
// where that cannot be.
ioas::Result<uint32_t> TestHost::SlotOf(int fd) {
  const auto known = slots_.find(fd);
  if (known == slots_.end()) return 0u;
  ioas::Result<uint32_t> found = host_->SlotOf(fd);
  return found.ok() || found.error().code == EBADF ? found : known->second;
}

int TestHost::DescriptorOf(uint32_t slot) {
  for (const auto& [fd, its_slot] : slots_) {
    if (its_slot != slot) continue;
    const ioas::Result<uint32_t> found = SlotOf(fd);
    if (found.ok() && *found == slot) return fd;
  }
  return -1;
}

}  // namespace compat::kernel
