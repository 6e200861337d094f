// A host on the kernel's iommufd in a test's own process, driven without the preload library: what
// the library would do for open(), ioctl() and close(), over system calls that can be made to fail.
#ifndef TESTS_VM_KERNEL_PLATFORM_TEST_HOST_H_
#define TESTS_VM_KERNEL_PLATFORM_TEST_HOST_H_

#include <cstdint>
#include <map>

#include "compat/decode/caller_memory.h"
#include "compat/kernel/kernel_platform.h"
#include "compat/vfio/host.h"
#include "ioas/kernel/failing_system_calls.h"

namespace compat::kernel {

// The test's own memory; its pointers are good.
class TestMemory final : public decode::CallerMemory {
 public:
  ioas::Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) override;
  ioas::Status WriteCarefully(uint64_t address, std::span<const std::byte> bytes) override;
};

// Calls return what the system call would: a value, or a negated errno. For one thread.
class TestHost : private vfio::Descriptors {
 public:
  TestHost();
  ~TestHost();

  // The calls that the platform makes.
  ioas::kernel::FailingSystemCalls& calls() { return calls_; }

  int OpenContainer();
  int OpenGroup(uint32_t number);
  long Ioctl(int fd, uint32_t request, uint64_t argument);
  template <typename Structure>
  long Ioctl(int fd, uint32_t request, Structure* structure) {
    return Ioctl(fd, request, reinterpret_cast<uint64_t>(structure));
  }
  void Close(int fd);

  // The container whose descriptor `fd` is, and its address space.
  vfio::ContainerState& Container(int fd);
  ioas::AddressSpace Space(int fd);

  vfio::Host& host() { return *host_; }

 private:
  ioas::Result<uint32_t> SlotOf(int fd) override;
  int DescriptorOf(uint32_t slot) override;
  void OnNew(int fd, uint32_t slot) override { slots_[fd] = slot; }

  ioas::kernel::FailingSystemCalls calls_;
  KernelPlatform platform_;
  std::map<int, uint32_t> slots_;
  vfio::Host* host_ = nullptr;
};

}  // namespace compat::kernel

#endif  // TESTS_VM_KERNEL_PLATFORM_TEST_HOST_H_
