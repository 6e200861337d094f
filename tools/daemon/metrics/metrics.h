// The daemon's metrics for Prometheus. docs/daemon.md lists them.
#ifndef TOOLS_DAEMON_METRICS_METRICS_H_
#define TOOLS_DAEMON_METRICS_METRICS_H_

#include <chrono>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "tools/daemon/sessions/registry.h"

namespace tools::daemon {

// Answers scrapes. Sessions are asked when one comes; those that do not answer, or are not come to
// within the time that it may take, are counted as missed.
class Metrics {
 public:
  // Listens at `address` ("127.0.0.1:9464", "[::1]:9464"; port 0: any that is free). `registry`
  // outlives it. kUnavailable if it cannot listen there.
  static absl::StatusOr<std::unique_ptr<Metrics>> Serve(
      const std::string& address, const Registry& registry,
      std::chrono::milliseconds patience = std::chrono::seconds(5));
  virtual ~Metrics() = default;

  virtual int port() const = 0;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_METRICS_METRICS_H_
