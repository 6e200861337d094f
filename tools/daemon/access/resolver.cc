#include "tools/daemon/access/resolver.h"

#include <grpc/grpc_security_constants.h>
#include <grpcpp/server_context.h>
#include <unistd.h>

#include <algorithm>
#include <ctime>
#include <vector>

#include "absl/strings/str_cat.h"

namespace tools::daemon {
namespace {

// More than there are holders of certificates at a time.
constexpr size_t kMaxCertificates = 1024;

}  // namespace

Caller CallerOf(const Peer& peer, std::optional<gid_t> readers) {
  const bool reads =
      readers.has_value() &&
      (peer.gid == *readers || std::count(peer.groups.begin(), peer.groups.end(), *readers) != 0);
  Role on_others = reads ? Role::kReader : Role::kNone;
  if (peer.uid == 0 || peer.uid == geteuid()) on_others = Role::kAdmin;
  return {.name = absl::StrCat("uid ", peer.uid),
          .uid = peer.uid,
          .role = Role::kAdmin,
          .role_on_others = on_others};
}

absl::StatusOr<Caller> CallerOf(const Certificate& certificate, const Policy& policy, time_t now) {
  if (policy.IsRevoked(certificate.serial, certificate.fingerprint)) {
    return absl::UnauthenticatedError("the certificate was revoked");
  }
  if (now > certificate.not_after) {
    return absl::UnauthenticatedError("the certificate has expired");
  }
  Caller caller;
  caller.name = certificate.names.empty() ? certificate.fingerprint : certificate.names[0];
  for (const std::string& name : certificate.names) {
    const Role role = policy.RoleOf(name);
    if (role == Role::kNone) continue;
    caller.name = name;
    caller.role = caller.role_on_others = role;
    break;
  }
  return caller;
}

absl::StatusOr<Caller> Resolver::ResolveCertificate(const grpc::ServerContextBase& context) const {
  const std::shared_ptr<const grpc::AuthContext> auth = context.auth_context();
  const std::vector<grpc::string_ref> pems =
      auth->FindPropertyValues(GRPC_X509_PEM_CERT_PROPERTY_NAME);
  if (!auth->IsPeerAuthenticated() || pems.size() != 1) {
    return absl::UnauthenticatedError("a certificate is needed");
  }
  const std::string pem(pems[0].data(), pems[0].size());
  const std::lock_guard lock(mutex_);
  std::shared_ptr<const Certificate>& certificate = certificates_[pem];
  if (certificate == nullptr) {
    absl::StatusOr<Certificate> parsed = ParseCertificate(pem);
    if (!parsed.ok()) {
      certificates_.erase(pem);
      return absl::UnauthenticatedError(parsed.status().message());
    }
    certificate = std::make_shared<const Certificate>(*std::move(parsed));
  }
  const std::shared_ptr<const Certificate> found = certificate;
  if (certificates_.size() > kMaxCertificates) certificates_.clear();
  return CallerOf(*found, *policy_.policy(), std::time(nullptr));
}

absl::StatusOr<Caller> Resolver::Resolve(const grpc::ServerContextBase& context) const {
  const std::string peer = context.peer();
  if (const std::optional<Peer> found = peers_.Find(peer)) return CallerOf(*found, readers_);
  return ResolveCertificate(context);
}

}  // namespace tools::daemon
