// Acting, through gRPC: Actions, Dirty, and what happens only once.
#include <cerrno>
#include <cstring>
#include <string>
#include <vector>

#include "tools/daemon/services/test_daemon.h"
#include "tools/daemon/testing/fake_program.h"
#include "vfio/compat/v1/actions.grpc.pb.h"
#include "vfio/compat/v1/dirty.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;
using grpc::StatusCode;
using testing::FakeModel;
using testing::FakeProgram;

constexpr char kId[] = "000000000000abcd";

class ActionsTest : public ::testing::Test {
 protected:
  void Connect() {
    program_.Connect(daemon_.sessions().path());
    daemon_.sessions().Await(0xabcd);
  }
  static api::FreezeRequest FreezeOf(const std::string& device) {
    api::FreezeRequest request;
    request.mutable_target()->set_session(kId);
    request.mutable_target()->set_device(device);
    return request;
  }
  grpc::Status Freeze(const api::FreezeRequest& request, api::ActionResponse* response) {
    grpc::ClientContext context;
    return actions_.Freeze(&context, request, response);
  }
  // The event of that number.
  LoggedEvent EventOf(uint64_t sequence) {
    const auto reader = daemon_.sessions().log().Open({.all_users = true, .uid = {}}, sequence);
    return reader->Read(1).events.at(0);
  }

  TestDaemon daemon_;
  FakeProgram program_{0xabcd, FakeModel::WithMappings(10)};
  api::Actions::Stub actions_{daemon_.channel()};
  api::Dirty::Stub dirty_{daemon_.channel()};
};

TEST_F(ActionsTest, ADeviceIsFrozenAndThawed) {
  Connect();
  api::ActionResponse response;
  ASSERT_TRUE(Freeze(FreezeOf("0000:00:05.0"), &response).ok());
  ASSERT_EQ(response.devices_size(), 1);
  EXPECT_EQ(response.devices(0), "0000:00:05.0");
  EXPECT_FALSE(response.was_in_force());
  EXPECT_FALSE(response.went_around_process());
  EXPECT_EQ(program_.model().groups[0].flags, uint32_t{channel::kGroupIsFrozen});
  const LoggedEvent event = EventOf(response.sequence());
  EXPECT_EQ(event.kind, EventKind::kAction);
  EXPECT_EQ(event.action, "Freeze");
  EXPECT_EQ(event.actor, "root");
  EXPECT_EQ(event.value, 7u);

  ASSERT_TRUE(Freeze(FreezeOf("0000:00:05.0"), &response).ok());
  EXPECT_TRUE(response.was_in_force());

  grpc::ClientContext context;
  api::ThawRequest thaw;
  thaw.mutable_target()->set_session(kId);
  thaw.mutable_target()->set_container(1);
  ASSERT_TRUE(actions_.Thaw(&context, thaw, &response).ok());
  EXPECT_EQ(program_.model().groups[0].flags, 0u);
}

TEST_F(ActionsTest, ADryRunChangesNothing) {
  Connect();
  api::FreezeRequest request = FreezeOf("0000:00:05.0");
  request.set_dry_run(true);
  api::ActionResponse response;
  ASSERT_TRUE(Freeze(request, &response).ok());
  EXPECT_EQ(response.devices_size(), 1);
  EXPECT_EQ(response.sequence(), 0u);
  EXPECT_EQ(program_.model().groups[0].flags, 0u);
}

