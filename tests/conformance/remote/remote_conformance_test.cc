// Sends vconf's scripts through a daemon and compares what comes back with what a real kernel
// answered: line for line as the local test has it.
#include <grpcpp/security/server_credentials.h>
#include <grpcpp/server_builder.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cstdlib>
#include <filesystem>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "tests/conformance/scripts.h"
#include "tests/support/certificates.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tools/daemon/access/acceptor.h"
#include "tools/daemon/access/peer_table.h"
#include "tools/daemon/access/policy.h"
#include "tools/daemon/access/resolver.h"
#include "tools/daemon/remote/clients.h"
#include "tools/daemon/remote/containers_service.h"
#include "tools/daemon/sockets/listen.h"

namespace tests::conformance {
namespace {

namespace daemon = tools::daemon;

// What of the daemon makes calls for clients, on a Unix socket and by TLS.
class Daemon {
 public:
  Daemon() {
    const CertificateFiles files =
        authority_.Issue({.name = "daemon", .alternatives = "IP:127.0.0.1", .serial = "1"});
    WriteFile(folder_ + "/policy", "role spiffe://test/operator operator\n");
    EXPECT_TRUE(policy_.Load().ok());
    grpc::SslServerCredentialsOptions options(
        GRPC_SSL_REQUEST_AND_REQUIRE_CLIENT_CERTIFICATE_AND_VERIFY);
    options.pem_root_certs = ReadFile(authority_.certificate());
    options.pem_key_cert_pairs = {{ReadFile(files.key), ReadFile(files.certificate)}};
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::SslServerCredentials(options), &port_);
    builder.RegisterService(&service_);
    server_ = builder.BuildAndStart();
    acceptor_ = std::make_unique<daemon::Acceptor>(
        *daemon::ListenAt(folder_ + "/daemon.sock", SOCK_STREAM, 0666), peers_, *server_,
        [](const std::string& why) { ADD_FAILURE() << why; });
  }
  ~Daemon() {
    acceptor_.reset();
    server_->Shutdown();
    std::filesystem::remove_all(folder_);
  }

  std::string unix_target() const { return "unix:" + folder_ + "/daemon.sock"; }
  std::string tls_target() const { return "127.0.0.1:" + std::to_string(port_); }
  const Authority& authority() const { return authority_; }

 private:
  static std::string NewFolder() {
    // $TEST_TMPDIR is too long for a socket's name.
    std::string folder = "/tmp/remote_conformance.XXXXXX";
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    return folder;
  }

  const std::string folder_ = NewFolder();
  const Authority authority_{"authority"};
  daemon::PeerTable peers_{{}};
  daemon::PolicyFile policy_{folder_ + "/policy"};
  const daemon::Resolver resolver_{peers_, policy_, std::nullopt};
  daemon::remote::Clients clients_{
      {.process = {.program = Runfile("tools/daemon/remote/vfio-compat-remote"),
                   .library = Runfile("compat/preload/libvfio_compat.so"),
                   .control = ""}}};
  daemon::remote::ContainersService service_{resolver_, clients_,
                                             [](pid_t) { return std::string(); }};
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
  std::unique_ptr<daemon::Acceptor> acceptor_;
};

class RemoteConformanceTest : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() {
    g_daemon = new Daemon;
    const CertificateFiles files = g_daemon->authority().Issue(
        {.name = "client", .alternatives = "URI:spiffe://test/operator", .serial = "2"});
    g_client = new std::vector<std::string>(
        {g_daemon->authority().certificate(), files.certificate, files.key});
  }
  static void TearDownTestSuite() {
    delete g_client;
    delete g_daemon;
  }

  // What vconf prints for the script, through the daemon at `target`.
  static Lines Played(const std::string& target, const std::vector<std::string>& certificates) {
    std::vector<std::string> arguments = {Runfile("tests/conformance/remote/vconf_remote"), target,
                                          ContainerOf(GetParam()), ScriptFile(GetParam())};
    arguments.insert(arguments.end(), certificates.begin(), certificates.end());
    const CommandResult result =
        Command(arguments).With("GROUP", "7").With("BDF", "0000:00:03.0").Run();
    EXPECT_EQ(result.status, 0) << result.errors;
    return SplitLines(result.output);
  }

  static Daemon* g_daemon;
  static std::vector<std::string>* g_client;
};
Daemon* RemoteConformanceTest::g_daemon = nullptr;
std::vector<std::string>* RemoteConformanceTest::g_client = nullptr;

TEST_P(RemoteConformanceTest, AnswersOverTheUnixSocketAsLocally) {
  EXPECT_EQ(Differences(GetParam(), Played(g_daemon->unix_target(), {})), "");
}

TEST_P(RemoteConformanceTest, AnswersByMutualTlsAsLocally) {
  EXPECT_EQ(Differences(GetParam(), Played(g_daemon->tls_target(), *g_client)), "");
}

std::string NameOf(const testing::TestParamInfo<std::string>& information) {
  return CaseName(information.param);
}

INSTANTIATE_TEST_SUITE_P(Type1, RemoteConformanceTest, testing::ValuesIn(Scripts("type1")), NameOf);
INSTANTIATE_TEST_SUITE_P(Spapr, RemoteConformanceTest, testing::ValuesIn(Scripts("spapr")), NameOf);

}  // namespace
}  // namespace tests::conformance
