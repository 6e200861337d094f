// Programs that send what they must not: each is told why, and cut off; the server lives.
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "tools/daemon/sessions/questions.h"
#include "tools/daemon/sessions/test_server.h"
#include "tools/daemon/testing/fake_program.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;
using testing::Bytes;
using testing::BytesOf;
using testing::FakeModel;
using testing::FakeProgram;

constexpr auto kHello = static_cast<uint16_t>(channel::Kind::kHello);
constexpr auto kEvents = static_cast<uint16_t>(channel::Kind::kEvents);

channel::Hello RightHello(uint64_t id) {
  channel::Hello hello{};
  hello.session = id;
  hello.backend = 1;
  return hello;
}

class HostileProgramsTest : public ::testing::Test {
 protected:
  // What the server says to somebody who sends this first.
  std::string AnswerToFirst(const Bytes& packet) {
    FakeProgram program(1, FakeModel());
    program.ConnectSilently(server_.path());
    program.Send(packet);
    return program.WaitForEnd();
  }
  // And to a session that sends this.
  std::string AnswerTo(const Bytes& packet) {
    FakeProgram program(++last_id_, FakeModel());
    program.Connect(server_.path());
    server_.Await(last_id_);
    program.Send(packet);
    const std::string reason = program.WaitForEnd();
    server_.AwaitEvent(EventKind::kClosed, last_id_);
    return reason;
  }
  // The same to one whose answer to a question of `kind` this is, and what the question got.
  template <typename Question>
  std::string AnswerToAnswer(channel::Kind kind, FakeProgram::Handler handler,
                             const Question& question) {
    FakeProgram program(++last_id_, FakeModel::WithMappings(1));
    program.Handle(kind, std::move(handler));
    program.Connect(server_.path());
    const auto session = server_.Await(last_id_);
    EXPECT_EQ(question(*session).code(), absl::StatusCode::kUnavailable);
    return program.WaitForEnd();
  }
  // Others are served as before.
  void TearDown() override {
    FakeProgram program(2, FakeModel::WithMappings(1));
    program.Connect(server_.path());
    EXPECT_TRUE(ListGroups(*server_.Await(2)).ok());
  }

  TestServer server_;
  uint64_t last_id_ = 100;  // no session has the id of one before it
};

TEST_F(HostileProgramsTest, WhatIsNoMessageIsRefused) {
  EXPECT_EQ(AnswerToFirst(Bytes(1)), "what was sent is no message");
  EXPECT_EQ(AnswerToFirst(Bytes(24)), "what was sent is no message");
  EXPECT_EQ(AnswerToFirst(Bytes(channel::kMaxMessage)), "what was sent is no message");
  EXPECT_EQ(AnswerToFirst(Bytes(channel::kMaxMessage + 100)), "a message that is too long");
  Bytes of_another_size = testing::Message(kHello, 0, 0, BytesOf(RightHello(1)));
  of_another_size.resize(of_another_size.size() - 1);
  EXPECT_EQ(AnswerToFirst(of_another_size), "what was sent is no message");
}

TEST_F(HostileProgramsTest, AnotherVersionIsToldThisOne) {
  Bytes hello = testing::Message(kHello, 0, 0, BytesOf(RightHello(1)));
  reinterpret_cast<channel::MessageHeader*>(hello.data())->version = 9;
  EXPECT_EQ(AnswerToFirst(hello), "version 9 of the channel; this daemon has 1");
}

TEST_F(HostileProgramsTest, HellosThatAreNotRightAreRefused) {
  const auto answer_to = [this](channel::Hello hello) {
    return AnswerToFirst(testing::Message(kHello, 0, 0, BytesOf(hello)));
  };
  channel::Hello hello = RightHello(1);
  std::memset(hello.command, 'x', sizeof(hello.command));
  EXPECT_EQ(answer_to(hello), "a command without an end");
  hello = RightHello(1);
  hello.backend = 3;
  EXPECT_EQ(answer_to(hello), "backend 3");
  EXPECT_EQ(answer_to(RightHello(0)), "session id 0");
  EXPECT_EQ(AnswerToFirst(testing::Message(kHello, 0, 0, {})), "a Hello of another size");
}

TEST_F(HostileProgramsTest, NothingIsHeardBeforeHello) {
  EXPECT_EQ(AnswerToFirst(testing::Message(kEvents, 0, 0, {})), "a message of kind 2 before Hello");
}

