// What the tests in the guest share: /dev/iommu with address spaces, devices, memory.
#ifndef TESTS_VM_KERNEL_BACKEND_FIXTURE_H_
#define TESTS_VM_KERNEL_BACKEND_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <vector>

#include "ioas/kernel/cdev.h"
#include "ioas/kernel/iommufd.h"
#include "ioas/kernel/system_calls.h"

namespace tests {

// The numbers of the devices' nodes, as they were given on the command line.
extern std::vector<uint32_t> cdevs;

inline constexpr uint64_t kPage = 4096;

// Zeroed memory of this process.
class Memory {
 public:
  explicit Memory(uint64_t size, int protection = PROT_READ | PROT_WRITE)
      : size_(size), data_(mmap(nullptr, size, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0)) {}
  ~Memory() { munmap(data_, size_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;

  uint64_t address() const { return reinterpret_cast<uint64_t>(data_); }

 private:
  uint64_t size_;
  void* data_;
};

// A /dev/iommu with one address space, which is the one for legacy calls.
class IommufdTest : public ::testing::Test {
 protected:
  IommufdTest() {
    EXPECT_GE(iommufd_.fd(), 0);
    ioas_ = AllocIoas();
    EXPECT_TRUE(iommufd_.SetCompatIoas(ioas_).ok());
  }

  uint32_t AllocIoas() {
    const ioas::Result<uint32_t> made = iommufd_.AllocIoas();
    EXPECT_TRUE(made.ok());
    return *made;
  }

  ioas::kernel::SystemCalls& calls_ = ioas::kernel::RealSystemCalls();
  ioas::Result<ioas::kernel::OwnedDescriptor> file_ = ioas::kernel::Iommufd::Open(calls_);
  ioas::kernel::Iommufd iommufd_{calls_, file_->get()};
  uint32_t ioas_ = 0;
};

// The same with the first device bound.
class DeviceTest : public IommufdTest {
 protected:
  DeviceTest() {
    const ioas::Result<uint32_t> bound = cdev_.Bind(iommufd_.fd());
    EXPECT_TRUE(bound.ok());
    device_ = *bound;
  }

  void Attach(uint32_t page_table) {
    const ioas::Result<uint32_t> attached = cdev_.Attach(page_table);
    ASSERT_TRUE(attached.ok()) << attached.error().code;
  }

  ioas::Result<ioas::kernel::OwnedDescriptor> node_ = ioas::kernel::Cdev::Open(calls_, cdevs.at(0));
  ioas::kernel::Cdev cdev_{calls_, node_->get()};
  uint32_t device_ = 0;
};

// How many bytes of this process's memory are pinned.
uint64_t PinnedBytes();

}  // namespace tests

#endif  // TESTS_VM_KERNEL_BACKEND_FIXTURE_H_