TEST_F(ActionsTest, AllThatASessionHasIsFrozenAndThawed) {
  Connect();
  api::FreezeRequest request;
  request.mutable_target()->set_session(kId);
  request.mutable_target()->set_all(true);
  api::ActionResponse response;
  ASSERT_TRUE(Freeze(request, &response).ok());
  EXPECT_EQ(response.devices_size(), static_cast<int>(program_.model().groups.size()));
  for (const channel::GroupInfo& group : program_.model().groups) {
    EXPECT_EQ(group.flags, uint32_t{channel::kGroupIsFrozen});
  }
  const LoggedEvent event = EventOf(response.sequence());
  EXPECT_EQ(event.container, 0u);
  EXPECT_EQ(event.value, 0u);
  ASSERT_TRUE(Freeze(request, &response).ok());
  EXPECT_TRUE(response.was_in_force());

  grpc::ClientContext context;
  api::ThawRequest thaw;
  *thaw.mutable_target() = request.target();
  ASSERT_TRUE(actions_.Thaw(&context, thaw, &response).ok());
  for (const channel::GroupInfo& group : program_.model().groups) EXPECT_EQ(group.flags, 0u);
}

TEST_F(ActionsTest, TargetsThatAreNotThereAreNamed) {
  Connect();
  api::ActionResponse response;
  grpc::Status status = Freeze(FreezeOf("0000:00:06.0"), &response);
  EXPECT_EQ(status.error_code(), StatusCode::NOT_FOUND);
  EXPECT_EQ(FieldOf(status), "target.device");
  status = Freeze(FreezeOf(""), &response);
  EXPECT_EQ(FieldOf(status), "target.device");
  api::FreezeRequest request;
  status = Freeze(request, &response);
  EXPECT_EQ(FieldOf(status), "target.session");
  request.mutable_target()->set_session(kId);
  status = Freeze(request, &response);
  EXPECT_EQ(FieldOf(status), "target");
  request.mutable_target()->set_container(0);
  status = Freeze(request, &response);
  EXPECT_EQ(FieldOf(status), "target.container");
  request.mutable_target()->set_all(false);
  status = Freeze(request, &response);
  EXPECT_EQ(FieldOf(status), "target.all");
}

TEST_F(ActionsTest, ARepeatedRequestIsNotCarriedOutAgain) {
  Connect();
  api::FreezeRequest request = FreezeOf("0000:00:05.0");
  request.set_request_id("once");
  api::ActionResponse first;
  api::ActionResponse second;
  ASSERT_TRUE(Freeze(request, &first).ok());
  ASSERT_TRUE(Freeze(request, &second).ok());
  EXPECT_EQ(first.SerializeAsString(), second.SerializeAsString());
  EXPECT_EQ(daemon_.sessions().CountEvents(EventKind::kAction, 0xabcd), 1u);

  request.mutable_target()->set_container(1);
  EXPECT_EQ(FieldOf(Freeze(request, &second)), "request_id");
}

TEST_F(ActionsTest, RequestIdsAreShortAndPrintable) {
  Connect();
  for (const std::string& id :
       {std::string(65, 'a'), std::string("a\nb"), std::string("\xc3\xa9")}) {
    api::FreezeRequest request = FreezeOf("0000:00:05.0");
    request.set_request_id(id);
    api::ActionResponse response;
    const grpc::Status status = Freeze(request, &response);
    EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
    EXPECT_EQ(FieldOf(status), "request_id");
  }
}

TEST_F(ActionsTest, ASilentProgramOnTheSoftwareHostCannotBeFrozen) {
  Connect();
  program_.Stop();
  api::ActionResponse response;
  const grpc::Status status = Freeze(FreezeOf("0000:00:05.0"), &response);
  EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
  EXPECT_EQ(ReasonOf(status), "SESSION_SILENT");
  EXPECT_NE(status.error_message().find("emulated"), std::string::npos) << status.error_message();
}

TEST_F(ActionsTest, ARangeIsUnmapped) {
  Connect();
  api::UnmapRequest request;
  request.set_session(kId);
  request.set_container(1);
  api::ActionResponse response;
  {
    grpc::ClientContext context;
    EXPECT_EQ(FieldOf(actions_.Unmap(&context, request, &response)), "range");
  }
  request.mutable_range()->set_first(4096);
  request.mutable_range()->set_last(3 * 4096 - 1);
  grpc::ClientContext context;
  ASSERT_TRUE(actions_.Unmap(&context, request, &response).ok());
  EXPECT_EQ(response.mapping_count(), 2u);
  EXPECT_EQ(response.mapped_bytes(), 8192u);
  EXPECT_EQ(program_.model().mappings.size(), 8u);
  EXPECT_EQ(EventOf(response.sequence()).first, 4096u);
}

