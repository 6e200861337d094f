// TCP: mutual TLS, or nothing.
#ifndef TOOLS_DAEMON_ACCESS_NETWORK_H_
#define TOOLS_DAEMON_ACCESS_NETWORK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace grpc {
class ServerCredentials;
}

namespace tools::daemon {

// All are set, or none. All but `listen` are files.
struct NetworkOptions {
  std::string listen;       // HOST:PORT, as gRPC has it
  std::string certificate;  // the daemon's, in PEM, with those between it and its authority
  std::string key;          // of the certificate
  std::string authorities;  // certificates of those who issue clients' certificates, in PEM
  std::string policy;       // see policy.h
};

// Credentials that take no client without a certificate of the authorities; null if nothing is
// asked for. kInvalidArgument, with what is missing, if options or files do not go together.
absl::StatusOr<std::shared_ptr<grpc::ServerCredentials>> NetworkCredentials(
    const NetworkOptions& options);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_NETWORK_H_
