#include "compat/events/rings.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <iterator>
#include <thread>
#include <vector>

#include "compat/events/events.h"

namespace compat::events {
namespace {

using session::Event;
using session::EventKind;

class RingsTest : public testing::Test {
 protected:
  RingsTest() : wake_(eventfd(0, EFD_NONBLOCK)), rings_(Rings::Make(wake_)) {}
  ~RingsTest() override {
    Rings::Unmake(rings_);
    close(wake_);
  }

  // How often the reader was woken since the last time.
  uint64_t Wakes() const {
    uint64_t count = 0;
    return read(wake_, &count, sizeof(count)) == sizeof(count) ? count : 0;
  }
  void Push(uint32_t container, uint64_t first, EventKind kind = EventKind::kMapped) {
    rings_->Push({.kind = static_cast<uint16_t>(kind),
                  .access = 3,
                  .container = container,
                  .first = first,
                  .last = ~first,
                  .value = first * 3});
  }
  std::vector<Event> Take(size_t most = 100'000) {
    std::vector<Event> events(most);
    events.resize(rings_->Take(events));
    return events;
  }

  int wake_;
  Rings* rings_;
  std::atomic<uint64_t> taken_{0};
};

// What a container tells, or nobody's.
class EachRingTest : public RingsTest, public testing::WithParamInterface<uint32_t> {
 protected:
  void PushNumbered(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i) Push(GetParam(), next_++);
  }
  uint64_t next_ = 0;
};
INSTANTIATE_TEST_SUITE_P(Containers, EachRingTest, testing::Values(0, 1, 9, 0xffffffff));

TEST_P(EachRingTest, GivesBackWhatWasPushed) {
  Push(GetParam(), 0x1000, EventKind::kUnmapped);
  Push(GetParam(), 0x2000);
  const std::vector<Event> events = Take();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, static_cast<uint16_t>(EventKind::kUnmapped));
  EXPECT_EQ(events[0].access, 3);
  EXPECT_EQ(events[0].container, GetParam());
  EXPECT_EQ(events[0].first, 0x1000u);
  EXPECT_EQ(events[0].last, ~uint64_t{0x1000});
  EXPECT_EQ(events[0].value, 0x3000u);
  EXPECT_EQ(events[1].first, 0x2000u);
  EXPECT_TRUE(Take().empty());
}

TEST_P(EachRingTest, GoesRoundManyTimes) {
  uint64_t expected = 0;
  // The cells' numbers of rounds begin again after 128.
  for (int i = 0; i < 140; ++i) {
    PushNumbered(Ring::kCapacity - 3);
    for (const Event& event : Take()) ASSERT_EQ(event.first, expected++);
    ASSERT_EQ(expected, next_);
  }
  EXPECT_EQ(rings_->TakeDropped(), 0u);
}

TEST_P(EachRingTest, DropsAndCountsWhatDoesNotFit) {
  PushNumbered(Ring::kCapacity + 5);
  EXPECT_EQ(rings_->TakeDropped(), 5u);
  EXPECT_EQ(rings_->TakeDropped(), 0u);
  EXPECT_EQ(Take(10).size(), 10u);
  PushNumbered(10);
  EXPECT_EQ(rings_->TakeDropped(), 0u);
  EXPECT_EQ(Take().size(), Ring::kCapacity);
}

TEST_P(EachRingTest, WakesAReaderThatSleepsOnceAndNoOther) {
  PushNumbered(1);
  EXPECT_EQ(Wakes(), 0u);
  EXPECT_FALSE(rings_->BeforeSleep());
  Take();
  PushNumbered(1);
  EXPECT_EQ(Wakes(), 0u);
  Take();
  ASSERT_TRUE(rings_->BeforeSleep());
  PushNumbered(3);
  EXPECT_EQ(Wakes(), 1u);
  rings_->AfterSleep();
  PushNumbered(1);
  EXPECT_EQ(Wakes(), 0u);
}

