// Looking: Host, Sessions, AddressSpaces, Faults, through gRPC; who may, and what is refused.
#include <google/protobuf/descriptor.h>
#include <grpcpp/generic/generic_stub.h>
#include <unistd.h>

#include <csignal>
#include <cstring>
#include <string>
#include <vector>

#include "tools/daemon/services/test_daemon.h"
#include "tools/daemon/testing/fake_program.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"
#include "vfio/compat/v1/faults.grpc.pb.h"
#include "vfio/compat/v1/host.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;
using grpc::StatusCode;
using testing::FakeModel;
using testing::FakeProgram;

constexpr char kId[] = "000000000000abcd";

// A daemon with a program that has 5,000 mappings.
class ServicesTest : public ::testing::Test {
 protected:
  ServicesTest() {
    program_.Connect(daemon_.sessions().path());
    daemon_.sessions().Await(0xabcd);
  }

  TestDaemon daemon_;
  FakeProgram program_{0xabcd, FakeModel::WithMappings(5000)};
  api::Host::Stub host_{daemon_.channel()};
  api::Sessions::Stub sessions_{daemon_.channel()};
  api::AddressSpaces::Stub spaces_{daemon_.channel()};
  api::Faults::Stub faults_{daemon_.channel()};
};

TEST_F(ServicesTest, InfoSaysWhoCallsAndWhatThereIs) {
  grpc::ClientContext context;
  api::GetInfoResponse info;
  ASSERT_TRUE(host_.GetInfo(&context, {}, &info).ok());
  EXPECT_EQ(info.version(), "0.0.test");
  EXPECT_EQ(info.session_count(), 1u);
  EXPECT_EQ(info.channel_version(), channel::kVersion);
  EXPECT_EQ(info.caller(), "root");
  EXPECT_EQ(info.caller_role(), api::ROLE_ADMIN);
  EXPECT_EQ(info.newest_sequence(), 1u);
  EXPECT_EQ(info.oldest_sequence(), 1u);
  char name[256];
  gethostname(name, sizeof(name));
  EXPECT_EQ(info.hostname(), name);
}

TEST_F(ServicesTest, TheDoctorLooksAtThisMachine) {
  grpc::ClientContext context;
  api::RunDoctorResponse response;
  ASSERT_TRUE(host_.RunDoctor(&context, {}, &response).ok());
  ASSERT_GT(response.checks_size(), 0);
  bool has_failure = false;
  for (const api::DoctorCheck& check : response.checks()) {
    EXPECT_NE(check.subject(), "");
    EXPECT_NE(check.outcome(), api::DoctorCheck::OUTCOME_UNSPECIFIED);
    has_failure |= check.outcome() == api::DoctorCheck::OUTCOME_FAILURE;
  }
  EXPECT_EQ(response.is_usable(), !has_failure);
}

TEST_F(ServicesTest, SessionsComeInPages) {
  FakeProgram other(0xef, FakeModel());
  other.Connect(daemon_.sessions().path());
  daemon_.sessions().Await(0xef);
  std::vector<std::string> ids;
  api::ListSessionsRequest request;
  request.set_page_size(1);
  do {
    grpc::ClientContext context;
    api::ListSessionsResponse response;
    ASSERT_TRUE(sessions_.ListSessions(&context, request, &response).ok());
    ASSERT_EQ(response.sessions_size(), 1);
    EXPECT_EQ(response.sessions(0).pid(), getpid());
    EXPECT_EQ(response.sessions(0).containers_size(), 0);
    ids.push_back(response.sessions(0).id());
    request.set_page_token(response.next_page_token());
  } while (!request.page_token().empty());
  EXPECT_EQ(ids, (std::vector<std::string>{"00000000000000ef", kId}));

  // A page of another request is refused.
  grpc::ClientContext context;
  api::ListSessionsResponse response;
  request.set_page_token("00000000000000ef@");
  request.set_host("00000000000000ef");
  const grpc::Status status = sessions_.ListSessions(&context, request, &response);
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "page_token");
}

TEST_F(ServicesTest, SessionsOfAHostAreThoseThatShareIt) {
  grpc::ClientContext context;
  api::ListSessionsRequest request;
  api::ListSessionsResponse response;
  request.set_host("0000000000000001");
  ASSERT_TRUE(sessions_.ListSessions(&context, request, &response).ok());
  EXPECT_EQ(response.sessions_size(), 0);
}

