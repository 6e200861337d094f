// Sessions.Watch through gRPC.
#include <chrono>
#include <string>
#include <vector>

#include "tools/daemon/services/test_daemon.h"
#include "tools/daemon/testing/fake_program.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;
using grpc::StatusCode;
using testing::FakeModel;
using testing::FakeProgram;

channel::Event Mapped(uint64_t first) {
  channel::Event event{};
  event.kind = static_cast<uint16_t>(channel::EventKind::kMapped);
  event.access = 1;
  event.container = 1;
  event.first = first;
  event.last = first + 4095;
  event.value = 0x7f0000000000;
  return event;
}

// A call of Watch that nothing is missed of any more.
class Watch {
 public:
  Watch(api::Sessions::Stub& stub, const api::WatchRequest& request)
      : reader_(stub.Watch(&context_, request)) {
    reader_->WaitForInitialMetadata();
  }
  ~Watch() {
    context_.TryCancel();
    if (!has_ended_) reader_->Finish();
  }

  // The next event; waits for it.
  api::Event Next() {
    while (next_ == response_.events_size()) {
      next_ = 0;
      if (!reader_->Read(&response_)) return {};
      dropped_ += response_.dropped();
    }
    return response_.events(next_++);
  }
  uint64_t next_sequence() const { return response_.next_sequence(); }
  uint64_t dropped() const { return dropped_; }
  // What the call ends with; it ends by itself.
  grpc::Status End() {
    has_ended_ = true;
    return reader_->Finish();
  }

 private:
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReader<api::WatchResponse>> reader_;
  api::WatchResponse response_;
  int next_ = 0;
  uint64_t dropped_ = 0;
  bool has_ended_ = false;
};

class WatchTest : public ::testing::Test {
 protected:
  TestDaemon daemon_;
  api::Sessions::Stub stub_{daemon_.channel()};
};

TEST_F(WatchTest, AWatcherSeesASessionFromItsBeginningToItsEnd) {
  Watch watch(stub_, {});
  {
    FakeProgram program(5, FakeModel());
    program.Connect(daemon_.sessions().path());
    const api::Event opened = watch.Next();
    EXPECT_EQ(opened.kind(), api::Event::KIND_OPENED);
    EXPECT_EQ(opened.session(), "0000000000000005");
    EXPECT_EQ(opened.container(), 0u);
    program.WaitForSubscription(kSessionEventKinds);
    const channel::Event mapped = Mapped(4096);
    program.SendEvents({&mapped, 1});
    const api::Event event = watch.Next();
    EXPECT_EQ(event.kind(), api::Event::KIND_MAPPED);
    EXPECT_EQ(event.sequence(), opened.sequence() + 1);
    EXPECT_EQ(event.container(), 1u);
    EXPECT_EQ(event.range().first(), 4096u);
    EXPECT_EQ(event.range().last(), 8191u);
    EXPECT_EQ(event.user_address(), 0x7f0000000000u);
    EXPECT_EQ(event.access(), api::ACCESS_READ);
    EXPECT_GT(event.time().seconds(), 0);
  }
  EXPECT_EQ(watch.Next().kind(), api::Event::KIND_CLOSED);
}

TEST_F(WatchTest, WatchingGoesOnFromANumber) {
  uint64_t next = 0;
  {
    Watch watch(stub_, {});
    FakeProgram program(1, FakeModel());
    program.Connect(daemon_.sessions().path());
    EXPECT_EQ(watch.Next().kind(), api::Event::KIND_OPENED);
    next = watch.next_sequence();
  }
  daemon_.sessions().AwaitEvent(EventKind::kClosed, 1);
  api::WatchRequest request;
  request.set_from_sequence(next);
  Watch watch(stub_, request);
  EXPECT_EQ(watch.Next().kind(), api::Event::KIND_CLOSED);
  EXPECT_EQ(watch.dropped(), 0u);
}

TEST_F(WatchTest, ANumberThatWasNotReachedIsRefused) {
  api::WatchRequest request;
  request.set_from_sequence(1000);
  Watch watch(stub_, request);
  const grpc::Status status = watch.End();
  EXPECT_EQ(status.error_code(), StatusCode::OUT_OF_RANGE);
  EXPECT_EQ(FieldOf(status), "from_sequence");
}