TEST_F(HostileProgramsTest, WhoSaysNothingIsCutOffAfterASecond) {
  FakeProgram program(1, FakeModel());
  program.ConnectSilently(server_.path());
  EXPECT_EQ(program.WaitForEnd(), "it has not said within a second who it is");
}

TEST_F(HostileProgramsTest, RequestsAreTheDaemonsToMake) {
  EXPECT_EQ(AnswerTo(testing::Message(16, 0, 0, {})),
            "a message of kind 16, which is not a program's to send");
  EXPECT_EQ(AnswerTo(testing::Message(kHello, 0, 0, BytesOf(RightHello(5)))),
            "a message of kind 1, which is not a program's to send");
}

TEST_F(HostileProgramsTest, AnswersThatNobodyAskedForEndTheSession) {
  EXPECT_EQ(AnswerTo(testing::Message(16 | channel::kAnswerBit, 7, 0, {})),
            "an answer of kind 16 to request 7, which is not the next to be answered");
}

TEST_F(HostileProgramsTest, AnsweringTwiceEndsTheSession) {
  FakeProgram program(1, FakeModel());
  program.Handle(channel::Kind::kPing, [&program](const auto& request, auto) {
    program.Send(testing::AnswerTo(request, {}));
    return testing::AnswerTo(request, {});
  });
  program.Connect(server_.path());
  EXPECT_TRUE(server_.Await(1)->Ask(channel::Kind::kPing, {}).ok());
  EXPECT_EQ(program.WaitForEnd(),
            "an answer of kind 16 to request 1, which is not the next to be answered");
}

TEST_F(HostileProgramsTest, AnAnswerToAnotherRequestEndsTheSession) {
  FakeProgram program(1, FakeModel());
  program.Handle(channel::Kind::kPing, [](channel::MessageHeader request, auto) {
    ++request.request;
    return testing::AnswerTo(request, {});
  });
  program.Connect(server_.path());
  EXPECT_EQ(server_.Await(1)->Ask(channel::Kind::kPing, {}).status().code(),
            absl::StatusCode::kNotFound);
  EXPECT_EQ(program.WaitForEnd(),
            "an answer of kind 16 to request 2, which is not the next to be answered");
}

TEST_F(HostileProgramsTest, EventsThatAreNotRightEndTheSession) {
  const auto events = [](uint32_t said, std::vector<uint16_t> kinds) {
    Bytes bytes;
    testing::Append(bytes,
                    BytesOf(channel::EventBatch{.count = said, .reserved = 0, .dropped = 0}));
    for (const uint16_t kind : kinds) {
      channel::Event event{};
      event.kind = kind;
      testing::Append(bytes, BytesOf(event));
    }
    return testing::Message(kEvents, 0, 0, bytes);
  };
  EXPECT_EQ(AnswerTo(testing::Message(kEvents, 0, 0, {})), "an EventBatch that is cut short");
  EXPECT_EQ(AnswerTo(events(2, {7})), "an EventBatch that says it has 2 events");
  EXPECT_EQ(AnswerTo(events(0xffffffff, {7})), "an EventBatch that says it has 4294967295 events");
  EXPECT_EQ(AnswerTo(events(0, {7})), "an EventBatch that says it has 0 events");
  // What only the daemon tells of, and what does not exist.
  for (const uint16_t kind : {0, 12, 13, 14, 31, 32, 65535}) {
    EXPECT_EQ(AnswerTo(events(1, {kind})), "an event of kind " + std::to_string(kind));
  }
}

TEST_F(HostileProgramsTest, ListsThatSayTheyAreLongerThanTheyAreEndTheSession) {
  EXPECT_EQ(AnswerToAnswer(
                channel::Kind::kListGroups,
                [](const auto& request, auto) {
                  return testing::AnswerTo(request, BytesOf(channel::GroupList{9, 0}));
                },
                [](Session& session) { return ListGroups(session).status(); }),
            "its answer is not right: it says that it has 9 elements");
}

TEST_F(HostileProgramsTest, NamesThatAreNoTextEndTheSession) {
  for (const char* name : {"a\nb", "a b", "\x1b[1m", "\xc3\xa9"}) {
    FakeModel model = FakeModel::WithMappings(1);
    std::strcpy(model.groups[0].devices[0], name);
    FakeProgram program(++last_id_, model);
    program.Connect(server_.path());
    EXPECT_EQ(ListGroups(*server_.Await(last_id_)).status().code(), absl::StatusCode::kUnavailable);
    EXPECT_EQ(program.WaitForEnd(),
              "its answer is not right: an element with values that do not exist");
  }
}

