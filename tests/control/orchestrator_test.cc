// What an orchestrator sees and does, with the real daemon and QEMU's NVMe driver on an emulated
// disk; and what becomes of it when the daemon, or the program, is killed.
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/control/processes.h"
#include "tests/programs/qemu_disk.h"
#include "tests/support/command.h"
#include "vfio/compat/v1/actions.grpc.pb.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tests::control {
namespace {

namespace api = vfio::compat::v1;
using grpc::ClientContext;
using grpc::StatusCode;
using std::chrono::steady_clock;

constexpr char kAddress[] = "0000:00:05.0";
constexpr uint32_t kContainer = 1;  // the first of a program

// The services of a daemon.
struct Stubs {
  explicit Stubs(const std::shared_ptr<grpc::Channel>& channel)
      : sessions(channel), spaces(channel), actions(channel) {}
  api::Sessions::Stub sessions;
  api::AddressSpaces::Stub spaces;
  api::Actions::Stub actions;
};

// Events from the daemon's beginning on.
class Events {
 public:
  explicit Events(Stubs& stubs) {
    api::WatchRequest request;
    request.set_from_sequence(1);
    reader_ = stubs.sessions.Watch(&context_, request);
  }
  ~Events() {
    context_.TryCancel();
    reader_->Finish();
  }

  // The next event of this kind; of a session's own beginning or end if `container` is false.
  api::Event Await(api::Event::Kind kind, bool container = true) {
    while (true) {
      if (next_ == response_.events_size()) {
        next_ = 0;
        if (!reader_->Read(&response_)) return {};
        continue;
      }
      const api::Event& event = response_.events(next_++);
      if (event.kind() == kind && (event.container() != 0) == container) return event;
    }
  }

 private:
  ClientContext context_;
  std::unique_ptr<grpc::ClientReader<api::WatchResponse>> reader_;
  api::WatchResponse response_;
  int next_ = 0;
};

class OrchestratorTest : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_UNLESS_INSTALLED("qemu-io");
    disk_ = std::make_unique<QemuDisk>(kAddress, 16 * kMebibyte);
    daemon_ = std::make_unique<Daemon>();
    stubs_ = std::make_unique<Stubs>(daemon_->Connect());
    qemu_ = std::make_unique<QemuIo>(*daemon_, disk_->device(), disk_->url());
    id_ = Events(*stubs_).Await(api::Event::KIND_OPENED, false).session();
  }

  // Kills the daemon, and starts another. Returns how long it took until that one knew the session.
  std::chrono::milliseconds Restart() {
    stubs_.reset();
    daemon_->Kill();
    daemon_->Start();
    stubs_ = std::make_unique<Stubs>(daemon_->Connect());
    const auto ready = steady_clock::now();
    Events events(*stubs_);
    while (events.Await(api::Event::KIND_OPENED, false).session() != id_) continue;
    return std::chrono::duration_cast<std::chrono::milliseconds>(steady_clock::now() - ready);
  }

  api::Session Get() {
    ClientContext context;
    api::GetSessionRequest request;
    request.set_session(id_);
    api::Session session;
    const grpc::Status status = stubs_->sessions.GetSession(&context, request, &session);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return session;
  }
  api::Container Container() {
    const api::Session session = Get();
    return session.containers_size() == 1 ? session.containers(0) : api::Container();
  }

  template <typename Request>
  grpc::Status Do(grpc::Status (api::Actions::Stub::*method)(ClientContext*, const Request&,
                                                             api::ActionResponse*),
                  const Request& request) {
    ClientContext context;
    return (stubs_->actions.*method)(&context, request, &answer_);
  }
  grpc::Status Freeze() {
    api::FreezeRequest request;
    request.mutable_target()->set_session(id_);
    request.mutable_target()->set_device(kAddress);
    return Do(&api::Actions::Stub::Freeze, request);
  }
  grpc::Status Thaw() {
    api::ThawRequest request;
    request.mutable_target()->set_session(id_);
    request.mutable_target()->set_device(kAddress);
    return Do(&api::Actions::Stub::Thaw, request);
  }
  grpc::Status Revoke() {
    api::RevokeRequest request;
    request.set_session(id_);
    request.set_container(kContainer);
    return Do(&api::Actions::Stub::Revoke, request);
  }
  grpc::Status SetLimits(const api::Limits& limits) {
    api::SetLimitsRequest request;
    request.set_session(id_);
    request.set_container(kContainer);
    *request.mutable_limits() = limits;
    return Do(&api::Actions::Stub::SetLimits, request);
  }

  grpc::Status List(std::vector<api::Mapping>& mappings) {
    ClientContext context;
    api::ListMappingsRequest request;
    request.set_session(id_);
    request.set_container(kContainer);
    const auto reader = stubs_->spaces.ListMappings(&context, request);
    api::ListMappingsResponse response;
    while (reader->Read(&response)) {
      mappings.insert(mappings.end(), response.mappings().begin(), response.mappings().end());
    }
    return reader->Finish();
  }
  std::vector<api::Mapping> Mappings() {
    std::vector<api::Mapping> mappings;
    EXPECT_TRUE(List(mappings).ok());
    return mappings;
  }
  grpc::Status Translate(uint64_t iova, api::Translation& translation) {
    ClientContext context;
    api::TranslateRequest request;
    request.set_session(id_);
    request.set_container(kContainer);
    request.set_iova(iova);
    return stubs_->spaces.Translate(&context, request, &translation);
  }

 public:
  // --- What may be under way when a daemon is killed ---

  grpc::Status ListAgain() {
    std::vector<api::Mapping> mappings;
    return List(mappings);
  }
  grpc::Status TranslateAgain() {
    api::Translation translation;
    return Translate(0, translation);
  }
  grpc::Status LimitAgain() {
    api::Limits limits;
    limits.set_mapping_count(100 + limit_++ % 2);
    return SetLimits(limits);
  }
  grpc::Status FreezeOrThaw() { return freeze_++ % 2 == 0 ? Freeze() : Thaw(); }
  grpc::Status RevokeAgain() { return Revoke(); }

 protected:
  int limit_ = 0;
  int freeze_ = 0;
  std::unique_ptr<QemuDisk> disk_;
  std::unique_ptr<Daemon> daemon_;
  std::unique_ptr<Stubs> stubs_;
  std::unique_ptr<QemuIo> qemu_;
  std::string id_;
  api::ActionResponse answer_;
};

