// A program with /dev/iommu open on a host, for tests.
#ifndef COMPAT_NATIVE_NATIVE_FIXTURE_H_
#define COMPAT_NATIVE_NATIVE_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
inline constexpr uint64_t kPage = 4096;

class NativeFixture : public testing::Test {
 protected:
  explicit NativeFixture(const std::vector<settings::DeviceSettings>& more = {})
      : host_(type1::Type1(), more), iommufd_(host_.OpenIommufd()) {
    memory_ = static_cast<std::byte*>(
        mmap(nullptr, 64 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  ~NativeFixture() override { munmap(memory_, 64 * kPage); }

  template <typename Command>
  long Call(uint32_t request, Command& command) {
    command.size = sizeof(command);
    return host_.Ioctl(iommufd_, request, &command);
  }
  uint32_t NewIoas() {
    iommufd::IoasAlloc command = {};
    EXPECT_EQ(Call(iommufd::kIoasAlloc, command), 0);
    return command.out_ioas_id;
  }
  long Destroy(uint32_t id) {
    iommufd::Destroy command = {.size = 0, .id = id};
    return Call(iommufd::kDestroy, command);
  }
  long Map(uint32_t ioas, uint64_t iova, uint64_t length, uint64_t offset = 0) {
    iommufd::IoasMap command = {};
    command.flags =
        iommufd::kIoasMapFixedIova | iommufd::kIoasMapReadable | iommufd::kIoasMapWriteable;
    command.ioas_id = ioas;
    command.user_va = reinterpret_cast<uint64_t>(memory_) + offset;
    command.length = length;
    command.iova = iova;
    return Call(iommufd::kIoasMap, command);
  }
  long Bind(int cdev, uint32_t& id) {
    abi::DeviceBindIommufd bind = {sizeof(bind), 0, iommufd_, 0};
    const long result = host_.Ioctl(cdev, abi::kDeviceBindIommufd, &bind);
    if (result == 0) id = bind.out_devid;
    return result;
  }
  long Attach(int cdev, uint32_t& table) {
    abi::DeviceAttachIommufdPt attach = {};
    attach.argsz = 12;
    attach.pt_id = table;
    const long result = host_.Ioctl(cdev, abi::kDeviceAttachIommufdPt, &attach);
    table = attach.pt_id;
    return result;
  }
  long Detach(int cdev) {
    abi::DeviceDetachIommufdPt detach = {};
    detach.argsz = 8;
    return host_.Ioctl(cdev, abi::kDeviceDetachIommufdPt, &detach);
  }
  long NewHwpt(uint32_t device, uint32_t on, uint32_t flags, uint32_t& id) {
    iommufd::HwptAlloc command = {};
    command.flags = flags;
    command.dev_id = device;
    command.pt_id = on;
    const long result = Call(iommufd::kHwptAlloc, command);
    if (result == 0) id = command.out_hwpt_id;
    return result;
  }
  template <typename Data>
  long NewNested(uint32_t device, uint32_t on, uint32_t type, const Data& data, uint32_t& id) {
    iommufd::HwptAlloc command = {};
    command.dev_id = device;
    command.pt_id = on;
    command.data_type = type;
    command.data_len = sizeof(data);
    command.data_uptr = reinterpret_cast<uint64_t>(&data);
    const long result = Call(iommufd::kHwptAlloc, command);
    if (result == 0) id = command.out_hwpt_id;
    return result;
  }
  std::vector<iommufd::IovaRange> Usable(uint32_t ioas) {
    std::vector<iommufd::IovaRange> ranges(64);
    iommufd::IoasIovaRanges command = {};
    command.ioas_id = ioas;
    command.num_iovas = 64;
    command.allowed_iovas = reinterpret_cast<uint64_t>(ranges.data());
    EXPECT_EQ(Call(iommufd::kIoasIovaRanges, command), 0);
    ranges.resize(command.num_iovas);
    return ranges;
  }
  size_t BytesInUse() { return host_.host().arena().bytes_in_use(); }

  soft::TestHost host_;
  int iommufd_;
  std::byte* memory_;
};

// With memory mapped, and a device for which there is a page table that others may lie on.
class ParentFixture : public NativeFixture {
 protected:
  ParentFixture() { BeginParent(); }

  // In the context iommufd_, which has nothing yet.
  void BeginParent() {
    ioas_ = NewIoas();
    EXPECT_EQ(Map(ioas_, 0, 16 * kPage), 0);
    cdev_ = host_.OpenCdev(0);
    EXPECT_EQ(Bind(cdev_, device_), 0);
    EXPECT_EQ(NewHwpt(device_, ioas_, iommufd::kHwptAllocNestParent, parent_), 0);
  }

  uint32_t ioas_ = 0;
  uint32_t device_ = 0;
  uint32_t parent_ = 0;
  int cdev_ = -1;
};

}  // namespace compat::native

#endif  // COMPAT_NATIVE_NATIVE_FIXTURE_H_