TEST_F(WatchTest, KindsThatDoNotExistAreRefused) {
  for (const int kind : {0, 14, 31, 1000}) {
    api::WatchRequest request;
    request.add_kinds(api::Event::KIND_MAPPED);
    request.add_kinds(static_cast<api::Event::Kind>(kind));
    Watch watch(stub_, request);
    const grpc::Status status = watch.End();
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(FieldOf(status), "kinds[1]");
  }
}

TEST_F(WatchTest, OnlyWhatIsWantedIsSentAndAskedOfTheSession) {
  FakeProgram program(1, FakeModel());
  FakeProgram other(2, FakeModel());
  program.Connect(daemon_.sessions().path());
  other.Connect(daemon_.sessions().path());
  daemon_.sessions().Await(1);
  daemon_.sessions().Await(2);
  {
    api::WatchRequest request;
    request.set_session("0000000000000001");
    request.add_kinds(api::Event::KIND_MAPPED);
    Watch watch(stub_, request);
    program.WaitForSubscription(KindBit(EventKind::kMapped));
    channel::Event unmapped = Mapped(0);
    unmapped.kind = static_cast<uint16_t>(channel::EventKind::kUnmapped);
    const std::vector<channel::Event> events = {unmapped, Mapped(4096)};
    program.SendEvents(events);
    EXPECT_EQ(watch.Next().kind(), api::Event::KIND_MAPPED);
  }
  program.WaitForSubscription(0);
}

TEST_F(WatchTest, ManyEventsArriveInOrderAndNoneIsLost) {
  FakeProgram program(1, FakeModel());
  program.Connect(daemon_.sessions().path());
  daemon_.sessions().Await(1);
  api::WatchRequest request;
  request.add_kinds(api::Event::KIND_MAPPED);
  Watch first(stub_, request);
  Watch second(stub_, request);
  program.WaitForSubscription(KindBit(EventKind::kMapped));
  // Fewer than the log holds.
  std::vector<channel::Event> events;
  for (uint64_t i = 0; i < 1000; ++i) events.push_back(Mapped(i * 4096));
  for (int i = 0; i < 50; ++i) program.SendEvents(events);
  for (Watch* watch : {&first, &second}) {
    for (uint64_t i = 0; i < 50'000; ++i) {
      ASSERT_EQ(watch->Next().range().first(), i % 1000 * 4096);
    }
    EXPECT_EQ(watch->dropped(), 0u);
  }
}

TEST_F(WatchTest, AWatcherThatDoesNotReadLosesEventsAndIsTold) {
  FakeProgram program(1, FakeModel());
  program.Connect(daemon_.sessions().path());
  daemon_.sessions().Await(1);
  api::WatchRequest request;
  request.add_kinds(api::Event::KIND_MAPPED);
  Watch watch(stub_, request);
  program.WaitForSubscription(KindBit(EventKind::kMapped));
  std::vector<channel::Event> events(1000, Mapped(0));
  constexpr uint64_t kBatches = 200;
  for (uint64_t i = 0; i < kBatches; ++i) program.SendEvents(events);
  // One of another kind of place: all before it have arrived, or were lost.
  const channel::Event last = Mapped(1ull << 40);
  program.SendEvents({&last, 1});
  const uint64_t opened = 1;
  uint64_t seen = 0;
  while (seen < opened + kBatches * 1000 + 1) seen = daemon_.sessions().log().WaitBeyond(seen);
  uint64_t got = 1;
  while (watch.Next().range().first() != last.first) ++got;
  EXPECT_GT(watch.dropped(), 0u);
  EXPECT_EQ(got + watch.dropped(), kBatches * 1000 + 1);
}

TEST_F(WatchTest, WatchingDoesNotKeepTheServerFromEnding) {
  auto daemon = std::make_unique<TestDaemon>();
  api::Sessions::Stub stub(daemon->channel());
  Watch watch(stub, {});
  daemon.reset();
  EXPECT_FALSE(watch.End().ok());
}

TEST(WatchRolesTest, EventsOfOtherUsersAreNotSent) {
  TestDaemon daemon(
      {.name = "uid 1", .uid = 1, .role = Role::kAdmin, .role_on_others = Role::kNone});
  api::Sessions::Stub stub(daemon.channel());
  Watch watch(stub, {});
  // Root's, or whose the test is.
  LoggedEvent of_another;
  of_another.uid = 2;
  LoggedEvent own;
  own.uid = 1;
  own.session = 7;
  std::vector<LoggedEvent> events = {of_another, own};
  daemon.sessions().log().Append(events);
  EXPECT_EQ(watch.Next().session(), "0000000000000007");
}

}  // namespace
}  // namespace tools::daemon
