// DMA through a page table that the program keeps in its own memory.
#include <poll.h>
#include <sys/mman.h>

#include <cstring>
#include <thread>

#include "gtest/gtest.h"
#include "ioas/soft/dma.h"
#include "ioas/soft/iommu_events.h"
#include "ioas/soft/page_requests.h"
#include "ioas/soft/test_host.h"
#include "ioas/user_table.h"

namespace ioas::soft {
namespace {

constexpr uint32_t kReadWrite = kAccessRead | kAccessWrite;
constexpr uint64_t kAll = 7;  // present, writable, the user's
// The pages of memory_ as the address space has them, and what is in them: four tables, then data.
constexpr uint64_t kBase = 0x100000;
constexpr uint64_t kData = kBase + 4 * kEchoPage;

class NestedDmaTest : public TestHost {
 protected:
  void SetUp() override {
    TestHost::SetUp();
    port_ = std::make_unique<SoftDmaPort>(arena_, *host_, *arena_.Get(device_state_), nullptr);
    ASSERT_TRUE(Map(kBase, memory_, 16 * kEchoPage, kReadWrite).ok());
    domain_ = *arena_.New<DomainState>();
    table_ = *arena_.New<UserTableState>();
    arena_.Get(domain_)->space = space_;
    arena_.Get(domain_)->user_table = table_;
    UserTableState& table = *arena_.Get(table_);
    table.format = UserTableFormat::kVtdFirstStage;
    table.levels = 4;
    table.table = kBase;
    for (uint32_t level = 0; level < 3; ++level) {
      Word(level, 0) = (kBase + (level + 1) * uint64_t{kEchoPage}) | kAll;
    }
    Word(3, 1) = kData | kAll;
    device_->Attach({space_, domain_});
  }

  uint64_t& Word(uint32_t page, uint32_t index) {
    return reinterpret_cast<uint64_t*>(memory_ + page * size_t{kEchoPage})[index];
  }
  bool Write(uint64_t iova, char value) {
    const DmaSegment segment = {iova, 1};
    return port_->Write({&segment, 1}, reinterpret_cast<std::byte*>(&value)).ok();
  }
  bool FaultedWith(FaultReason reason, uint64_t iova) {
    FaultRecord records[kFaultRecords];
    const size_t count = host_->faults().Copy(records);
    return count != 0 && records[count - 1].reason == reason && records[count - 1].iova == iova;
  }
  void Invalidate() { UserTable(arena_.Get(table_), nullptr).Invalidate({0, UINT64_MAX}); }

