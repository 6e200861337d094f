#include "ioas/soft/iommu_events.h"

#include <poll.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

class IommuEventsTest : public testing::Test {
 protected:
  IommuEventsTest() : arena_(*Arena::CreatePrivate(1 << 20)) {
    const EventFileName file = NewEventFileName(1);
    fd_ = *OpenEventFile(file, true);
    queue_ = *EventQueue::Create(arena_, 2, file);
  }
  ~IommuEventsTest() override {
    close(fd_);
    arena_.Unmap();
  }

  void Add(uint64_t address) {
    EventQueue(arena_, queue_).Add({7, address, 1, FaultReason::kNotMapped});
  }
  // Reads one.
  std::optional<NextEvent> Take() {
    EventQueue queue(arena_, queue_);
    const auto next = queue.Oldest();
    if (next) queue.Remove(*next, fd_);
    return next;
  }
  bool IsReadable() const {
    pollfd wait = {fd_, POLLIN, 0};
    return poll(&wait, 1, 0) == 1;
  }

  Arena arena_;
  ArenaRef<EventQueueState> queue_;
  int fd_ = -1;
};

TEST_F(IommuEventsTest, EventsComeInOrderWithNumbers) {
  EXPECT_FALSE(Take());
  EXPECT_FALSE(IsReadable());
  Add(0x1000);
  Add(0x2000);
  EXPECT_TRUE(IsReadable());
  EXPECT_EQ(Take()->event->address, 0x1000u);
  const auto second = Take();
  EXPECT_EQ(second->event->address, 0x2000u);
  EXPECT_EQ(second->sequence, 1u);
  EXPECT_FALSE(IsReadable());
  EXPECT_FALSE(Take());
}

TEST_F(IommuEventsTest, WhatIsLostIsToldAtTheEnd) {
  for (uint64_t i = 0; i < 5; ++i) Add(i);
  EXPECT_EQ(Take()->sequence, 0u);
  EXPECT_EQ(Take()->sequence, 1u);
  EXPECT_TRUE(IsReadable());
  const auto lost = Take();
  EXPECT_FALSE(lost->event);
  EXPECT_EQ(lost->sequence, 4u);
  EXPECT_FALSE(IsReadable());
  EXPECT_FALSE(Take());
}

TEST_F(IommuEventsTest, AnEventBehindTheLossTellsItByItsNumber) {
  for (uint64_t i = 0; i < 3; ++i) Add(i);
  EXPECT_EQ(Take()->sequence, 0u);
  Add(3);
  EXPECT_EQ(Take()->sequence, 1u);
  const auto next = Take();
  EXPECT_TRUE(next->event);
  EXPECT_EQ(next->sequence, 3u);
  EXPECT_FALSE(Take());
}

TEST_F(IommuEventsTest, OnlyDevicesWithANumberAreToldOf) {
  IommuEventsState state = {};
  IommuEvents events(arena_, &state);
  events.Initialize();
  const FaultRecord fault = {0x1000, 42, kAccessWrite, FaultReason::kPermission, 1};
  ASSERT_TRUE(events.AddDevice(42, 0xabc).ok());
  events.Report(fault);
  events.SetQueue(queue_);
  events.Report(fault);
  EXPECT_TRUE(events.HasVirtualId(0xabc));
  events.RemoveDevice(42);
  EXPECT_FALSE(events.HasVirtualId(0xabc));
  events.Report(fault);
  const auto told = Take();
  ASSERT_TRUE(told);
  EXPECT_EQ(told->event->virtual_id, 0xabcu);
  EXPECT_EQ(told->event->access, kAccessWrite);
  EXPECT_FALSE(Take());
}

}  // namespace
}  // namespace ioas::soft