TEST_F(ServicesTest, ASessionHasItsContainersAndGroups) {
  grpc::ClientContext context;
  api::GetSessionRequest request;
  api::Session session;
  request.set_session(kId);
  ASSERT_TRUE(sessions_.GetSession(&context, request, &session).ok());
  EXPECT_EQ(session.id(), kId);
  EXPECT_EQ(session.uid(), getuid());
  EXPECT_EQ(session.command(), "fake --program");
  EXPECT_EQ(session.backend(), api::BACKEND_SOFTWARE);
  EXPECT_EQ(session.start_time().seconds(), 1'700'000'000);
  EXPECT_TRUE(session.is_responsive());
  ASSERT_EQ(session.containers_size(), 1);
  EXPECT_EQ(session.containers(0).number(), 1u);
  EXPECT_EQ(session.containers(0).type(), api::CONTAINER_TYPE_TYPE1);
  EXPECT_EQ(session.containers(0).mapping_count(), 5000u);
  ASSERT_EQ(session.containers(0).groups_size(), 1);
  EXPECT_EQ(session.containers(0).groups(0), 7u);
  ASSERT_EQ(session.groups_size(), 1);
  EXPECT_EQ(session.groups(0).devices(0), "0000:00:05.0");
}

TEST_F(ServicesTest, OnlyFieldsOfTheMaskAreReturnedAndAskedFor) {
  program_.Stop();
  api::GetSessionRequest request;
  api::Session session;
  request.set_session(kId);
  request.mutable_field_mask()->add_paths("pid");
  request.mutable_field_mask()->add_paths("command");
  {
    // It cannot answer, but is not asked.
    grpc::ClientContext context;
    ASSERT_TRUE(sessions_.GetSession(&context, request, &session).ok());
  }
  EXPECT_EQ(session.pid(), getpid());
  EXPECT_EQ(session.id(), "");
  EXPECT_EQ(session.containers_size(), 0);
  {
    grpc::ClientContext context;
    request.mutable_field_mask()->add_paths("containers");
    const grpc::Status status = sessions_.GetSession(&context, request, &session);
    EXPECT_EQ(status.error_code(), StatusCode::UNAVAILABLE);
    EXPECT_EQ(ReasonOf(status), "SESSION_SILENT");
  }
  grpc::ClientContext context;
  request.mutable_field_mask()->add_paths("no_such_field");
  const grpc::Status status = sessions_.GetSession(&context, request, &session);
  EXPECT_EQ(FieldOf(status), "field_mask.paths[3]");
}

TEST_F(ServicesTest, SessionsThatAreNotThereAreNamed) {
  for (const auto& [id, code] : std::vector<std::pair<std::string, StatusCode>>{
           {"", StatusCode::INVALID_ARGUMENT},
           {"abcd", StatusCode::INVALID_ARGUMENT},
           {"000000000000abcg", StatusCode::INVALID_ARGUMENT},
           {"0x0000000000abcd", StatusCode::INVALID_ARGUMENT},
           {"+00000000000abcd", StatusCode::INVALID_ARGUMENT},
           {"000000000000abcd0", StatusCode::INVALID_ARGUMENT},
           {std::string(1000, 'a'), StatusCode::INVALID_ARGUMENT},
           {"0000000000000bad", StatusCode::NOT_FOUND}}) {
    grpc::ClientContext context;
    api::GetSessionRequest request;
    api::Session session;
    request.set_session(id);
    const grpc::Status status = sessions_.GetSession(&context, request, &session);
    EXPECT_EQ(status.error_code(), code) << id;
    EXPECT_EQ(FieldOf(status), "session") << id;
    EXPECT_LT(status.error_message().size(), 200u);
  }
}

TEST_F(ServicesTest, AnAddressSpaceHasItsRanges) {
  grpc::ClientContext context;
  api::GetAddressSpaceRequest request;
  api::AddressSpace space;
  request.set_session(kId);
  request.set_container(1);
  ASSERT_TRUE(spaces_.GetAddressSpace(&context, request, &space).ok());
  ASSERT_EQ(space.apertures_size(), 1);
  EXPECT_EQ(space.apertures(0).last(), (1ull << 39) - 1);
  EXPECT_EQ(space.page_sizes(), 4096u);
  EXPECT_EQ(space.statistics().mapping_count(), 5000u);
}

TEST_F(ServicesTest, ContainersThatAreNotThereAreRefused) {
  for (const auto& [container, code] : std::vector<std::pair<uint32_t, StatusCode>>{
           {0, StatusCode::INVALID_ARGUMENT}, {2, StatusCode::NOT_FOUND}}) {
    grpc::ClientContext context;
    api::GetAddressSpaceRequest request;
    api::AddressSpace space;
    request.set_session(kId);
    request.set_container(container);
    const grpc::Status status = spaces_.GetAddressSpace(&context, request, &space);
    EXPECT_EQ(status.error_code(), code);
    EXPECT_NE(ReasonOf(status), "");
  }
}

TEST_F(ServicesTest, AllMappingsAreListedOnceAndInOrder) {
  grpc::ClientContext context;
  api::ListMappingsRequest request;
  request.set_session(kId);
  request.set_container(1);
  const auto reader = spaces_.ListMappings(&context, request);
  api::ListMappingsResponse response;
  uint64_t next = 0;
  while (reader->Read(&response)) {
    for (const api::Mapping& mapping : response.mappings()) {
      EXPECT_EQ(mapping.first(), next);
      EXPECT_EQ(mapping.last(), next + 4095);
      EXPECT_EQ(mapping.user_address(), 0x7f0000000000 + next);
      EXPECT_EQ(mapping.access(), api::ACCESS_READ_WRITE);
      next += 4096;
    }
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(next, 5000u * 4096);
}

TEST_F(ServicesTest, MappingsOfARangeAreThoseThatTouchIt) {
  grpc::ClientContext context;
  api::ListMappingsRequest request;
  request.set_session(kId);
  request.set_container(1);
  request.mutable_range()->set_first(4100);
  request.mutable_range()->set_last(8192);
  const auto reader = spaces_.ListMappings(&context, request);
  api::ListMappingsResponse response;
  std::vector<uint64_t> firsts;
  while (reader->Read(&response)) {
    for (const api::Mapping& mapping : response.mappings()) firsts.push_back(mapping.first());
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(firsts, (std::vector<uint64_t>{4096, 8192}));
}

TEST_F(ServicesTest, ARangeThatEndsBeforeItBeginsIsRefused) {
  grpc::ClientContext context;
  api::ListMappingsRequest request;
  request.set_session(kId);
  request.set_container(1);
  request.mutable_range()->set_first(2);
  request.mutable_range()->set_last(1);
  const auto reader = spaces_.ListMappings(&context, request);
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), StatusCode::INVALID_ARGUMENT);
  EXPECT_EQ(FieldOf(status), "range.last");
  EXPECT_EQ(status.error_message(), "range.last: 0x1 is below first, 0x2");
}

TEST_F(ServicesTest, AnIovaIsTranslated) {
  api::TranslateRequest request;
  request.set_session(kId);
  request.set_container(1);
  request.set_iova(4100);
  request.set_access(api::ACCESS_WRITE);
  api::Translation translation;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(spaces_.Translate(&context, request, &translation).ok());
  }
  EXPECT_EQ(translation.user_address(), 0x7f0000000000 + 4100);
  EXPECT_EQ(translation.contiguous_bytes(), 4092u);
  EXPECT_EQ(translation.mapping().first(), 4096u);
  EXPECT_TRUE(translation.is_permitted());

  grpc::ClientContext context;
  request.set_iova(1ull << 40);
  EXPECT_EQ(spaces_.Translate(&context, request, &translation).error_code(), StatusCode::NOT_FOUND);
}