TEST_F(ActionsTest, LimitsReachTheProgram) {
  Connect();
  api::SetLimitsRequest request;
  request.set_session(kId);
  api::Limits& limits = *request.mutable_limits();
  limits.set_mapped_bytes(1 << 20);
  limits.set_mapping_count(7);
  limits.add_allowed_iovas()->set_last(4095);
  limits.add_types(api::CONTAINER_TYPE_TYPE1_V2);
  api::ActionResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(actions_.SetLimits(&context, request, &response).ok());
  }
  const channel::Limits set = program_.model().limits;
  EXPECT_EQ(set.mapped_bytes, 1u << 20);
  EXPECT_EQ(set.mapping_count, 7u);
  ASSERT_EQ(set.range_count, 1u);
  EXPECT_EQ(set.ranges[0].last, 4095u);
  EXPECT_EQ(set.types, 1u << 3);

  limits.mutable_allowed_iovas(0)->set_first(5000);
  {
    grpc::ClientContext context;
    EXPECT_EQ(FieldOf(actions_.SetLimits(&context, request, &response)),
              "limits.allowed_iovas[0].last");
  }
  limits.clear_allowed_iovas();
  limits.add_types(api::CONTAINER_TYPE_UNSPECIFIED);
  {
    grpc::ClientContext context;
    EXPECT_EQ(FieldOf(actions_.SetLimits(&context, request, &response)), "limits.types[1]");
  }
  for (int i = 0; i < 17; ++i) limits.add_allowed_iovas();
  grpc::ClientContext context;
  EXPECT_EQ(FieldOf(actions_.SetLimits(&context, request, &response)), "limits.allowed_iovas");
}

TEST_F(ActionsTest, SomebodyElsesDirtyTrackingIsInTheWay) {
  program_.Handle(channel::Kind::kDirty, [](const auto& request, auto) {
    return testing::RefusalOf(request, EBUSY, "the program tracks");
  });
  Connect();
  grpc::ClientContext context;
  api::StartTrackingRequest request;
  api::StartTrackingResponse response;
  request.set_session(kId);
  request.set_container(1);
  const grpc::Status status = dirty_.StartTracking(&context, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::FAILED_PRECONDITION);
  EXPECT_EQ(status.error_message(), "the program tracks (EBUSY)");
}

TEST_F(ActionsTest, ABitmapComesInParts) {
  program_.Handle(channel::Kind::kDirty, [](const auto& request, auto packet) {
    const auto& dirty = *channel::BodyOf<channel::Dirty>(packet);
    channel::DirtyAnswer answer{};
    answer.bit_count = 12;
    answer.first = dirty.first;
    answer.page_size = 4096;
    answer.more = dirty.first == 0 ? 1 : 0;
    answer.next = 12 * 4096;
    testing::Bytes bytes;
    testing::Append(bytes, testing::BytesOf(answer));
    bytes.push_back(std::byte{0x81});
    bytes.push_back(std::byte{0x0f});
    return testing::AnswerTo(request, bytes);
  });
  Connect();
  grpc::ClientContext context;
  api::ReadBitmapRequest request;
  request.set_session(kId);
  request.set_container(1);
  const auto reader = dirty_.ReadBitmap(&context, request);
  api::ReadBitmapResponse response;
  std::vector<uint64_t> firsts;
  while (reader->Read(&response)) {
    firsts.push_back(response.first());
    EXPECT_EQ(response.page_size(), 4096u);
    EXPECT_EQ(response.bit_count(), 12u);
    EXPECT_EQ(response.bitmap(), "\x81\x0f");
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(firsts, (std::vector<uint64_t>{0, 12 * 4096}));
}

}  // namespace
}  // namespace tools::daemon
