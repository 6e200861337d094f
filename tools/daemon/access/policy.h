// The policy file: which role a name in a certificate has, and which certificates are revoked.
//
// A line each, '#' starts a comment:
//
//     role NAME reader|operator|admin
//     revoke SERIAL              hexadecimal, as `openssl x509 -serial` prints it
//     revoke sha256:FINGERPRINT  64 hexadecimal digits; colons between them are allowed
//
// A name is a URI or a DNS name of the certificate's subject alternative names, or its common name.
// Names with blanks cannot be given. A line that is of no such form, a name that is given two
// roles: the whole file is refused.
#ifndef TOOLS_DAEMON_ACCESS_POLICY_H_
#define TOOLS_DAEMON_ACCESS_POLICY_H_

#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "tools/daemon/access/caller.h"

namespace tools::daemon {

class Policy {
 public:
  // kInvalidArgument with "FILE:LINE: what is wrong" for the first line that is.
  static absl::StatusOr<Policy> Parse(absl::string_view text, absl::string_view file);

  // kNone for a name that the file does not give one.
  Role RoleOf(const std::string& name) const;
  // `serial`: hexadecimal capitals without leading zeros; `fingerprint`: 64 hexadecimal capitals.
  bool IsRevoked(const std::string& serial, const std::string& fingerprint) const;

 private:
  absl::Status ParseLine(absl::string_view line);
  absl::Status ParseRevocation(absl::string_view what);

  std::map<std::string, Role> roles_;
  std::set<std::string> serials_;
  std::set<std::string> fingerprints_;
};

// A policy that can be read again. Used by many threads at once.
class PolicyFile {
 public:
  explicit PolicyFile(std::string path) : path_(std::move(path)) {}

  // Reads the file; if it cannot be read or is not right, the policy stays as it was (nobody has a
  // role before the first success) and the error says why.
  absl::Status Load();

  std::shared_ptr<const Policy> policy() const;

 private:
  const std::string path_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Policy> policy_ = std::make_shared<Policy>();
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_POLICY_H_
