// A program that drives DMA engines with PASIDs, for tests.
#ifndef COMPAT_NATIVE_PASID_FIXTURE_H_
#define COMPAT_NATIVE_PASID_FIXTURE_H_

#include <gtest/gtest.h>
#include <sched.h>

#include <chrono>
#include <cstdint>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/native/native_fixture.h"
#include "compat/vfio/regions.h"
#include "ioas/soft/dma_engine/dma_engine.h"
#include "ioas/soft/soft_host.h"

namespace compat::native {

// One engine is open and bound.
class PasidFixture : public NativeFixture {
 protected:
  static constexpr uint32_t kForPasids = iommufd::kHwptAllocPasid;

  PasidFixture() : NativeFixture(soft::TestHost::Engines()) {
    cdev_ = OpenAndBind(soft::TestHost::kEngine, device_);
    Enable(cdev_);
  }

  int OpenAndBind(uint32_t index, uint32_t& id) {
    const int cdev = host_.OpenCdev(index);
    EXPECT_EQ(Bind(cdev, id), 0);
    return cdev;
  }
  // Lets a device use its registers and the bus.
  void Enable(int cdev) {
    const uint16_t command = 6;
    EXPECT_EQ(host_.Write(cdev, &command, sizeof(command),
                          vfio::RegionOffset(abi::kPciConfigRegionIndex) + 4),
              2);
  }
  long AttachPasid(int cdev, uint32_t pasid, uint32_t& table) {
    abi::DeviceAttachIommufdPt attach = {sizeof(attach), abi::kDeviceAttachPasid, table, pasid};
    const long result = host_.Ioctl(cdev, abi::kDeviceAttachIommufdPt, &attach);
    table = attach.pt_id;
    return result;
  }
  // The same, where nothing is to be written.
  long AttachTo(int cdev, uint32_t pasid, uint32_t table) {
    const uint32_t asked = table;
    const long result = AttachPasid(cdev, pasid, table);
    EXPECT_EQ(table, asked);
    return result;
  }
  long AttachDevice(int cdev, uint32_t table) { return Attach(cdev, table); }
  long DetachPasid(int cdev, uint32_t pasid) {
    abi::DeviceDetachIommufdPt detach = {sizeof(detach), abi::kDeviceDetachPasid, pasid};
    return host_.Ioctl(cdev, abi::kDeviceDetachIommufdPt, &detach);
  }
  // A page table of its own whose IOVAs are `pages` pages of memory_ from `page` on.
  uint32_t NewTable(uint32_t flags, uint64_t page, uint64_t pages = 4) {
    const uint32_t ioas = NewIoas();
    EXPECT_EQ(Map(ioas, 0, pages * kPage, page * kPage), 0);
    uint32_t id = 0;
    EXPECT_EQ(NewHwpt(device_, ioas, flags, id), 0);
    return id;
  }

  template <typename T>
  T Register(uint64_t offset) {
    T value{};
    EXPECT_EQ(host_.Read(cdev_, &value, sizeof(value), offset), static_cast<long>(sizeof(value)));
    return value;
  }
  template <typename T>
  void SetRegister(uint64_t offset, T value) {
    EXPECT_EQ(host_.Write(cdev_, &value, sizeof(value), offset), static_cast<long>(sizeof(value)));
  }
  // Has the engine begin to copy `length` bytes; PASID 0: none.
  void BeginCopy(uint32_t source_pasid, uint64_t source, uint32_t pasid, uint64_t destination,
                 uint32_t length) {
    const auto value = [](uint32_t number) {
      return number != 0 ? ioas::soft::kDmaEnginePasidValid | number : 0;
    };
    SetRegister<uint64_t>(0x00, source);
    SetRegister<uint64_t>(0x08, destination);
    SetRegister<uint32_t>(0x10, value(source_pasid));
    SetRegister<uint32_t>(0x14, value(pasid));
    SetRegister<uint32_t>(0x18, length);
    SetRegister<uint32_t>(0x1000, ++doorbell_);
  }
  // Waits until it is over.
  ioas::soft::DmaEngineStatus EndCopy() {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (Register<uint32_t>(0x2c) != doorbell_) {
      if (std::chrono::steady_clock::now() > deadline) {
        ADD_FAILURE() << "the engine does nothing";
        break;
      }
      sched_yield();
    }
    return static_cast<ioas::soft::DmaEngineStatus>(Register<uint32_t>(0x28));
  }
  // Copies `length` bytes from an address of no PASID to one of `pasid`.
  ioas::soft::DmaEngineStatus CopyTo(uint32_t pasid, uint64_t destination, uint32_t length = 1) {
    BeginCopy(0, 0, pasid, destination, length);
    return EndCopy();
  }
  std::byte& At(uint64_t page, uint64_t offset = 0) { return memory_[page * kPage + offset]; }
  ioas::soft::FaultLog Faults() { return host_.platform().soft().faults(); }

  int cdev_ = -1;
  uint32_t device_ = 0;
  uint32_t doorbell_ = 0;
};

}  // namespace compat::native

#endif  // COMPAT_NATIVE_PASID_FIXTURE_H_
