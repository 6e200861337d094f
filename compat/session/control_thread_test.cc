#include "compat/session/control_thread.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <memory>
#include <string>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/session/testing/fake_daemon.h"
#include "compat/soft/test_host.h"

namespace compat::session {
namespace {

using soft::TestHost;
using testing::FakeDaemon;
using testing::FakeSession;
using testing::Message;
using Clock = std::chrono::steady_clock;
using namespace std::chrono_literals;

class ControlThreadTest : public ::testing::Test {
 protected:
  ~ControlThreadTest() override { munmap(memory_, kBytes); }

  void Start() { ASSERT_TRUE(thread_->Start().ok()); }
  FakeSession StartAndGreet() {
    daemon_.Start();
    Start();
    return daemon_.Greet(hello_);
  }
  static Message Subscription(uint32_t kinds) {
    return Message(Kind::kSubscribe, Subscribe{.kinds = kinds, .reserved = 0});
  }
  void MapAndUnmap(int container) const {
    abi::DmaMap map = {.argsz = sizeof(abi::DmaMap),
                       .flags = abi::kDmaMapFlagRead,
                       .vaddr = reinterpret_cast<uint64_t>(memory_),
                       .iova = 0x10000,
                       .size = 4096};
    EXPECT_EQ(host_->Ioctl(container, abi::kIommuMapDma, &map), 0);
    abi::DmaUnmap unmap = {
        .argsz = sizeof(abi::DmaUnmap), .flags = 0, .iova = 0x10000, .size = 4096};
    EXPECT_EQ(host_->Ioctl(container, abi::kIommuUnmapDma, &unmap), 0);
  }

  static constexpr size_t kBytes = 4096;
  void* memory_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  FakeDaemon daemon_;
  std::unique_ptr<TestHost> host_ = std::make_unique<TestHost>();
  std::unique_ptr<ControlThread> thread_ =
      std::make_unique<ControlThread>(host_->host(), daemon_.path().c_str());
  Hello hello_ = {};
};

TEST_F(ControlThreadTest, SaysWhoTheProcessIs) {
  const FakeSession session = StartAndGreet();
  ASSERT_TRUE(session.is_open());
  EXPECT_NE(hello_.session, 0u);
  EXPECT_EQ(hello_.host, host_->host().state().id);
  EXPECT_NE(hello_.host, 0u);
  EXPECT_EQ(hello_.pid, getpid());
  EXPECT_EQ(hello_.backend, 1u);
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto started = std::chrono::nanoseconds(hello_.start_time);
  EXPECT_LT(std::chrono::abs(now - started), 1min);
  EXPECT_NE(std::string(hello_.command).find("control_thread_test"), std::string::npos);
}

TEST_F(ControlThreadTest, AnswersOneRequestAfterTheOther) {
  FakeSession session = StartAndGreet();
  for (int i = 0; i < 100; ++i) ASSERT_TRUE(session.Ask(Kind::kPing).IsRight());
  host_->OpenContainer();
  const Message answer = session.Ask(Kind::kListContainers, ListContainers{});
  EXPECT_EQ(answer.body<ContainerList>().count, 1u);
}

TEST_F(ControlThreadTest, FindsADaemonThatStartsLater) {
  Start();
  const auto before = Clock::now();
  daemon_.Start();
  EXPECT_TRUE(daemon_.Greet(hello_).is_open());
  EXPECT_LT(Clock::now() - before, 1s);
}

TEST_F(ControlThreadTest, IsTheSameSessionToTheNextDaemon) {
  FakeSession session = StartAndGreet();
  const uint64_t before = hello_.session;
  for (int i = 0; i < 3; ++i) {
    daemon_.Stop();
    session.Close();
    const auto restart = Clock::now();
    daemon_.Start();
    session = daemon_.Greet(hello_);
    ASSERT_TRUE(session.is_open());
    EXPECT_LT(Clock::now() - restart, 1s);
    EXPECT_EQ(hello_.session, before);
    EXPECT_TRUE(session.Ask(Kind::kPing).IsRight());
  }
}

TEST_F(ControlThreadTest, SendsEventsWhileSubscribed) {
  FakeSession session = StartAndGreet();
  int group = -1;
  const int container = host_->ContainerOfType(abi::kType1v2Iommu, group);
  session.Ask(Kind::kSubscribe, Subscribe{.kinds = ~0u, .reserved = 0});
  for (int i = 0; i < 3000; ++i) MapAndUnmap(container);
  const std::vector<Event> events = session.Events(6000);
  ASSERT_EQ(events.size(), 6000u);
  EXPECT_EQ(events[0].kind, static_cast<uint16_t>(EventKind::kMapped));
  EXPECT_EQ(events[5999].kind, static_cast<uint16_t>(EventKind::kUnmapped));
  EXPECT_EQ(session.dropped(), 0u);

  session.Ask(Kind::kSubscribe, Subscribe{});
  MapAndUnmap(container);
  session.Ask(Kind::kPing);
  session.Ask(Kind::kSubscribe, Subscribe{.kinds = ~0u, .reserved = 0});
  host_->Close(host_->OpenContainer());
  EXPECT_EQ(session.Events(2).front().kind, static_cast<uint16_t>(EventKind::kOpened));
}

TEST_F(ControlThreadTest, CountsWhatADaemonThatDoesNotReadLoses) {
  FakeSession session = StartAndGreet();
  int group = -1;
  const int container = host_->ContainerOfType(abi::kType1v2Iommu, group);
  session.Ask(Kind::kSubscribe, Subscribe{.kinds = ~0u, .reserved = 0});
  constexpr uint64_t kPairs = 100000;
  for (uint64_t i = 0; i < kPairs; ++i) MapAndUnmap(container);
  uint64_t seen = 0;
  while (seen + session.dropped() < 2 * kPairs) {
    const size_t more = session.Events(1).size();
    if (more == 0) break;
    seen += more;
  }
  EXPECT_EQ(seen + session.dropped(), 2 * kPairs);
  EXPECT_GT(session.dropped(), 0u);
}

TEST_F(ControlThreadTest, EventsEndWithTheConnection) {
  FakeSession session = StartAndGreet();
  session.Ask(Kind::kSubscribe, Subscribe{.kinds = ~0u, .reserved = 0});
  daemon_.Stop();
  session.Close();
  daemon_.Start();
  session = daemon_.Greet(hello_);
  host_->OpenContainer();
  session.Ask(Kind::kPing);
  session.Ask(Kind::kSubscribe, Subscribe{.kinds = ~0u, .reserved = 0});
  host_->OpenContainer();
  const std::vector<Event> events = session.Events(1);
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].container, 2u);
}