// Two containers whose numbers lead to the same ring: the second shares one until the first ends.
TEST_F(RingsTest, KeepsTheOrderOfAContainerThatChangesItsRing) {
  Push(1, 0);
  Push(9, 0);
  Push(1, 1, EventKind::kClosed);
  Push(9, 1);
  Push(9, 2);
  uint64_t of_first = 0;
  uint64_t of_second = 0;
  for (const Event& event : Take()) {
    EXPECT_EQ(event.first, event.container == 1 ? of_first++ : of_second++);
  }
  EXPECT_EQ(of_first, 2u);
  EXPECT_EQ(of_second, 3u);
}

// Threads that have a container each, some of which share a ring, and two that have none.
TEST_F(RingsTest, LosesNothingOfSeveralThreadsButWhatItCounts) {
  constexpr uint32_t kContainers[] = {1, 2, 9, 0, 0};
  constexpr uint64_t kEach = 100000;
  std::atomic<size_t> running{std::size(kContainers)};
  std::vector<std::thread> threads;
  for (const uint32_t container : kContainers) {
    threads.emplace_back([&, container] {
      for (uint64_t i = 0; i < kEach; ++i) Push(container, i);
      --running;
    });
  }
  uint64_t seen = 0;
  uint64_t dropped = 0;
  int64_t newest[10] = {-1, -1, -1, -1, -1, -1, -1, -1, -1, -1};
  bool last_look = false;
  while (!last_look) {
    last_look = running == 0;
    dropped += rings_->TakeDropped();
    for (const Event& event : Take(1000)) {
      ASSERT_LT(event.container, 10u);
      ASSERT_EQ(event.last, ~event.first);
      ASSERT_EQ(event.value, event.first * 3);
      if (event.container != 0) {
        ASSERT_GT(static_cast<int64_t>(event.first), newest[event.container]);
      }
      newest[event.container] = static_cast<int64_t>(event.first);
      ++seen;
      last_look = false;
    }
  }
  for (std::thread& thread : threads) thread.join();
  dropped += rings_->TakeDropped();
  EXPECT_EQ(seen + dropped, std::size(kContainers) * kEach);
}

// A reader that sleeps whenever there is nothing misses nothing.
TEST_F(RingsTest, AReaderThatSleepsIsWokenForEverything) {
  constexpr uint64_t kCount = 200'000;
  std::thread writer([&] {
    for (uint64_t i = 0; i < kCount; ++i) {
      // Slower than the reader now and then, so that it falls asleep.
      while (i % 16 == 0 && taken_ + 16 < i) std::this_thread::yield();
      Push(1, i);
    }
  });
  while (taken_ < kCount) {
    taken_ += Take(64).size();
    if (taken_ == kCount || !rings_->BeforeSleep()) continue;
    pollfd wait = {wake_, POLLIN, 0};
    ASSERT_EQ(poll(&wait, 1, 10'000), 1) << "after " << taken_;
    Wakes();
    rings_->AfterSleep();
  }
  writer.join();
}

TEST(EventsTest, OnlyWhatIsWatchedIsWritten) {
  const int wake = eventfd(0, EFD_NONBLOCK);
  Emit(EventKind::kOpened, 1);
  EXPECT_EQ(TheRings(), nullptr);
  ASSERT_TRUE(Watch(1u << static_cast<int>(EventKind::kMapped), wake));
  Emit(EventKind::kOpened, 1);
  Emit(EventKind::kMapped, 2, {.first = 3, .last = 4, .value = 5, .access = 1});
  Event events[4];
  ASSERT_EQ(TheRings()->Take(events), 1u);
  EXPECT_EQ(events[0].kind, static_cast<uint16_t>(EventKind::kMapped));
  EXPECT_EQ(events[0].container, 2u);
  EXPECT_EQ(events[0].value, 5u);
  ASSERT_TRUE(Watch(0, wake));
  Emit(EventKind::kMapped, 2);
  EXPECT_EQ(TheRings()->Take(events), 0u);
  AfterForkInChild();
  EXPECT_EQ(TheRings(), nullptr);
  close(wake);
}

}  // namespace
}  // namespace compat::events
