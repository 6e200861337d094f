// Sends vconf's scripts through a daemon and compares what comes back with what a real kernel
// answered: line for line as the local test has it.
#include <gtest/gtest.h>

#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "tests/conformance/scripts.h"
#include "tests/support/certificates.h"
#include "tests/support/command.h"
#include "tests/support/daemon.h"
#include "tests/support/runfiles.h"

namespace tests::conformance {
namespace {

// A daemon on a Unix socket and by TLS, and a client that it believes.
struct Parties {
  Parties() {
    const CertificateFiles files =
        authority.Issue({.name = "daemon", .alternatives = "IP:127.0.0.1", .serial = "1"});
    client = authority.Issue(
        {.name = "client", .alternatives = "URI:spiffe://test/operator", .serial = "2"});
    const std::string policy = std::string(std::getenv("TEST_TMPDIR")) + "/policy";
    WriteFile(policy, "role spiffe://test/operator operator\n");
    daemon = std::make_unique<Daemon>(std::vector<std::string>{
        "--listen", "127.0.0.1:0", "--tls-cert", files.certificate, "--tls-key", files.key,
        "--tls-ca", authority.certificate(), "--policy", policy});
    EXPECT_TRUE(daemon->is_ready());
  }

  const Authority authority{"authority"};
  CertificateFiles client;
  std::unique_ptr<Daemon> daemon;
};

class RemoteConformanceTest : public testing::TestWithParam<std::string> {
 protected:
  static void SetUpTestSuite() { g_parties = new Parties; }
  static void TearDownTestSuite() { delete g_parties; }

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

  static Parties* g_parties;
};
Parties* RemoteConformanceTest::g_parties = nullptr;

TEST_P(RemoteConformanceTest, AnswersOverTheUnixSocketAsLocally) {
  EXPECT_EQ(Differences(GetParam(), Played("unix:" + g_parties->daemon->socket(), {})), "");
}

TEST_P(RemoteConformanceTest, AnswersByMutualTlsAsLocally) {
  SKIP_UNLESS_INSTALLED("openssl");
  const std::string target = "127.0.0.1:" + std::to_string(g_parties->daemon->PortOf("network"));
  EXPECT_EQ(Differences(GetParam(),
                        Played(target, {g_parties->authority.certificate(),
                                        g_parties->client.certificate, g_parties->client.key})),
            "");
}

std::string NameOf(const testing::TestParamInfo<std::string>& information) {
  return CaseName(information.param);
}

INSTANTIATE_TEST_SUITE_P(Type1, RemoteConformanceTest, testing::ValuesIn(Scripts("type1")), NameOf);
INSTANTIATE_TEST_SUITE_P(Spapr, RemoteConformanceTest, testing::ValuesIn(Scripts("spapr")), NameOf);

}  // namespace
}  // namespace tests::conformance
