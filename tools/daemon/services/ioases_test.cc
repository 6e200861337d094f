// Address spaces of iommufd's own calls, through gRPC.
#include <cerrno>
#include <string>
#include <vector>

#include "tools/daemon/services/test_daemon.h"
#include "tools/daemon/testing/fake_program.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;
namespace channel = compat::session;
using testing::FakeModel;
using testing::FakeProgram;

constexpr uint32_t kNumber = channel::kIoasBit | 3 << 16 | 2;

FakeModel ModelWithIoas() {
  FakeModel model = FakeModel::WithMappings(0);
  model.ioases = {{.number = kNumber,
                   .context = 3,
                   .object = 2,
                   .opener = 77,
                   .groups = 1,
                   .live_mappings = 5,
                   .bytes_mapped = 0x5000}};
  return model;
}

class IoasesTest : public ::testing::Test {
 protected:
  api::Session Get(FakeProgram& program, const std::vector<std::string>& fields) {
    program.Connect(daemon_.sessions().path());
    daemon_.sessions().Await(0xabcd);
    grpc::ClientContext context;
    api::GetSessionRequest request;
    request.set_session("000000000000abcd");
    for (const std::string& field : fields) request.mutable_field_mask()->add_paths(field);
    api::Session session;
    const grpc::Status status = sessions_.GetSession(&context, request, &session);
    EXPECT_TRUE(status.ok()) << status.error_message();
    return session;
  }

  TestDaemon daemon_;
  api::Sessions::Stub sessions_{daemon_.channel()};
};

TEST_F(IoasesTest, AreASessions) {
  FakeProgram program(0xabcd, ModelWithIoas());
  const api::Session session = Get(program, {});
  EXPECT_EQ(session.containers_size(), 1);
  ASSERT_EQ(session.ioases_size(), 1);
  const api::Ioas& ioas = session.ioases(0);
  EXPECT_EQ(ioas.number(), kNumber);
  EXPECT_EQ(ioas.context(), 3u);
  EXPECT_EQ(ioas.object(), 2u);
  EXPECT_EQ(ioas.opener_pid(), 77);
  ASSERT_EQ(ioas.groups_size(), 1);
  EXPECT_EQ(ioas.groups(0), 7u);
  EXPECT_EQ(ioas.mapping_count(), 5u);
  EXPECT_EQ(ioas.mapped_bytes(), 0x5000u);
}

TEST_F(IoasesTest, CanBeAskedForAlone) {
  FakeProgram program(0xabcd, ModelWithIoas());
  const api::Session session = Get(program, {"ioases"});
  EXPECT_EQ(session.containers_size(), 0);
  EXPECT_EQ(session.ioases_size(), 1);
}

// The library may be older than the daemon.
TEST_F(IoasesTest, AreNoneWhereTheProgramKnowsNothingOfThem) {
  FakeProgram program(0xabcd, ModelWithIoas());
  program.Handle(channel::Kind::kListIoases, [](const auto& request, auto) {
    return testing::RefusalOf(request, ENOSYS, "no such request");
  });
  const api::Session session = Get(program, {});
  EXPECT_EQ(session.containers_size(), 1);
  EXPECT_EQ(session.ioases_size(), 0);
}

}  // namespace
}  // namespace tools::daemon
