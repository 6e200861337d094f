#include "tools/daemon/access/certificate.h"

#include <gtest/gtest.h>

#include <ctime>

#include "tests/support/certificates.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tools/daemon/access/resolver.h"

namespace tools::daemon {
namespace {

class CertificateTest : public testing::Test {
 protected:
  void SetUp() override { SKIP_UNLESS_INSTALLED("openssl"); }

  Certificate Issue(const tests::CertificateRequest& request) {
    const tests::Authority authority("authority");
    const auto certificate =
        ParseCertificate(tests::ReadFile(authority.Issue(request).certificate));
    EXPECT_TRUE(certificate.ok()) << certificate.status();
    return certificate.ok() ? *certificate : Certificate{};
  }

  // What a holder is to a policy.
  static absl::StatusOr<Caller> CallerIn(const Certificate& certificate, absl::string_view policy) {
    return CallerOf(certificate, *Policy::Parse(policy, "policy"), std::time(nullptr));
  }
};

TEST_F(CertificateTest, NamesAreUrisThenDnsNamesThenTheCommonName) {
  const Certificate certificate =
      Issue({.name = "common", .alternatives = "DNS:a.example,URI:spiffe://site/ops,IP:10.0.0.1"});
  EXPECT_EQ(certificate.names,
            (std::vector<std::string>{"spiffe://site/ops", "a.example", "common"}));
}

TEST_F(CertificateTest, NamesWithBlanksAreNoNames) {
  EXPECT_EQ(Issue({.name = "two words"}).names, std::vector<std::string>{});
}

TEST_F(CertificateTest, NumbersAreAsOpensslPrintsThem) {
  const tests::Authority authority("authority");
  const std::string file = authority.Issue({.name = "x", .serial = "00ab12"}).certificate;
  const auto certificate = ParseCertificate(tests::ReadFile(file));
  ASSERT_TRUE(certificate.ok());
  EXPECT_EQ(certificate->serial, "AB12");
  std::string printed =
      tests::Command({"openssl", "x509", "-in", file, "-noout", "-fingerprint", "-sha256"})
          .Run()
          .output;
  printed.erase(0, printed.find('=') + 1);
  std::erase(printed, ':');
  EXPECT_EQ(certificate->fingerprint + "\n", printed);
}

TEST_F(CertificateTest, OtherTextIsNoCertificate) {
  for (const char* const text : {"", "hello", "-----BEGIN CERTIFICATE-----\nMIIB\n"}) {
    EXPECT_FALSE(ParseCertificate(text).ok());
  }
}

TEST_F(CertificateTest, TheFirstNameThatThePolicyKnowsCounts) {
  const Certificate certificate =
      Issue({.name = "common", .alternatives = "DNS:a.example,URI:spiffe://site/ops"});
  const auto caller = CallerIn(certificate, "role common admin\nrole a.example reader\n");
  ASSERT_TRUE(caller.ok()) << caller.status();
  EXPECT_EQ(caller->name, "a.example");
  EXPECT_EQ(caller->role, Role::kReader);
  EXPECT_EQ(caller->role_on_others, Role::kReader);
  EXPECT_EQ(caller->uid, std::nullopt);
  const auto stranger = CallerIn(certificate, "role another admin");
  ASSERT_TRUE(stranger.ok()) << stranger.status();
  EXPECT_EQ(stranger->name, "spiffe://site/ops");
  EXPECT_EQ(stranger->role, Role::kNone);
}

TEST_F(CertificateTest, RevokedAndExpiredOnesAreNotBelieved) {
  const Certificate certificate = Issue({.name = "x", .serial = "ab12"});
  for (const std::string& policy :
       {std::string("role x admin\nrevoke AB12"),
        std::string("role x admin\nrevoke sha256:") + certificate.fingerprint}) {
    EXPECT_EQ(CallerIn(certificate, policy).status().code(), absl::StatusCode::kUnauthenticated);
  }
  const auto expired = CallerOf(Issue({.name = "x", .days = -1}),
                                *Policy::Parse("role x admin", "policy"), std::time(nullptr));
  EXPECT_EQ(expired.status().code(), absl::StatusCode::kUnauthenticated);
}

TEST(PeerTest, UsersAreAdminsOfTheirOwnSessions) {
  constexpr gid_t kReaders = 50;
  const Caller user = CallerOf(Peer{1000, 1000, {}}, kReaders);
  EXPECT_EQ(user.name, "uid 1000");
  EXPECT_EQ(user.RoleOn(1000), Role::kAdmin);
  EXPECT_EQ(user.RoleOn(1001), Role::kNone);
  const Caller root = CallerOf(Peer{0, 0, {}}, kReaders);
  EXPECT_EQ(root.RoleOn(1001), Role::kAdmin);
  for (const Peer& peer : {Peer{1000, 1000, {4, kReaders}}, Peer{1000, kReaders, {}}}) {
    EXPECT_EQ(CallerOf(peer, kReaders).RoleOn(1000), Role::kAdmin);
    EXPECT_EQ(CallerOf(peer, kReaders).RoleOn(1001), Role::kReader);
    EXPECT_EQ(CallerOf(peer, std::nullopt).RoleOn(1001), Role::kNone);
  }
}

}  // namespace
}  // namespace tools::daemon