TEST_F(OrchestratorTest, AProgramIsSeenAsItIs) {
  ClientContext context;
  api::ListSessionsResponse list;
  ASSERT_TRUE(stubs_->sessions.ListSessions(&context, {}, &list).ok());
  ASSERT_EQ(list.sessions_size(), 1);
  EXPECT_EQ(list.sessions(0).id(), id_);
  const api::Session session = Get();
  EXPECT_EQ(session.pid(), qemu_->process().pid());
  EXPECT_NE(session.command().find("qemu-io"), std::string::npos);
  EXPECT_EQ(session.backend(), api::BACKEND_SOFTWARE);
  ASSERT_EQ(session.groups_size(), 1);
  EXPECT_EQ(session.groups(0).devices(0), kAddress);

  const std::vector<api::Mapping> mappings = Mappings();
  EXPECT_EQ(mappings.size(), Container().mapping_count());
  ASSERT_FALSE(mappings.empty());
  for (size_t i = 1; i < mappings.size(); ++i) {
    EXPECT_GT(mappings[i].first(), mappings[i - 1].last());
  }
  EXPECT_EQ(Container().number(), kContainer);
  api::Translation translation;
  ASSERT_TRUE(Translate(mappings[0].first() + 1, translation).ok());
  EXPECT_EQ(translation.user_address(), mappings[0].user_address() + 1);
}

TEST_F(OrchestratorTest, MappingsAreEvents) {
  Events events(*stubs_);
  events.Await(api::Event::KIND_OPENED, false);
  // The program answers in order: when it has answered this it knows what is wanted of it.
  Get();
  // More than the driver keeps mapped for itself.
  const std::string written = qemu_->Do("write -P 0x5a 0 1M");
  const api::Event mapped = events.Await(api::Event::KIND_MAPPED);
  EXPECT_EQ(mapped.session(), id_);
  EXPECT_EQ(mapped.container(), Container().number());
  EXPECT_NE(mapped.user_address(), 0u);
  EXPECT_NE(written.find("wrote 1048576/1048576"), std::string::npos) << written;
}

TEST_F(OrchestratorTest, AFrozenDeviceStandsStillUntilItIsThawed) {
  qemu_->Do("write -P 0x11 0 64k");
  ASSERT_TRUE(Freeze().ok());
  EXPECT_TRUE(Get().groups(0).is_frozen());
  qemu_->Send("write -P 0x22 0 64k");
  EXPECT_TRUE(qemu_->process().IsQuietFor(500));
  EXPECT_TRUE(qemu_->process().IsAlive());
  EXPECT_TRUE(IsPattern(disk_->image().Read(0, 65536), 65536, 0x11));
  ASSERT_TRUE(Thaw().ok());
  EXPECT_NE(qemu_->Answer().find("wrote 65536/65536"), std::string::npos);
  EXPECT_TRUE(IsPattern(disk_->image().Read(0, 65536), 65536, 0x22));
}

