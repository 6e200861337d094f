// The daemon, put together.
#ifndef TOOLS_DAEMON_DAEMON_H_
#define TOOLS_DAEMON_DAEMON_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "tools/daemon/options.h"

namespace tools::daemon {

// Runs until it is destroyed: from Start() on programs and callers are served.
class Daemon {
 public:
  // An error, for people, if a socket or a file is not to be had.
  static absl::StatusOr<std::unique_ptr<Daemon>> Start(const Options& options);
  // Ends calls that are under way, and all sessions; programs go on, and look for the next daemon.
  virtual ~Daemon() = default;

  // Reads the policy again; see Doors::Reload.
  virtual absl::Status Reload() = 0;

  // What it serves beside its Unix sockets, for people: ", network on port 9463", and so on.
  virtual std::string Describe() const = 0;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_DAEMON_H_