TEST_F(ServicesTest, FaultsAreListedAndCleared) {
  FakeModel model = FakeModel::WithMappings(0);
  channel::FaultInfo fault{};
  fault.iova = 0x1000;
  fault.count = 3;
  fault.device = 0x28;  // 00:05.0
  fault.access = 2;
  std::strcpy(fault.reason, "nothing is\nmapped");
  model.faults = {fault, fault};
  model.faults[0].pasid = channel::kNoPasid;
  model.faults[1].pasid = 7;
  FakeProgram program(2, model);
  program.Connect(daemon_.sessions().path());
  daemon_.sessions().Await(2);
  const std::string id = "0000000000000002";
  api::ListFaultsRequest request;
  request.set_session(id);
  api::ListFaultsResponse response;
  {
    grpc::ClientContext context;
    ASSERT_TRUE(faults_.ListFaults(&context, request, &response).ok());
  }
  ASSERT_EQ(response.faults_size(), 2);
  EXPECT_FALSE(response.faults(0).has_pasid());
  EXPECT_EQ(response.faults(1).pasid(), 7u);
  EXPECT_EQ(response.faults(0).device(), "0000:00:05.0");
  EXPECT_EQ(response.faults(0).access(), api::ACCESS_WRITE);
  EXPECT_EQ(response.faults(0).reason(), "nothing is?mapped");
  EXPECT_EQ(response.faults(0).count(), 3u);
  grpc::ClientContext context;
  api::ClearFaultsRequest clear;
  api::ClearFaultsResponse cleared;
  clear.set_session(id);
  ASSERT_TRUE(faults_.ClearFaults(&context, clear, &cleared).ok());
  EXPECT_EQ(cleared.cleared(), 2u);
  EXPECT_TRUE(program.model().faults.empty());
}

