// DMA with PASIDs: each has a target of its own.
#include <sys/mman.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <thread>

#include "gtest/gtest.h"
#include "ioas/soft/dma.h"
#include "ioas/soft/iommu_events.h"
#include "ioas/soft/page_requests.h"
#include "ioas/soft/test_host.h"

namespace ioas::soft {
namespace {

constexpr uint32_t kReadWrite = kAccessRead | kAccessWrite;

// IOVA 0 is page 0 of memory_ without a PASID, page 1 with PASID 1, and page 2 with PASID 2.
class PasidDmaTest : public TestHost {
 protected:
  void SetUp() override {
    TestHost::SetUp();
    port_ = std::make_unique<SoftDmaPort>(arena_, *host_, *arena_.Get(device_state_), nullptr);
    ASSERT_TRUE(Map(0, memory_, kEchoPage, kReadWrite).ok());
    for (uint32_t pasid : {1u, 2u}) {
      ASSERT_TRUE(device_->AttachPasid(pasid, {NewSpace(pasid), {}}).ok());
    }
  }

  // An address space whose IOVA 0 is page `page` of memory_.
  ArenaRef<AddressSpaceState> NewSpace(uint32_t page) {
    const auto made = AddressSpace::Create(arena_, backend().properties(), 1000);
    EXPECT_TRUE(made.ok());
    SoftBackend iommu = backend();
    AddressSpace space(arena_, *made, &iommu);
    AddressSpace::Lock lock(space);
    const auto address = reinterpret_cast<uint64_t>(memory_ + size_t{page} * kEchoPage);
    const uint32_t self = *host_->processes().Register();
    EXPECT_TRUE(space.Map({0, kEchoPage - 1, address, self, kReadWrite, 0}).ok());
    return *made;
  }
  Status Write(uint32_t pasid, uint64_t iova, uint8_t value) {
    const DmaSegment segment = {iova, 1, pasid};
    return port_->Write({&segment, 1}, reinterpret_cast<std::byte*>(&value));
  }
  uint8_t At(uint32_t page, uint32_t offset = 0) {
    return static_cast<uint8_t>(memory_[size_t{page} * kEchoPage + offset]);
  }
  FaultRecord LastFault() {
    FaultRecord records[kFaultRecords];
    const size_t count = host_->faults().Copy(records);
    return count == 0 ? FaultRecord{} : records[count - 1];
  }

