// Programs that behave, on the server's real socket.
#include "tools/daemon/sessions/session_server.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tools/daemon/sessions/questions.h"
#include "tools/daemon/sessions/test_server.h"
#include "tools/daemon/testing/fake_program.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;
using testing::FakeModel;
using testing::FakeProgram;

TEST(SessionServerTest, AProgramIsASessionUntilItEnds) {
  TestServer server;
  {
    FakeProgram program(0x1234, FakeModel::WithMappings(1));
    program.Connect(server.path());
    const std::shared_ptr<Session> session = server.Await(0x1234);
    EXPECT_EQ(session->identity().pid, getpid());
    EXPECT_EQ(session->identity().uid, getuid());
    EXPECT_EQ(session->identity().command, "fake --program");
    EXPECT_EQ(session->identity().backend, 1u);
    EXPECT_TRUE(session->is_responsive());
  }
  server.AwaitEvent(EventKind::kClosed, 0x1234);
  EXPECT_EQ(server.registry().Find(0x1234), nullptr);
}

TEST(SessionServerTest, AProcessMayBelongToAnotherUser) {
  TestServer server({}, [](uint32_t uid) { return uid + 1000; });
  FakeProgram program(1, FakeModel());
  program.Connect(server.path());
  EXPECT_EQ(server.Await(1)->identity().uid, getuid() + 1000);
}

TEST(SessionServerTest, SessionsAreListedByTheirIds) {
  TestServer server;
  std::vector<std::unique_ptr<FakeProgram>> programs;
  for (const uint64_t id : {3, 1, 2}) {
    programs.push_back(std::make_unique<FakeProgram>(id, FakeModel()));
    programs.back()->Connect(server.path());
    server.Await(id);
  }
  std::vector<uint64_t> ids;
  for (const auto& session : server.registry().List()) ids.push_back(session->identity().id);
  EXPECT_EQ(ids, (std::vector<uint64_t>{1, 2, 3}));
}

TEST(SessionServerTest, CommandsAreMadePrintable) {
  TestServer server;
  FakeProgram program(1, FakeModel());
  channel::Hello hello{};
  hello.backend = 2;
  std::strcpy(hello.command, "sh -c a\nb \x1b[31m \xff \xc3\xa9");
  program.Connect(server.path(), hello);
  EXPECT_EQ(server.Await(1)->identity().command, "sh -c a?b ?[31m ? \xc3\xa9");
}