  std::unique_ptr<SoftDmaPort> port_;
  ArenaRef<DomainState> domain_;
  ArenaRef<UserTableState> table_;
};

TEST_F(NestedDmaTest, BytesGoWhereBothTablesLead) {
  EXPECT_TRUE(Write(0x1234, 'x'));
  EXPECT_EQ(memory_[4 * kEchoPage + 0x234], std::byte{'x'});
  EXPECT_FALSE(Write(0x2000, 'x'));
  EXPECT_TRUE(FaultedWith(FaultReason::kNotMapped, 0x2000));
}

TEST_F(NestedDmaTest, ATransferFollowsEachPage) {
  Word(3, 2) = (kData + 3 * uint64_t{kEchoPage}) | kAll;
  const DmaSegment segment = {0x1ffe, 4};
  ASSERT_TRUE(port_->Write({&segment, 1}, reinterpret_cast<const std::byte*>("abcd")).ok());
  EXPECT_EQ(std::memcmp(memory_ + 4 * kEchoPage + 0xffe, "ab", 2), 0);
  EXPECT_EQ(std::memcmp(memory_ + 7 * kEchoPage, "cd", 2), 0);
}

TEST_F(NestedDmaTest, WithoutInvalidationTheOldEntryCounts) {
  ASSERT_TRUE(Write(0x1000, 'a'));
  Word(3, 1) = (kData + kEchoPage) | kAll;
  ASSERT_TRUE(Write(0x1000, 'b'));
  EXPECT_EQ(memory_[4 * kEchoPage], std::byte{'b'});
  Invalidate();
  ASSERT_TRUE(Write(0x1000, 'c'));
  EXPECT_EQ(memory_[4 * kEchoPage], std::byte{'b'});
  EXPECT_EQ(memory_[5 * kEchoPage], std::byte{'c'});
}

TEST_F(NestedDmaTest, WhatTheAddressSpaceUnmappedIsOutOfReachAtOnce) {
  ASSERT_TRUE(Write(0x1000, 'a'));
  UnmapAll();
  EXPECT_FALSE(Write(0x1000, 'b'));
  EXPECT_TRUE(FaultedWith(FaultReason::kNotMapped, 0x1000));
  EXPECT_EQ(memory_[4 * kEchoPage], std::byte{'a'});
}

TEST_F(NestedDmaTest, HostileTablesFault) {
  Word(2, 0) = 0xffffffff000 | kAll;
  EXPECT_FALSE(Write(0x1000, 'a'));
  EXPECT_TRUE(FaultedWith(FaultReason::kTableGone, 0x1000));
  Word(2, 0) = 0x7ff00000 | kAll | 1 << 7;
  EXPECT_FALSE(Write(0x1001, 'a'));
  EXPECT_TRUE(FaultedWith(FaultReason::kTableInvalid, 0x1001));
  // A table that is a page of itself ends at the last level, at itself.
  Word(0, 0) = kBase | kAll;
  EXPECT_TRUE(Write(7, 'a'));
  Word(0, 0) = kBase | 1;
  Invalidate();
  EXPECT_FALSE(Write(6, 'a'));
  EXPECT_TRUE(FaultedWith(FaultReason::kPermission, 6));
  arena_.Get(table_)->table = UINT64_MAX;
  EXPECT_FALSE(Write(5, 'a'));
  EXPECT_TRUE(FaultedWith(FaultReason::kTableGone, 5));
}

TEST_F(NestedDmaTest, ATableWhoseMemoryIsGoneFaults) {
  munmap(memory_ + 2 * kEchoPage, kEchoPage);
  EXPECT_FALSE(Write(0x1000, 'a'));
  EXPECT_TRUE(FaultedWith(FaultReason::kTableGone, 0x1000));
}

TEST_F(NestedDmaTest, APageRequestThatIsGrantedLetsTheTransferGoOn) {
  const EventFileName file = NewEventFileName(1);
  const int fd = *OpenEventFile(file, true);
  const auto queue = *arena_.New<PageRequestsState>();
  PageRequests requests(arena_.Get(queue));
  requests.Initialize(file);
  arena_.Get(domain_)->page_requests = queue;
  device_->Attach({space_, domain_, 77});
  WaitingPageRequest seen = {};
  const auto answer = [&](bool grant) {
    pollfd wait = {fd, POLLIN, 0};
    poll(&wait, 1, 10000);
    seen = *requests.Oldest();
    requests.OnDelivered(seen, fd);
    if (grant) Word(3, 2) = (kData + kEchoPage) | kAll;
    requests.Answer(seen.cookie, grant);
  };
  std::thread denier(answer, false);
  EXPECT_FALSE(Write(0x2345, 'a'));
  denier.join();
  EXPECT_TRUE(FaultedWith(FaultReason::kNotMapped, 0x2345));
  std::thread granter(answer, true);
  EXPECT_TRUE(Write(0x2345, 'b'));
  granter.join();
  EXPECT_EQ(memory_[5 * kEchoPage + 0x345], std::byte{'b'});
  EXPECT_EQ(seen.request.device, 77u);
  EXPECT_EQ(seen.request.address, 0x2000u);
  EXPECT_EQ(seen.request.access, kAccessWrite);
  // Nobody can help where the address space leads nowhere.
  UnmapAll();
  EXPECT_FALSE(Write(0x1000, 'c'));
  EXPECT_FALSE(requests.Oldest());
  close(fd);
}

TEST_F(NestedDmaTest, FaultsAreEventsOfTheDevicesNumber) {
  const EventFileName file = NewEventFileName(1);
  const auto queue = *EventQueue::Create(arena_, 4, file);
  const auto state = *arena_.New<IommuEventsState>();
  IommuEvents events(arena_, arena_.Get(state));
  events.Initialize();
  events.SetQueue(queue);
  ASSERT_TRUE(events.AddDevice(kEchoAddress.number(), 0x123).ok());
  arena_.Get(domain_)->events = state;
  EXPECT_TRUE(Write(0x1000, 'a'));
  EXPECT_FALSE(EventQueue(arena_, queue).Oldest());
  EXPECT_FALSE(Write(0x2345, 'a'));
  const auto event = EventQueue(arena_, queue).Oldest();
  ASSERT_TRUE(event);
  EXPECT_EQ(event->event->virtual_id, 0x123u);
  EXPECT_EQ(event->event->address, 0x2345u);
  EXPECT_EQ(event->event->reason, FaultReason::kNotMapped);
}

}  // namespace
}  // namespace ioas::soft