TEST_F(HostileProgramsTest, ContainersWithoutAnEndEndTheSession) {
  EXPECT_EQ(AnswerToAnswer(
                channel::Kind::kListContainers,
                [](const auto& request, auto) {
                  return testing::AnswerTo(request, BytesOf(channel::ContainerList{0, 1}));
                },
                [](Session& session) { return ListContainers(session).status(); }),
            "its answer is not right: containers without an end");
}

TEST_F(HostileProgramsTest, ContainerValuesThatDoNotExistEndTheSession) {
  std::vector<void (*)(channel::ContainerInfo&)> changes = {
      [](channel::ContainerInfo& container) { container.type = 4; },
      [](channel::ContainerInfo& container) { container.number = 0; },
      [](channel::ContainerInfo& container) { container.flags = 4; },
      [](channel::ContainerInfo& container) { container.limits.range_count = 17; },
      [](channel::ContainerInfo& container) {
        container.limits.range_count = 1;
        container.limits.ranges[0] = {2, 1};
      }};
  for (const auto change : changes) {
    EXPECT_EQ(AnswerToAnswer(
                  channel::Kind::kListContainers,
                  [change](const auto& request, auto) {
                    channel::ContainerInfo container{};
                    container.number = 1;
                    change(container);
                    Bytes bytes;
                    testing::Append(bytes, BytesOf(channel::ContainerList{1, 0}));
                    testing::Append(bytes, BytesOf(container));
                    return testing::AnswerTo(request, bytes);
                  },
                  [](Session& session) { return ListContainers(session).status(); }),
              "its answer is not right: an element with values that do not exist");
  }
}

TEST_F(HostileProgramsTest, IoasValuesThatDoNotExistEndTheSession) {
  constexpr uint32_t kBit = channel::kIoasBit;
  const uint32_t wrong[][3] = {{1 << 16 | 1, 1, 1}, {kBit | 1, 0, 1}, {kBit | 1 << 16, 1, 0}};
  for (const auto& [number, context, object] : wrong) {
    channel::IoasInfo ioas{};
    ioas.number = number;
    ioas.context = context;
    ioas.object = object;
    EXPECT_EQ(AnswerToAnswer(
                  channel::Kind::kListIoases,
                  [ioas](const auto& request, auto) {
                    Bytes bytes;
                    testing::Append(bytes, BytesOf(channel::ContainerList{1, 0}));
                    testing::Append(bytes, BytesOf(ioas));
                    return testing::AnswerTo(request, bytes);
                  },
                  [](Session& session) { return ListIoases(session).status(); }),
              "its answer is not right: an element with values that do not exist");
  }
}

TEST_F(HostileProgramsTest, ATranslationThatLeadsElsewhereEndsTheSession) {
  EXPECT_EQ(AnswerToAnswer(
                channel::Kind::kTranslate,
                [](const auto& request, auto) {
                  channel::Translated translated{};
                  translated.mapping = {
                      .first = 0, .last = 4095, .user_address = 0, .pid = 1, .access = 3};
                  translated.contiguous = 5000;
                  return testing::AnswerTo(request, BytesOf(translated));
                },
                [](Session& session) {
                  return Translate(session, {1, 0, 5}).status();
                }),
            "its answer is not right: a mapping that the address does not lie in");
}

