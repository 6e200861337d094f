// What is looked at in a client's certificate. That it is valid, and from the right authority, TLS
// has found out before.
#ifndef TOOLS_DAEMON_ACCESS_CERTIFICATE_H_
#define TOOLS_DAEMON_ACCESS_CERTIFICATE_H_

#include <ctime>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tools::daemon {

struct Certificate {
  // URIs and DNS names of the subject alternative names, then the common name; names with control
  // characters or blanks in them are left out.
  std::vector<std::string> names;
  std::string serial;       // hexadecimal capitals without leading zeros
  std::string fingerprint;  // SHA-256 of the whole, 64 hexadecimal capitals
  time_t not_after = 0;     // when it expires
};

// kInvalidArgument if it is no certificate.
absl::StatusOr<Certificate> ParseCertificate(absl::string_view pem);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_CERTIFICATE_H_