TEST_F(OrchestratorTest, TheNextDaemonKnowsTheProgramAndWhatIsFrozenStaysSo) {
  ASSERT_TRUE(Freeze().ok());
  qemu_->Send("write -P 0x22 0 64k");
  EXPECT_LT(Restart(), std::chrono::milliseconds(1000));
  EXPECT_TRUE(Get().groups(0).is_frozen());
  EXPECT_TRUE(qemu_->process().IsQuietFor(200));
  ASSERT_TRUE(Thaw().ok());
  EXPECT_NE(qemu_->Answer().find("wrote 65536/65536"), std::string::npos);
  EXPECT_LT(Restart(), std::chrono::milliseconds(1000));
  EXPECT_FALSE(Get().groups(0).is_frozen());
  EXPECT_NE(qemu_->Do("read -P 0x22 0 64k").find("read 65536/65536"), std::string::npos);
}

// Makes calls of a kind, one after the other, until the daemon is gone.
class Caller {
 public:
  template <typename Call>
  explicit Caller(Call call)
      : thread_([this, call] {
          while (call().error_code() != StatusCode::UNAVAILABLE) ++answered_;
        }) {}
  ~Caller() { thread_.join(); }
  Caller(const Caller&) = delete;
  Caller& operator=(const Caller&) = delete;

  void AwaitAnswers(int number) const {
    while (answered_ < number) std::this_thread::yield();
  }

 private:
  std::atomic<int> answered_ = 0;
  std::thread thread_;
};

using Call = grpc::Status (OrchestratorTest::*)();

class KilledDaemonTest : public OrchestratorTest,
                         public testing::WithParamInterface<std::pair<const char*, Call>> {};

// Whatever it was doing then: the program goes on, and the next daemon knows it within a second.
TEST_P(KilledDaemonTest, DisturbsNoProgram) {
  const Call call = GetParam().second;
  qemu_->Do("write -P 0x33 0 1M");
  for (int i = 0; i < 3; ++i) {
    {
      Events events(*stubs_);
      const Caller caller([&] { return (this->*call)(); });
      caller.AwaitAnswers(3);
      daemon_->Kill();
    }
    EXPECT_LT(Restart(), std::chrono::milliseconds(1000));
    EXPECT_EQ(Get().pid(), qemu_->process().pid());
  }
  EXPECT_TRUE(Thaw().ok());
  EXPECT_TRUE(SetLimits({}).ok());
  if (!Container().is_revoked()) {
    EXPECT_NE(qemu_->Do("read -P 0x33 0 1M").find("read 1048576/1048576"), std::string::npos);
  }
  EXPECT_TRUE(qemu_->process().IsAlive());
}

TEST_F(OrchestratorTest, ARevokedContainerIsEmptyAndItsProgramLives) {
  ASSERT_TRUE(Revoke().ok());
  EXPECT_TRUE(Container().is_revoked());
  EXPECT_EQ(Container().mapping_count(), 0u);
  EXPECT_TRUE(qemu_->process().IsAlive());
  Restart();
  EXPECT_TRUE(Container().is_revoked());
}

TEST_F(OrchestratorTest, AStoppedProgramIsSilentUntilItGoesOn) {
  qemu_->process().Signal(SIGSTOP);
  ClientContext context;
  api::GetSessionRequest request;
  request.set_session(id_);
  api::Session session;
  EXPECT_EQ(stubs_->sessions.GetSession(&context, request, &session).error_code(),
            StatusCode::UNAVAILABLE);
  // What is known without it is shown all the same.
  ClientContext listing;
  api::ListSessionsResponse list;
  ASSERT_TRUE(stubs_->sessions.ListSessions(&listing, {}, &list).ok());
  ASSERT_EQ(list.sessions_size(), 1);
  EXPECT_FALSE(list.sessions(0).is_responsive());
  qemu_->process().Signal(SIGCONT);
  const auto deadline = steady_clock::now() + std::chrono::seconds(10);
  grpc::Status status;
  do {
    ClientContext again;
    status = stubs_->sessions.GetSession(&again, request, &session);
  } while (!status.ok() && steady_clock::now() < deadline);
  EXPECT_TRUE(session.is_responsive());
}

TEST_F(OrchestratorTest, ASessionEndsWithItsProgram) {
  Events events(*stubs_);
  const auto before = steady_clock::now();
  qemu_->process().Kill();
  EXPECT_EQ(events.Await(api::Event::KIND_CLOSED, false).session(), id_);
  EXPECT_LT(steady_clock::now() - before, std::chrono::seconds(1));
}

INSTANTIATE_TEST_SUITE_P(
    InTheMiddleOf, KilledDaemonTest,
    testing::Values(std::make_pair("Listing", &OrchestratorTest::ListAgain),
                    std::make_pair("Translating", &OrchestratorTest::TranslateAgain),
                    std::make_pair("Limiting", &OrchestratorTest::LimitAgain),
                    std::make_pair("Freezing", &OrchestratorTest::FreezeOrThaw),
                    std::make_pair("Revoking", &OrchestratorTest::RevokeAgain)),
    [](const auto& info) { return info.param.first; });

}  // namespace
}  // namespace tests::control