// Calls a method, whichever, with a request that holds nothing that it needs, and returns what it
// ends with.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel,
                  const google::protobuf::MethodDescriptor& method) {
  grpc::GenericStub stub(channel);
  grpc::ClientContext context;
  grpc::CompletionQueue queue;
  const auto next = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto call =
      stub.PrepareCall(&context, "/" + method.service()->full_name() + "/" + method.name(), &queue);
  call->StartCall(nullptr);
  next();
  api::WatchRequest watch;
  if (method.name() == "Watch") watch.set_from_sequence(1);
  const grpc::Slice slice(watch.SerializeAsString());
  call->WriteLast(grpc::ByteBuffer(&slice, 1), {}, nullptr);
  next();
  grpc::ByteBuffer answer;
  call->Read(&answer, nullptr);
  // Watching would go on.
  if (next() && method.server_streaming()) context.TryCancel();
  grpc::Status status;
  call->Finish(&status, nullptr);
  next();
  return status;
}

TEST(RolesTest, EachMethodIsRefusedToThoseWhoseRoleIsTooLow) {
  const auto* pool = google::protobuf::DescriptorPool::generated_pool();
  for (const Role role : {Role::kNone, Role::kReader, Role::kOperator, Role::kAdmin}) {
    TestDaemon daemon({.name = "somebody", .uid = {}, .role = role, .role_on_others = role});
    LoggedEvent event;
    daemon.sessions().log().Append({&event, 1});
    for (const char* name : {"Host", "Sessions", "AddressSpaces", "Actions", "Dirty", "Faults"}) {
      const auto* service = pool->FindServiceByName(std::string("vfio.compat.v1.") + name);
      for (int i = 0; i < service->method_count(); ++i) {
        const auto& method = *service->method(i);
        const auto needed = static_cast<Role>(method.options().GetExtension(api::role));
        EXPECT_NE(needed, Role::kNone) << method.full_name();
        const grpc::Status status = Call(daemon.channel(), method);
        EXPECT_EQ(ReasonOf(status) == "ROLE_TOO_LOW", role < needed)
            << method.full_name() << ": " << status.error_message();
      }
    }
  }
}

TEST(RolesTest, CallersSeeTheirOwnSessionsAndActOnThem) {
  const uint32_t uid = getuid();
  // Somebody else, who may look at everything; and somebody else, who may not.
  for (const Role on_others : {Role::kReader, Role::kNone}) {
    TestDaemon daemon(
        {.name = "uid 1", .uid = uid + 1, .role = Role::kAdmin, .role_on_others = on_others});
    FakeProgram program(0xabcd, FakeModel::WithMappings(1));
    program.Connect(daemon.sessions().path());
    daemon.sessions().Await(0xabcd);
    api::Sessions::Stub sessions(daemon.channel());
    api::Faults::Stub faults(daemon.channel());
    grpc::ClientContext listing;
    api::ListSessionsResponse list;
    EXPECT_TRUE(sessions.ListSessions(&listing, {}, &list).ok());
    EXPECT_EQ(list.sessions_size(), on_others == Role::kReader ? 1 : 0);
    grpc::ClientContext clearing;
    api::ClearFaultsRequest clear;
    api::ClearFaultsResponse cleared;
    clear.set_session(kId);
    const grpc::Status status = faults.ClearFaults(&clearing, clear, &cleared);
    EXPECT_EQ(status.error_code(),
              on_others == Role::kReader ? StatusCode::PERMISSION_DENIED : StatusCode::NOT_FOUND);
    EXPECT_EQ(FieldOf(status), "session");
  }
}

}  // namespace
}  // namespace tools::daemon
