#include "tools/daemon/access/network.h"

#include <grpcpp/security/server_credentials.h>
#include <gtest/gtest.h>

#include "tests/support/certificates.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"

namespace tools::daemon {
namespace {

class NetworkTest : public testing::Test {
 protected:
  void SetUp() override {
    SKIP_UNLESS_INSTALLED("openssl");
    const tests::Authority authority("authority");
    const tests::CertificateFiles files = authority.Issue({.name = "daemon"});
    whole_ = {"127.0.0.1:0", files.certificate, files.key, authority.certificate(), "policy"};
  }

  static std::string Problem(const NetworkOptions& options) {
    const auto credentials = NetworkCredentials(options);
    EXPECT_EQ(credentials.ok(), credentials.status().message().empty());
    return std::string(credentials.status().message());
  }

  NetworkOptions whole_;
};

TEST_F(NetworkTest, WithoutOptionsThereIsNoNetwork) {
  const auto credentials = NetworkCredentials({});
  ASSERT_TRUE(credentials.ok());
  EXPECT_EQ(*credentials, nullptr);
}

TEST_F(NetworkTest, WithAllOptionsThereIs) {
  const auto credentials = NetworkCredentials(whole_);
  ASSERT_TRUE(credentials.ok()) << credentials.status();
  EXPECT_NE(*credentials, nullptr);
}

TEST_F(NetworkTest, NoneCanBeLeftOut) {
  for (std::string NetworkOptions::*const option :
       {&NetworkOptions::listen, &NetworkOptions::certificate, &NetworkOptions::key,
        &NetworkOptions::authorities, &NetworkOptions::policy}) {
    NetworkOptions options = whole_;
    options.*option = "";
    EXPECT_NE(Problem(options).find(" is missing: a network socket needs"), std::string::npos);
    NetworkOptions alone;
    alone.*option = whole_.*option;
    EXPECT_NE(Problem(alone), "");
  }
}

TEST_F(NetworkTest, FilesThatDoNotGoTogetherAreRefused) {
  NetworkOptions options = whole_;
  options.key = "/nowhere";
  EXPECT_EQ(Problem(options), "/nowhere: No such file or directory");
  options.key = "/tmp";
  EXPECT_EQ(Problem(options), "/tmp: Is a directory");
  options.key = whole_.certificate;
  EXPECT_EQ(Problem(options), whole_.certificate + ": no private key");
  options.key = tests::Authority("another").Issue({.name = "x"}).key;
  EXPECT_EQ(Problem(options), options.key + ": is not the key of " + whole_.certificate);
  options = whole_;
  options.certificate = whole_.key;
  EXPECT_EQ(Problem(options), whole_.key + ": no certificate");
}

}  // namespace
}  // namespace tools::daemon
