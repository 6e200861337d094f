#include "tests/authorisation/callers.h"

#include <fcntl.h>
#include <grp.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <thread>

#include "tests/support/runfiles.h"

namespace tests::authorisation {
namespace {

constexpr char kRevokedSerial[] = "dead01";

constexpr char kPolicy[] =
    "role spiffe://test/reader reader\n"
    "role spiffe://test/operator operator\n"
    "role spiffe://test/admin admin\n"
    "role spiffe://test/revoked admin\n"
    "revoke dead01\n";

CertificateRequest Holder(const std::string& name, const std::string& serial = "10", int days = 2) {
  return {
      .name = name, .alternatives = "URI:spiffe://test/" + name, .serial = serial, .days = days};
}

// A connected socket; -1 if there is none.
int Connect(const std::string& path) {
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  EXPECT_EQ(connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  return fd;
}

}  // namespace

void RunAs(uid_t uid, bool is_reader, const std::function<void()>& function) {
  const gid_t readers = getgrnam(kReadersGroup)->gr_gid;
  std::thread([&] {
    // The system calls change this thread alone, where libc's functions change all.
    EXPECT_EQ(syscall(SYS_setgroups, is_reader ? 1 : 0, &readers), 0);
    EXPECT_EQ(syscall(SYS_setresgid, uid, uid, uid), 0);
    EXPECT_EQ(syscall(SYS_setresuid, uid, uid, uid), 0);
    function();
  }).join();
}

Callers::Callers() {
  const CertificateFiles files =
      authority_.Issue({.name = "daemon", .alternatives = "IP:127.0.0.1"});
  const std::string policy = std::string(std::getenv("TEST_TMPDIR")) + "/policy";
  EXPECT_TRUE(WriteFile(policy, kPolicy));
  daemon_ = std::make_unique<tests::Daemon>(std::vector<std::string>{
      "--listen", "127.0.0.1:0", "--tls-cert", files.certificate, "--tls-key", files.key,
      "--tls-ca", authority_.certificate(), "--policy", policy, "--readers-group", kReadersGroup});
}

std::shared_ptr<grpc::Channel> Callers::Unix(uid_t uid, bool is_reader) const {
  int fd = -1;
  RunAs(uid, is_reader, [&] { fd = Connect(daemon_->socket()); });
  return grpc::CreateInsecureChannelFromFd("daemon", fd);
}

std::shared_ptr<grpc::Channel> Callers::Tls(const Authority& authority,
                                            const CertificateRequest& request) const {
  const CertificateFiles files = authority.Issue(request);
  const grpc::SslCredentialsOptions options{.pem_root_certs = ReadFile(authority_.certificate()),
                                            .pem_private_key = ReadFile(files.key),
                                            .pem_cert_chain = ReadFile(files.certificate)};
  return grpc::CreateChannel("127.0.0.1:" + std::to_string(daemon_->PortOf("network")),
                             grpc::SslCredentials(options));
}

NamedCaller Callers::Root() const { return {"root", Unix(0, false)}; }

std::vector<NamedCaller> Callers::All() const {
  const std::string target = "127.0.0.1:" + std::to_string(daemon_->PortOf("network"));
  grpc::SslCredentialsOptions anonymous;
  anonymous.pem_root_certs = ReadFile(authority_.certificate());
  return {
      {"no TLS", grpc::CreateChannel(target, grpc::InsecureChannelCredentials())},
      {"no certificate", grpc::CreateChannel(target, grpc::SslCredentials(anonymous))},
      {"wrong authority", Tls(wrong_, Holder("admin"))},
      {"expired", Tls(authority_, Holder("admin", "11", -1))},
      {"revoked", Tls(authority_, Holder("revoked", kRevokedSerial))},
      {"without a role", Tls(authority_, Holder("stranger"))},
      {"reader", Tls(authority_, Holder("reader"))},
      {"operator", Tls(authority_, Holder("operator"))},
      {"admin", Tls(authority_, Holder("admin"))},
      {"another user", Unix(kOther, false)},
      {"readers' group", Unix(kReader, true)},
      {"owner", Unix(kOwner, false)},
      Root(),
  };
}

}  // namespace tests::authorisation
