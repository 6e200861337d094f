// Whose each connection on the Unix socket is.
//
// gRPC names a connection that it was handed by its descriptor alone ("fd:70000"), and a call that
// was made on it may still be about to be looked at when the connection, and its descriptor, are
// gone. So connections get descriptors of a range that nothing else of the daemon reaches, and a
// number is not used again for ten minutes after its connection has ended.
#ifndef TOOLS_DAEMON_ACCESS_PEER_TABLE_H_
#define TOOLS_DAEMON_ACCESS_PEER_TABLE_H_

#include <sys/types.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace tools::daemon {

// Who is at the other end of a Unix socket, as the kernel says.
struct Peer {
  uid_t uid = 0;
  gid_t gid = 0;
  std::vector<gid_t> groups;  // the supplementary ones
};

// kUnavailable if the kernel does not say (the connection is broken).
absl::StatusOr<Peer> PeerOf(int socket);

struct PeerBounds {
  size_t connections = 1024;
  // Of one user, root excepted.
  size_t connections_of_user = 128;
  // Numbers of the range; of those that are not used again yet one user, root excepted, may have an
  // eighth.
  size_t numbers = 16384;
  std::chrono::seconds quarantine{600};
};

// Used by many threads at once.
class PeerTable {
 public:
  // Raises the limit of descriptors as far as it may. The range is at its end.
  explicit PeerTable(const PeerBounds& bounds);

  // Moves a connection to a number of the range. Closes `socket`, whatever happens.
  // kResourceExhausted if there are too many already.
  absl::StatusOr<int> Admit(int socket, Peer peer);

  // The peer of a connection that gRPC names so, one that has ended included; nothing if there is
  // none.
  std::optional<Peer> Find(absl::string_view name) const;

  // Connections that are open now.
  size_t size();

 private:
  using Clock = std::chrono::steady_clock;
  enum class State { kFree, kOpen, kEnded };
  struct Entry {
    State state = State::kFree;
    Clock::time_point end;  // when it was found to have ended
    Peer peer;
  };

  // Looks which connections have ended, and which numbers are free again.
  void Refresh();
  absl::Status CheckBounds(uid_t uid) const;

  const PeerBounds bounds_;
  int first_ = 0;
  mutable std::mutex mutex_;
  std::vector<Entry> entries_;
  // Where the search for the next number begins.
  size_t next_ = 0;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_ACCESS_PEER_TABLE_H_