  std::unique_ptr<SoftDmaPort> port_;
};

TEST_F(PasidDmaTest, EachReachesItsOwnAddressSpace) {
  ASSERT_TRUE(Write(kNoPasid, 0, 10).ok());
  ASSERT_TRUE(Write(1, 0, 11).ok());
  ASSERT_TRUE(Write(2, 0, 12).ok());
  EXPECT_EQ(At(0), 10);
  EXPECT_EQ(At(1), 11);
  EXPECT_EQ(At(2), 12);
  // PASID 0 is what accesses without one are.
  ASSERT_TRUE(Write(0, 1, 13).ok());
  EXPECT_EQ(At(0, 1), 13);
}

TEST_F(PasidDmaTest, OneTransferMayNameSeveral) {
  const DmaSegment segments[] = {{0, 1, 2}, {1, 1, 2}, {7, 1}, {9, 1, 1}};
  const uint8_t data[] = {1, 2, 3, 4};
  ASSERT_TRUE(port_->Write(segments, reinterpret_cast<const std::byte*>(data)).ok());
  EXPECT_EQ(At(2), 1);
  EXPECT_EQ(At(2, 1), 2);
  EXPECT_EQ(At(0, 7), 3);
  EXPECT_EQ(At(1, 9), 4);
  uint8_t read[4] = {};
  ASSERT_TRUE(port_->Read(segments, reinterpret_cast<std::byte*>(read)).ok());
  EXPECT_EQ(std::memcmp(read, data, sizeof(data)), 0);
}

TEST_F(PasidDmaTest, OneThatIsNotAttachedFaults) {
  EXPECT_EQ(Write(3, 0x123, 1).error().code, EFAULT);
  EXPECT_EQ(LastFault().reason, FaultReason::kBlocked);
  EXPECT_EQ(LastFault().iova, 0x123u);
  EXPECT_EQ(LastFault().pasid, 3u);
  EXPECT_EQ(Write(UINT32_MAX - 1, 0, 1).error().code, EFAULT);
  ASSERT_TRUE(device_->AttachPasid(1, {}).ok());
  EXPECT_EQ(Write(1, 0, 1).error().code, EFAULT);
  EXPECT_EQ(LastFault().pasid, 1u);
  EXPECT_TRUE(Write(2, 0, 1).ok());
  // Nor does the device's own address space help.
  device_->Block();
  EXPECT_TRUE(Write(2, 0, 1).ok());
  EXPECT_EQ(Write(kNoPasid, 0, 1).error().code, EFAULT);
  EXPECT_EQ(LastFault().pasid, kNoPasid);
}

TEST_F(PasidDmaTest, WhatIsAttachedOutlivesAResetAndCostsNothingInTheEnd) {
  device_->Reset();
  SetCommand(6);
  EXPECT_TRUE(Write(1, 0, 1).ok());
  EXPECT_EQ(device_->NextPasid(0), 1u);
  EXPECT_EQ(device_->NextPasid(3), kPasids);
  const size_t before = arena_.bytes_in_use();
  ASSERT_TRUE(device_->AttachPasid(1, {}).ok());
  ASSERT_TRUE(device_->AttachPasid(2, {}).ok());
  EXPECT_LT(arena_.bytes_in_use(), before);
  EXPECT_EQ(arena_.Get(device_state_)->pasid_targets.root, 0u);
}

TEST_F(PasidDmaTest, ReplacingUnderRunningDmaLosesNone) {
  const DmaTarget one = {NewSpace(1), {}};
  const DmaTarget other = {NewSpace(2), {}};
  const uint64_t before = host_->faults().total();
  std::atomic<bool> stop{false};
  std::atomic<uint32_t> written{0};
  std::thread device([&] {
    while (!stop) {
      DeviceLock lock(*arena_.Get(device_state_));
      if (!Write(1, 0, 1).ok()) return;
      ++written;
    }
  });
  uint32_t replaced = 0;
  while (replaced < 1000 || written < 1000) {
    ASSERT_TRUE(device_->AttachPasid(1, ++replaced % 2 == 0 ? one : other).ok());
    ASSERT_EQ(host_->faults().total(), before);
  }
  stop = true;
  device.join();
  EXPECT_EQ(host_->faults().total(), before);
}

TEST_F(PasidDmaTest, DirtyPagesAreThoseOfItsPageTable) {
  const auto domain = *arena_.New<DomainState>();
  SoftBackend iommu = backend();
  const auto state = *AddressSpace::CreateWithoutDomain(arena_);
  AddressSpace space(arena_, state, &iommu);
  {
    AddressSpace::Lock lock(space);
    const uint32_t self = *host_->processes().Register();
    ASSERT_TRUE(space.AddDomain(1, iommu.properties(), domain).ok());
    ASSERT_TRUE(
        space.Map({0, 2 * kEchoPage - 1, reinterpret_cast<uint64_t>(memory_), self, kReadWrite, 0})
            .ok());
    ASSERT_TRUE(space.TrackDirtyPages(domain, true).ok());
  }
  arena_.Get(domain)->space = state;
  ASSERT_TRUE(device_->AttachPasid(9, {state, domain}).ok());
  ASSERT_TRUE(Write(9, kEchoPage, 1).ok());
  ASSERT_TRUE(Write(kNoPasid, 0, 1).ok());
  class : public DirtyPageSink {
   public:
    void OnWritten(const IovaRange& pages) override {
      last = pages;
      ++count;
    }
    IovaRange last = {};
    int count = 0;
  } written;
  AddressSpace::Lock lock(space);
  space.ReadDirtyPages(domain, {0, 2 * kEchoPage - 1}, /*clear=*/true, written);
  EXPECT_EQ(written.count, 1);
  EXPECT_EQ(written.last.first, kEchoPage);
}

}  // namespace
}  // namespace ioas::soft