TEST_F(HostileProgramsTest, FreeRangesOtherThanWereAskedForEndTheSession) {
  using Change = void (*)(channel::FoundRange&, channel::IovaLimits(&)[2]);
  const Change changes[] = {
      [](auto& found, auto&) { found.range.last += 1; },
      [](auto& found, auto&) {
        found.range = {0x2800, 0x3fff};
      },
      [](auto& found, auto&) {
        found.range = {0, 0x17ff};
      },
      [](auto& found, auto&) { found.alignment = 0; },
      [](auto& found, auto&) { found.alignment = 0x800; },
      [](auto& found, auto&) { found.is_found = 2; },
      [](auto& found, auto&) { found.has_largest = 0; },
      [](auto& found, auto&) { found.largest.last = 0x10000; },
      [](auto& found, auto&) { found.more = 2; },
      [](auto&, auto& free) { free[0].first = 0xfff; },
      [](auto&, auto& free) { free[1].first = free[0].last; },
  };
  const auto ask = [this](Change change) {
    return AnswerToAnswer(
        channel::Kind::kFindRange,
        [change](const auto& request, auto) {
          channel::FoundRange found = {.is_found = 1,
                                       .has_largest = 1,
                                       .range = {0x2000, 0x37ff},
                                       .largest = {0x2000, 0x4fff},
                                       .alignment = 0x1000,
                                       .count = 2,
                                       .more = 0};
          channel::IovaLimits free[2] = {{0x1800, 0x4fff}, {0x8000, 0x8fff}};
          change(found, free);
          Bytes bytes;
          testing::Append(bytes, BytesOf(found));
          testing::Append(bytes, std::as_bytes(std::span(free)));
          return testing::AnswerTo(request, bytes);
        },
        [](Session& session) {
          return FindRange(session, {1, 0, 0x1800, 0x1000, 0x1000, 0xffff}).status();
        });
  };
  for (const Change change : changes) {
    EXPECT_EQ(ask(change), "its answer is not right: ranges other than were asked for")
        << &change - changes;
  }
}

TEST_F(HostileProgramsTest, MappingsThatDoNotAscendOrGoOnForEverAreRefused) {
  FakeProgram program(1, FakeModel());
  program.Connect(server_.path());
  const auto session = server_.Await(1);
  const channel::ListMappings request = {.container = 1, .reserved = 0, .first = 100, .last = 999};
  const auto check = [&](channel::MappingList list, std::vector<channel::MappingInfo> mappings) {
    list.count = static_cast<uint32_t>(mappings.size());
    Bytes bytes;
    testing::Append(bytes, BytesOf(list));
    testing::Append(bytes, std::as_bytes(std::span(mappings)));
    const Packet packet = testing::Message(20 | channel::kAnswerBit, 1, 0, bytes);
    return CheckMappings(*session, packet, request).ok();
  };
  EXPECT_TRUE(check({}, {{50, 100, 0, 1, 3}, {101, 999, 0, 1, 3}}));
  EXPECT_TRUE(check({.count = 0, .more = 1, .next = 102}, {{100, 101, 0, 1, 3}}));
  EXPECT_FALSE(check({}, {{101, 999, 0, 1, 3}, {100, 100, 0, 1, 3}}));
  EXPECT_FALSE(check({}, {{0, 99, 0, 1, 3}}));
  EXPECT_FALSE(check({}, {{1000, 1001, 0, 1, 3}}));
  EXPECT_FALSE(check({}, {{200, 199, 0, 1, 3}}));
  EXPECT_FALSE(check({}, {{200, 201, 0, 1, 8}}));
  EXPECT_FALSE(check({.count = 0, .more = 1, .next = 100}, {}));
  EXPECT_FALSE(check({.count = 0, .more = 1, .next = 101}, {{100, 101, 0, 1, 3}}));
}

TEST_F(HostileProgramsTest, AnIdThatAnotherProcessHasIsRefused) {
  FakeProgram program(1, FakeModel());
  program.Connect(server_.path());
  server_.Await(1);
  // Another process: one with this id is there already.
  int status = 0;
  const pid_t child = fork();
  if (child == 0) {
    FakeProgram other(1, FakeModel());
    other.ConnectSilently(server_.path());
    other.Send(testing::Message(kHello, 0, 0, BytesOf(RightHello(1))));
    _exit(other.WaitForEnd() == "session 0000000000000001 is connected already" ? 0 : 1);
  }
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(server_.Await(1)->Ask(channel::Kind::kPing, {}).ok());
}

TEST(SessionBoundsTest, ConnectionsBeyondTheBoundsAreTurnedAway) {
  TestServer server({.in_all = 100, .of_a_user = 2});
  FakeProgram first(1, FakeModel());
  FakeProgram second(2, FakeModel());
  first.Connect(server.path());
  second.Connect(server.path());
  server.Await(1);
  server.Await(2);
  FakeProgram third(3, FakeModel());
  third.ConnectSilently(server.path());
  EXPECT_EQ(third.WaitForEnd(), "uid " + std::to_string(getuid()) + " has 2 sessions already");
  TestServer small({.in_all = 0, .of_a_user = 2});
  FakeProgram fourth(4, FakeModel());
  fourth.ConnectSilently(small.path());
  EXPECT_EQ(fourth.WaitForEnd(), "there are 0 sessions already");
}

}  // namespace
}  // namespace tools::daemon
