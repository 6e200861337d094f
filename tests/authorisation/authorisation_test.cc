// Calls every method that the daemon serves as everybody, and compares what comes of it with
// docs/authorisation.md.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tests/authorisation/callers.h"
#include "tests/authorisation/methods.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tools/daemon/testing/fake_program.h"
#include "vfio/compat/v1/actions.grpc.pb.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"
#include "vfio/compat/v1/containers.grpc.pb.h"
#include "vfio/compat/v1/dirty.grpc.pb.h"
#include "vfio/compat/v1/faults.grpc.pb.h"
#include "vfio/compat/v1/host.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tests::authorisation {
namespace {

namespace v1 = vfio::compat::v1;

constexpr char kHeading[] =
    R"(# Who may call what

What comes of every method for every caller, as `tests/authorisation` finds it by calling them. Where a request names a session, it is
one of the user in the column *owner*. [daemon.md](daemon.md) says who callers are.

- *yes*: the call is carried out
- *denied*: PERMISSION_DENIED, the caller's role does not suffice
- *hidden*: NOT_FOUND, as if there were no such session
- *unknown*: UNAUTHENTICATED
- *no*: no connection comes about

Callers on the network are named by what is the matter with their certificate, or by the role that the policy gives it; the last four
columns are users on the Unix socket.

)";

constexpr uint64_t kSession = 0x00c0ffee00c0ffee;
constexpr char kSessionId[] = "00c0ffee00c0ffee";

// ErrorInfo.reason.
std::string ReasonOf(const grpc::Status& status) {
  google::rpc::Status details;
  details.ParseFromString(status.error_details());
  google::rpc::ErrorInfo information;
  for (const google::protobuf::Any& any : details.details()) any.UnpackTo(&information);
  return information.reason();
}

std::string Word(const grpc::Status& status) {
  switch (status.error_code()) {
    case grpc::StatusCode::PERMISSION_DENIED:
      return "denied";
    case grpc::StatusCode::UNAUTHENTICATED:
      return "unknown";
    case grpc::StatusCode::NOT_FOUND:
      return ReasonOf(status) == "SESSION_NOT_FOUND" ? "hidden" : "yes";
    case grpc::StatusCode::UNAVAILABLE:
      return "no";
    case grpc::StatusCode::UNIMPLEMENTED:
      // The program's own answer, or nobody's.
      return ReasonOf(status).empty() ? "not served" : "yes";
    default:
      return "yes";
  }
}

// "Host.GetInfo" for "/vfio.compat.v1.Host/GetInfo".
std::string ShortName(std::string name) {
  const std::string package = "/vfio.compat.v1.";
  name.erase(0, name.rfind(package, 0) == 0 ? package.size() : 1);
  name[name.find('/')] = '.';
  return name;
}

std::string Table(const std::vector<NamedCaller>& callers, const std::vector<Method>& methods) {
  std::string head = "| method |";
  std::string rule = "| --- |";
  for (const NamedCaller& caller : callers) {
    head += " " + caller.name + " |";
    rule += " --- |";
  }
  std::string table = head + "\n" + rule + "\n";
  for (const Method& method : methods) {
    table += "| `" + ShortName(method.name) + "` |";
    for (const NamedCaller& caller : callers) {
      table += " " + Word(Call(caller.channel, method)) + " |";
    }
    table += "\n";
  }
  return table;
}

TEST(AuthorisationTest, IsAsDocumented) {
  if (getuid() != 0) GTEST_SKIP() << "only root can be other users";
  SKIP_UNLESS_INSTALLED("openssl");
  Callers callers;
  ASSERT_TRUE(callers.daemon().is_ready());
  tools::daemon::testing::FakeProgram program(kSession,
                                              tools::daemon::testing::FakeModel::WithMappings(1));
  RunAs(kOwner, false, [&] { program.Connect(callers.daemon().session_socket()); });
  const NamedCaller root = callers.Root();
  const auto sessions = v1::Sessions::NewStub(root.channel);
  v1::Session session;
  v1::GetSessionRequest request;
  request.set_session(kSessionId);
  grpc::Status status;
  do {  // until the daemon has heard of it
    grpc::ClientContext context;
    status = sessions->GetSession(&context, request, &session);
  } while (status.error_code() == grpc::StatusCode::NOT_FOUND);
  ASSERT_TRUE(status.ok()) << status.error_message();
  const std::string found = kHeading + Table(callers.All(), MethodsOf(root.channel, kSessionId));
  EXPECT_EQ(found, ReadFile(Runfile("docs/authorisation.md")));
  if (const char* const outputs = std::getenv("TEST_UNDECLARED_OUTPUTS_DIR")) {
    WriteFile(std::string(outputs) + "/authorisation.md", found);
  }
}

}  // namespace
}  // namespace tests::authorisation
