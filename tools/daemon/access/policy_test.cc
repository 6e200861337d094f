#include "tools/daemon/access/policy.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>

namespace tools::daemon {
namespace {

std::string Problem(absl::string_view text) {
  return std::string(Policy::Parse(text, "policy").status().message());
}

TEST(PolicyTest, GivesNamesTheirRoles) {
  const auto policy = Policy::Parse(
      "# who\n"
      "role spiffe://site/ops operator  # people\n"
      "\trole watcher.example reader\n"
      "role root admin",
      "policy");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_EQ(policy->RoleOf("spiffe://site/ops"), Role::kOperator);
  EXPECT_EQ(policy->RoleOf("watcher.example"), Role::kReader);
  EXPECT_EQ(policy->RoleOf("root"), Role::kAdmin);
  EXPECT_EQ(policy->RoleOf("spiffe://site"), Role::kNone);
}

TEST(PolicyTest, KnowsRevokedCertificatesByNumberAndFingerprint) {
  const std::string digits(62, 'a');
  const auto policy = Policy::Parse("revoke 00fF01\nrevoke sha256:0b:" + digits + "\n", "policy");
  ASSERT_TRUE(policy.ok()) << policy.status();
  EXPECT_TRUE(policy->IsRevoked("FF01", ""));
  EXPECT_TRUE(policy->IsRevoked("", "0B" + std::string(62, 'A')));
  EXPECT_FALSE(policy->IsRevoked("FF02", "0C" + std::string(62, 'A')));
}

TEST(PolicyTest, ALineThatIsNotUnderstoodIsNamed) {
  EXPECT_EQ(Problem("role a reader\n\nrole b king\n"),
            "policy:3: 'king' is no role: reader, operator or admin");
  EXPECT_EQ(Problem("role a reader\nrole a reader\n"), "policy:2: 'a' has a role already");
  EXPECT_EQ(Problem("rôle a reader"),
            "policy:1: neither 'role NAME ROLE' nor 'revoke SERIAL|sha256:FINGERPRINT'");
  EXPECT_EQ(Problem("role a reader b"), Problem("role a"));
  EXPECT_EQ(Problem("role # a reader"), Problem("role a"));
  EXPECT_EQ(Problem("revoke xyz"),
            "policy:1: 'xyz' is neither a serial number nor sha256:FINGERPRINT");
  EXPECT_NE(Problem("revoke 0"), "");
  EXPECT_NE(Problem("revoke " + std::string(41, '1')), "");
  EXPECT_EQ(Problem("revoke sha256:12"),
            "policy:1: a sha256 fingerprint has 64 hexadecimal digits");
}

TEST(PolicyTest, WhatIsWrongIsShownOnOneLine) {
  EXPECT_EQ(Problem("role a reader\r\n"),
            R"(policy:1: 'reader\r' is no role: reader, operator or admin)");
  EXPECT_EQ(Problem("revoke \x1b[2J"),
            R"(policy:1: '\x1b[2J' is neither a serial number nor sha256:FINGERPRINT)");
}

TEST(PolicyFileTest, ABadFileLeavesThePolicyAsItWas) {
  const std::string path = std::string(std::getenv("TEST_TMPDIR")) + "/policy";
  PolicyFile file(path);
  EXPECT_FALSE(file.Load().ok());
  EXPECT_EQ(file.policy()->RoleOf("a"), Role::kNone);
  std::ofstream(path) << "role a admin\n";
  EXPECT_TRUE(file.Load().ok());
  std::ofstream(path) << "role a reader\nnonsense\n";
  EXPECT_EQ(file.Load().message().substr(0, path.size() + 3), path + ":2:");
  EXPECT_EQ(file.policy()->RoleOf("a"), Role::kAdmin);
  std::ofstream(path) << "role a reader\n";
  EXPECT_TRUE(file.Load().ok());
  EXPECT_EQ(file.policy()->RoleOf("a"), Role::kReader);
  ASSERT_EQ(unlink(path.c_str()), 0);
  ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
  EXPECT_EQ(file.Load().message(), path + ": Is a directory");
  EXPECT_EQ(file.policy()->RoleOf("a"), Role::kReader);
}

}  // namespace
}  // namespace tools::daemon
