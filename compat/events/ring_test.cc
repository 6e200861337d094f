#include "compat/events/ring.h"

#include <gtest/gtest.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "compat/events/events.h"

namespace compat::events {
namespace {

using session::Event;
using session::EventKind;

class RingTest : public testing::Test {
 protected:
  RingTest() : wake_(eventfd(0, EFD_NONBLOCK)), ring_(Ring::Make(wake_)) {}
  ~RingTest() override {
    Ring::Unmake(ring_);
    close(wake_);
  }

  // How often the reader was woken since the last time.
  uint64_t Wakes() const {
    uint64_t count = 0;
    return read(wake_, &count, sizeof(count)) == sizeof(count) ? count : 0;
  }
  void PushNumbered(uint64_t count) {
    for (uint64_t i = 0; i < count; ++i)
      ring_->Push(
          {.kind = 7, .access = 3, .container = 0, .first = next_++, .last = 0, .value = 0});
  }
  std::vector<Event> Take(size_t most = Ring::kCapacity) {
    std::vector<Event> events(most);
    events.resize(ring_->Take(events));
    return events;
  }

  int wake_;
  Ring* ring_;
  uint64_t next_ = 0;
};

TEST_F(RingTest, GivesBackWhatWasPushedInOrder) {
  const Event first = {
      .kind = 7, .access = 3, .container = 2, .first = 0x1000, .last = 0x1fff, .value = 99};
  ring_->Push(first);
  ring_->Push({.kind = 8, .access = 0, .container = 0xffffffff, .first = 1, .last = 0, .value = 0});
  const std::vector<Event> events = Take();
  ASSERT_EQ(events.size(), 2u);
  EXPECT_EQ(events[0].kind, 7);
  EXPECT_EQ(events[0].access, 3);
  EXPECT_EQ(events[0].container, 2u);
  EXPECT_EQ(events[0].first, 0x1000u);
  EXPECT_EQ(events[0].last, 0x1fffu);
  EXPECT_EQ(events[0].value, 99u);
  EXPECT_EQ(events[1].kind, 8);
  EXPECT_EQ(events[1].access, 0);
  EXPECT_EQ(events[1].container, 0xffffffff);
  EXPECT_TRUE(Take().empty());
}

TEST_F(RingTest, GoesRoundManyTimes) {
  uint64_t expected = 0;
  for (int i = 0; i < 400; ++i) {
    PushNumbered(Ring::kCapacity - 3);
    for (const Event& event : Take()) ASSERT_EQ(event.first, expected++);
    ASSERT_EQ(expected, next_);
  }
  EXPECT_EQ(ring_->TakeDropped(), 0u);
}

TEST_F(RingTest, DropsAndCountsWhatDoesNotFit) {
  PushNumbered(Ring::kCapacity + 5);
  EXPECT_EQ(ring_->TakeDropped(), 5u);
  EXPECT_EQ(ring_->TakeDropped(), 0u);
  EXPECT_EQ(Take(10).size(), 10u);
  PushNumbered(10);
  EXPECT_EQ(ring_->TakeDropped(), 0u);
  EXPECT_EQ(Take().size(), Ring::kCapacity);
}

TEST_F(RingTest, WakesAReaderThatSleepsOnceAndNoOther) {
  PushNumbered(1);
  EXPECT_EQ(Wakes(), 0u);
  EXPECT_FALSE(ring_->BeforeSleep());
  Take();
  PushNumbered(1);
  EXPECT_EQ(Wakes(), 0u);
  Take();
  ASSERT_TRUE(ring_->BeforeSleep());
  PushNumbered(3);
  EXPECT_EQ(Wakes(), 1u);
  ring_->AfterSleep();
  PushNumbered(1);
  EXPECT_EQ(Wakes(), 0u);
}

TEST_F(RingTest, LosesNothingOfSeveralThreadsButWhatItCounts) {
  constexpr uint32_t kThreads = 4;
  constexpr uint64_t kEach = 100000;
  std::atomic<uint32_t> running{kThreads};
  std::vector<std::thread> threads;
  for (uint32_t id = 0; id < kThreads; ++id) {
    threads.emplace_back([&, id] {
      for (uint64_t i = 0; i < kEach; ++i) {
        ring_->Push(
            {.kind = 7, .access = 0, .container = id, .first = i, .last = ~i, .value = i * id});
      }
      --running;
    });
  }
  uint64_t seen = 0;
  uint64_t dropped = 0;
  int64_t newest[kThreads] = {-1, -1, -1, -1};
  bool last_look = false;
  while (!last_look) {
    last_look = running == 0;
    dropped += ring_->TakeDropped();
    for (const Event& event : Take(1000)) {
      ASSERT_LT(event.container, kThreads);
      ASSERT_GT(static_cast<int64_t>(event.first), newest[event.container]);
      newest[event.container] = static_cast<int64_t>(event.first);
      ASSERT_EQ(event.last, ~event.first);
      ASSERT_EQ(event.value, event.first * event.container);
      ++seen;
      last_look = false;
    }
  }
  for (std::thread& thread : threads) thread.join();
  dropped += ring_->TakeDropped();
  EXPECT_EQ(seen + dropped, kThreads * kEach);
}

TEST(EventsTest, OnlyWhatIsWatchedIsWritten) {
  const int wake = eventfd(0, EFD_NONBLOCK);
  Emit(EventKind::kOpened, 1);
  EXPECT_EQ(TheRing(), nullptr);
  ASSERT_TRUE(Watch(1u << static_cast<int>(EventKind::kMapped), wake));
  Emit(EventKind::kOpened, 1);
  Emit(EventKind::kMapped, 2, {.first = 3, .last = 4, .value = 5, .access = 1});
  Event events[4];
  ASSERT_EQ(TheRing()->Take(events), 1u);
  EXPECT_EQ(events[0].kind, static_cast<uint16_t>(EventKind::kMapped));
  EXPECT_EQ(events[0].container, 2u);
  EXPECT_EQ(events[0].value, 5u);
  ASSERT_TRUE(Watch(0, wake));
  Emit(EventKind::kMapped, 2);
  EXPECT_EQ(TheRing()->Take(events), 0u);
  AfterForkInChild();
  EXPECT_EQ(TheRing(), nullptr);
  close(wake);
}

}  // namespace
}  // namespace compat::events
