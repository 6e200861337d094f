#include "tools/daemon/events/event_log.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

namespace tools::daemon {
namespace {

constexpr EventFilter kEverything = {.all_users = true, .uid = {}};

LoggedEvent Mapped(uint64_t session, uint32_t uid = 0, uint64_t first = 0) {
  LoggedEvent event;
  event.session = session;
  event.uid = uid;
  event.kind = EventKind::kMapped;
  event.first = first;
  return event;
}

uint64_t Add(EventLog& log, LoggedEvent event) { return log.Append({&event, 1}); }

TEST(EventLogTest, EventsAreNumberedFromOne) {
  EventLog log;
  EXPECT_EQ(log.newest(), 0u);
  EXPECT_EQ(log.oldest(), 0u);
  EXPECT_EQ(Add(log, Mapped(1)), 1u);
  std::vector<LoggedEvent> two = {Mapped(1), Mapped(2)};
  EXPECT_EQ(log.Append(two), 3u);
  EXPECT_EQ(log.newest(), 3u);
  EXPECT_EQ(log.oldest(), 1u);
}

TEST(EventLogTest, AReaderGetsWhatHappensAfterItCame) {
  EventLog log;
  Add(log, Mapped(1));
  const auto reader = log.Open(kEverything, 0);
  EXPECT_TRUE(reader->Read(10).events.empty());
  Add(log, Mapped(2));
  const EventLog::Batch batch = reader->Read(10);
  ASSERT_EQ(batch.events.size(), 1u);
  EXPECT_EQ(batch.events[0].session, 2u);
  EXPECT_EQ(batch.events[0].sequence, 2u);
  EXPECT_GT(batch.events[0].time, 0);
  EXPECT_EQ(batch.next_sequence, 3u);
  EXPECT_EQ(batch.dropped, 0u);
}

TEST(EventLogTest, AReaderResumesWhereItLeft) {
  EventLog log;
  for (uint64_t i = 1; i <= 5; ++i) Add(log, Mapped(i));
  uint64_t next = 0;
  {
    const auto reader = log.Open(kEverything, 1);
    const EventLog::Batch batch = reader->Read(2);
    EXPECT_EQ(batch.events.size(), 2u);
    EXPECT_FALSE(batch.is_last);
    next = batch.next_sequence;
  }
  const EventLog::Batch rest = log.Open(kEverything, next)->Read(10);
  ASSERT_EQ(rest.events.size(), 3u);
  EXPECT_EQ(rest.events[0].sequence, 3u);
  EXPECT_TRUE(rest.is_last);
}

TEST(EventLogTest, ANumberThatWasNotReachedCannotBeResumedFrom) {
  EventLog log;
  Add(log, Mapped(1));
  EXPECT_NE(log.Open(kEverything, 2), nullptr);
  EXPECT_EQ(log.Open(kEverything, 3), nullptr);
}

TEST(EventLogTest, EventsThatAreNotKeptCountAsDroppedOnResuming) {
  EventLog log(4);
  for (uint64_t i = 1; i <= 10; ++i) Add(log, Mapped(i));
  EXPECT_EQ(log.oldest(), 7u);
  const EventLog::Batch batch = log.Open(kEverything, 2)->Read(10);
  EXPECT_EQ(batch.dropped, 5u);
  ASSERT_EQ(batch.events.size(), 4u);
  EXPECT_EQ(batch.events[0].sequence, 7u);
}

TEST(EventLogTest, AReaderThatIsSlowIsToldHowManyWantedEventsItLost) {
  EventLog log(4);
  const auto of_one = log.Open({.session = 1, .all_users = true, .uid = {}}, 0);
  const auto of_all = log.Open(kEverything, 0);
  for (int i = 0; i < 8; ++i) Add(log, Mapped(i % 4 == 0 ? 1 : 2));  // of session 1: 1 and 5
  const EventLog::Batch one = of_one->Read(10);
  EXPECT_EQ(one.dropped, 1u);
  ASSERT_EQ(one.events.size(), 1u);
  EXPECT_EQ(one.events[0].sequence, 5u);
  EXPECT_EQ(of_all->Read(10).dropped, 4u);
  EXPECT_EQ(of_all->Read(10).dropped, 0u);
}

TEST(EventLogTest, FiltersAreBySessionKindAndUser) {
  EventLog log;
  const auto of_session = log.Open({.session = 2, .all_users = true, .uid = {}}, 0);
  const auto of_kind =
      log.Open({.kinds = KindBit(EventKind::kFault), .all_users = true, .uid = {}}, 0);
  const auto of_user = log.Open({.uid = 1000}, 0);
  const auto of_nobody = log.Open({.uid = {}}, 0);
  Add(log, Mapped(1, 1000));
  Add(log, Mapped(2, 0));
  LoggedEvent fault = Mapped(3, 0);
  fault.kind = EventKind::kFault;
  Add(log, fault);
  const auto only = [](EventLog::Reader& reader) {
    const EventLog::Batch batch = reader.Read(10);
    EXPECT_EQ(batch.next_sequence, 4u);
    return batch.events.size() == 1 ? batch.events[0].session : 0;
  };
  EXPECT_EQ(only(*of_session), 2u);
  EXPECT_EQ(only(*of_kind), 3u);
  EXPECT_EQ(only(*of_user), 1u);
  EXPECT_EQ(only(*of_nobody), 0u);
}

TEST(EventLogTest, InterestIsTheUnionOfTheReaders) {
  EventLog log;
  int changes = 0;
  log.OnInterestChanged([&changes] { ++changes; });
  EXPECT_EQ(log.WantedKinds(1, 0), 0u);
  auto faults = log.Open({.kinds = KindBit(EventKind::kFault), .all_users = true, .uid = {}}, 0);
  const auto maps = log.Open({.session = 2, .kinds = KindBit(EventKind::kMapped), .uid = 1000}, 0);
  EXPECT_EQ(log.WantedKinds(1, 0), KindBit(EventKind::kFault));
  EXPECT_EQ(log.WantedKinds(2, 0), KindBit(EventKind::kFault));
  EXPECT_EQ(log.WantedKinds(2, 1000), KindBit(EventKind::kFault) | KindBit(EventKind::kMapped));
  faults.reset();
  EXPECT_EQ(log.WantedKinds(2, 1000), KindBit(EventKind::kMapped));
  EXPECT_EQ(changes, 3);
}

TEST(EventLogTest, ABatchThatLooksAtManyEventsOfOthersSaysThatThereIsMore) {
  EventLog log;
  const auto reader = log.Open({.session = 2, .all_users = true, .uid = {}}, 0);
  std::vector<LoggedEvent> others(20'000, Mapped(1));
  log.Append(others);
  Add(log, Mapped(2));
  size_t found = 0;
  int reads = 0;
  for (bool is_last = false; !is_last; ++reads) {
    const EventLog::Batch batch = reader->Read(10);
    found += batch.events.size();
    is_last = batch.is_last;
  }
  EXPECT_EQ(found, 1u);
  EXPECT_GT(reads, 1);
}

TEST(EventLogTest, WaitingEndsWithAnEventAndWithStop) {
  EventLog log;
  std::thread writer([&log] { Add(log, Mapped(1)); });
  EXPECT_EQ(log.WaitBeyond(0), 1u);
  EXPECT_EQ(log.WaitBeyond(1, EventLog::Clock::now()), 1u);
  writer.join();
  std::thread stopper([&log] { log.Stop(); });
  EXPECT_EQ(log.WaitBeyond(1), 1u);
  stopper.join();
  EXPECT_TRUE(log.is_stopped());
  log.WaitForStop(std::chrono::steady_clock::time_point::max());
}

TEST(EventLogTest, WritersAndReadersAtOnceLoseNothingThatIsNotCounted) {
  constexpr uint64_t kWriters = 3;
  constexpr uint64_t kEvents = 20'000;
  EventLog log(256);
  std::atomic<uint64_t> wrong = 0;
  const auto read = [&](EventFilter filter, uint64_t expected) {
    const auto reader = log.Open(filter, 1);
    uint64_t got = 0;
    uint64_t last = 0;
    while (last < kWriters * kEvents) {
      log.WaitBeyond(last);
      const EventLog::Batch batch = reader->Read(64);
      for (const LoggedEvent& event : batch.events) {
        if (event.sequence <= last || !filter.Wants(event)) ++wrong;
        last = event.sequence;
      }
      got += batch.events.size() + batch.dropped;
      last = batch.next_sequence - 1;
    }
    if (got != expected) ++wrong;
  };
  std::vector<std::thread> threads;
  threads.emplace_back(read, kEverything, kWriters * kEvents);
  threads.emplace_back(read, EventFilter{.session = 2, .all_users = true, .uid = {}}, kEvents);
  // Readers are there before there is anything to lose.
  while (log.WantedKinds(1, 0) == 0) std::this_thread::yield();
  while (log.WantedKinds(2, 0) == 0) std::this_thread::yield();
  for (uint64_t writer = 1; writer <= kWriters; ++writer) {
    threads.emplace_back([&log, writer] {
      for (uint64_t i = 0; i < kEvents; ++i) Add(log, Mapped(writer, 0, i));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0u);
}

}  // namespace
}  // namespace tools::daemon