TEST(SessionServerTest, AnswersComeToThoseWhoAsked) {
  TestServer server;
  FakeProgram program(1, FakeModel::WithMappings(100));
  program.Connect(server.path());
  const auto session = server.Await(1);
  const auto containers = ListContainers(*session);
  ASSERT_TRUE(containers.ok()) << containers.status();
  ASSERT_EQ(containers->size(), 1u);
  EXPECT_EQ(containers->front().live_mappings, 100u);
  std::vector<std::thread> threads;
  std::atomic<int> wrong = 0;
  for (uint64_t thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&, thread] {
      for (int i = 0; i < 500; ++i) {
        const auto translated = Translate(*session, {1, 0, thread * 4096 + 5});
        if (!translated.ok() || translated->mapping.first != thread * 4096) ++wrong;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
}

TEST(SessionServerTest, ARefusalIsAnErrorWithItsReason) {
  TestServer server;
  FakeProgram program(1, FakeModel::WithMappings(1));
  program.Connect(server.path());
  const auto space = GetAddressSpace(*server.Await(1), 5);
  EXPECT_EQ(space.status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(space.status().message(), "there is no such container (ENOENT)");
}

TEST(SessionServerTest, AProcessThatDoesNotAnswerIsSilentUntilItDoes) {
  TestServer server;
  FakeProgram program(1, FakeModel::WithMappings(1));
  program.Connect(server.path());
  const auto session = server.Await(1);
  program.Stop();
  const auto before = Clock::now();
  EXPECT_EQ(ListGroups(*session).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_GE(Clock::now() - before, kAnswerTime);
  EXPECT_LT(Clock::now() - before, 3 * kAnswerTime);
  EXPECT_FALSE(session->is_responsive());

  // Nobody waits for it again, but what is queued is carried out.
  const auto again = Clock::now();
  EXPECT_EQ(ListGroups(*session).status().code(), absl::StatusCode::kUnavailable);
  EXPECT_LT(Clock::now() - again, kAnswerTime / 2);
  std::promise<absl::Status> frozen;
  const channel::Act act = {.action = static_cast<uint32_t>(channel::Action::kFreeze),
                            .dry_run = 0,
                            .container = 1,
                            .group = 0,
                            .first = 0,
                            .last = 0};
  session->AskAsync(
      channel::Kind::kAct, testing::BytesOf(act),
      [&frozen](const absl::StatusOr<Packet>& answer) { frozen.set_value(answer.status()); },
      IfSilent::kQueue);
  program.Resume();
  EXPECT_TRUE(frozen.get_future().get().ok());
  EXPECT_TRUE(session->is_responsive());
  EXPECT_EQ(program.model().groups[0].flags, uint32_t{channel::kGroupIsFrozen});
  EXPECT_TRUE(ListGroups(*session).ok());
}

TEST(SessionServerTest, ASilentProcessDoesNotDelayOthers) {
  TestServer server;
  FakeProgram silent(1, FakeModel());
  FakeProgram other(2, FakeModel::WithMappings(1));
  silent.Connect(server.path());
  other.Connect(server.path());
  const auto silent_session = server.Await(1);
  const auto other_session = server.Await(2);
  silent.Stop();
  std::thread asker([&] { EXPECT_FALSE(ListGroups(*silent_session).ok()); });
  const auto before = Clock::now();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(ListGroups(*other_session).ok());
  EXPECT_LT(Clock::now() - before, kAnswerTime);
  asker.join();
}

TEST(SessionServerTest, ASessionIsAskedABoundedNumberOfThings) {
  TestServer server;
  FakeProgram program(1, FakeModel());
  program.Connect(server.path());
  const auto session = server.Await(1);
  program.Stop();
  std::atomic<size_t> waiting = 0;
  std::atomic<size_t> busy = 0;
  for (size_t i = 0; i < 2 * kMaxPending; ++i) {
    ++waiting;
    session->AskAsync(channel::Kind::kPing, {}, [&](const absl::StatusOr<Packet>& answer) {
      if (absl::IsResourceExhausted(answer.status())) ++busy;
      --waiting;
    });
  }
  EXPECT_EQ(waiting, kMaxPending);
  EXPECT_EQ(busy, kMaxPending);
  program.Resume();
  while (waiting != 0) std::this_thread::yield();
}

TEST(SessionServerTest, WhatWasDoneWithoutAProcessIsToldToItWhenItAnswersAgain) {
  TestServer server;
  FakeProgram program(1, FakeModel::WithMappings(1));
  std::atomic<int> locks = 1;
  std::promise<void> told;
  program.Handle(channel::Kind::kAct, [&](const auto& request, auto packet) {
    // At first a thread of its holds a lock.
    if (locks-- > 0) return testing::RefusalOf(request, EBUSY, "the host's lock is held");
    EXPECT_EQ(channel::BodyOf<channel::Act>(packet)->group, 7u);
    told.set_value();
    return testing::AnswerTo(request, testing::BytesOf(channel::Acted{}));
  });
  program.Connect(server.path());
  const auto session = server.Await(1);
  channel::Act act{};
  act.action = static_cast<uint32_t>(channel::Action::kFreeze);
  act.group = 7;
  session->Remind(act);
  told.get_future().wait();
  EXPECT_EQ(locks, -1);
}

TEST(SessionServerTest, QuestionsFailWhenTheProcessEnds) {
  TestServer server;
  auto program = std::make_unique<FakeProgram>(1, FakeModel());
  program->Handle(channel::Kind::kListGroups, [](const auto&, auto) { return std::nullopt; });
  program->Connect(server.path());
  const auto session = server.Await(1);
  std::promise<absl::Status> answered;
  session->AskAsync(channel::Kind::kListGroups, {}, [&](const absl::StatusOr<Packet>& answer) {
    answered.set_value(answer.status());
  });
  program.reset();
  EXPECT_EQ(answered.get_future().get().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(ListGroups(*session).status().code(), absl::StatusCode::kNotFound);
}

TEST(SessionServerTest, SessionsTellOfEventsWhileSomebodyWantsThem) {
  TestServer server;
  FakeProgram program(1, FakeModel());
  FakeProgram other(2, FakeModel());
  program.Connect(server.path());
  other.Connect(server.path());
  server.Await(1);
  server.Await(2);
  constexpr uint32_t kMapped = KindBit(EventKind::kMapped);
  channel::Event mapped{};
  mapped.kind = static_cast<uint16_t>(channel::EventKind::kMapped);
  mapped.container = 1;
  mapped.first = 4096;
  mapped.last = 8191;
  {
    const auto reader = server.log().Open(
        {.session = 1, .kinds = kMapped | KindBit(EventKind::kLost), .all_users = true, .uid = {}},
        0);
    program.WaitForSubscription(kMapped);
    program.SendEvents({&mapped, 1}, 5);
    // Nobody has asked it. What it answers comes behind that.
    other.SendEvents({&mapped, 1});
    ASSERT_TRUE(ListGroups(*server.Await(2)).ok());
    server.AwaitEvent(EventKind::kMapped, 1);
    const EventLog::Batch batch = reader->Read(10);
    ASSERT_EQ(batch.events.size(), 2u);
    EXPECT_EQ(batch.events[0].kind, EventKind::kLost);
    EXPECT_EQ(batch.events[0].value, 5u);
    EXPECT_EQ(batch.events[1].first, 4096u);
    EXPECT_EQ(batch.events[1].last, 8191u);
  }
  program.WaitForSubscription(0);
  EXPECT_EQ(server.CountEvents(EventKind::kMapped, 2), 0u);
}

TEST(SessionServerTest, SessionsThatComeLaterAreSubscribedToo) {
  TestServer server;
  const auto reader = server.log().Open({.all_users = true, .uid = {}}, 0);
  FakeProgram program(1, FakeModel());
  program.Connect(server.path());
  program.WaitForSubscription(kSessionEventKinds);
  EXPECT_NE(server.Await(1), nullptr);
}

TEST(SessionServerTest, AProcessThatConnectsAnewTakesThePlaceOfItsSession) {
  TestServer server;
  FakeProgram before(1, FakeModel());
  before.Connect(server.path());
  const auto session = server.Await(1);
  FakeProgram again(1, FakeModel::WithMappings(1));
  again.Connect(server.path());
  EXPECT_EQ(before.WaitForEnd(), "");
  server.AwaitEvent(EventKind::kClosed, 1);
  const auto groups = ListGroups(*server.Await(1));
  ASSERT_TRUE(groups.ok());
  EXPECT_EQ(groups->size(), 1u);
}

TEST(SessionServerTest, EndingTheServerEndsItsSessions) {
  FakeProgram program(1, FakeModel());
  std::shared_ptr<Session> session;
  {
    TestServer server;
    program.Connect(server.path());
    session = server.Await(1);
  }
  program.WaitForEnd();
  EXPECT_EQ(ListGroups(*session).status().code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace tools::daemon