// --- Daemons that are not right ---

TEST_F(ControlThreadTest, EndsTheConnectionForMessagesThatAreNotRight) {
  daemon_.Start();
  Start();
  std::vector<Message> wrong;
  wrong.emplace_back(std::vector<std::byte>(1));
  wrong.emplace_back(std::vector<std::byte>(sizeof(MessageHeader)));
  wrong.emplace_back(std::vector<std::byte>(kMaxMessage + 1));
  wrong.emplace_back(Kind::kHello);
  wrong.emplace_back(Kind::kTranslate);
  Message longer(Kind::kPing);
  longer.header().size += 1;
  wrong.push_back(longer);
  Message too_long(Kind::kPing);
  too_long.bytes().resize(100'000);
  too_long.header().size = 100'000;
  wrong.push_back(too_long);
  for (const Message& message : wrong) {
    const FakeSession session = daemon_.Greet(hello_);
    ASSERT_TRUE(session.is_open());
    session.Send(message);
    EXPECT_TRUE(session.Ends()) << message.bytes().size();
  }
  EXPECT_TRUE(daemon_.Greet(hello_).Ask(Kind::kPing).IsRight());
}

TEST_F(ControlThreadTest, SaysGoodbyeToOtherVersionsAndFindsTheNextDaemon) {
  FakeSession session = StartAndGreet();
  Message ping(Kind::kPing);
  ping.header().version = kVersion + 1;
  session.Send(ping);
  const Message goodbye = session.Receive();
  ASSERT_TRUE(goodbye.IsRight());
  EXPECT_EQ(goodbye.kind(), Kind::kGoodbye);
  EXPECT_STREQ(goodbye.body<Goodbye>().reason, "the message is of another version");
  EXPECT_TRUE(session.Ends());
  daemon_.Stop();
  const auto restart = Clock::now();
  daemon_.Start();
  EXPECT_TRUE(daemon_.Greet(hello_).is_open());
  EXPECT_LT(Clock::now() - restart, 1s);
}

// --- Processes ---

TEST_F(ControlThreadTest, AForkedChildHasASessionOfItsOwn) {
  FakeSession session = StartAndGreet();
  const Hello parent = hello_;
  const pid_t child = host_->Fork();
  if (child == 0) {
    thread_->AfterForkInChild();
    _exit(thread_->Start().ok() ? pause() : 1);
  }
  FakeSession childs = daemon_.Greet(hello_);
  ASSERT_TRUE(childs.is_open());
  EXPECT_NE(hello_.session, parent.session);
  EXPECT_EQ(hello_.host, parent.host);
  EXPECT_EQ(hello_.pid, child);
  EXPECT_TRUE(childs.Ask(Kind::kPing).IsRight());
  EXPECT_TRUE(session.Ask(Kind::kPing).IsRight());

  kill(child, SIGKILL);
  EXPECT_TRUE(childs.Ends());
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(session.Ask(Kind::kPing).IsRight());
}

TEST_F(ControlThreadTest, StopEndsTheSession) {
  const FakeSession session = StartAndGreet();
  thread_->Stop();
  EXPECT_TRUE(session.Ends());
}

}  // namespace
}  // namespace compat::session
