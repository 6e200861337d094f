#include "tools/daemon/access/peer_table.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace tools::daemon {
namespace {

// More groups than a user can have (NGROUPS_MAX).
constexpr size_t kMaxGroups = 65536;

absl::Status TooMany(absl::string_view what) { return absl::ResourceExhaustedError(what); }

// The number of descriptors that there may be, as many as the system lets it be.
rlim_t RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return 1024;
  const rlim_t enough = 65536;
  limit.rlim_cur = std::max(limit.rlim_cur, std::min(limit.rlim_max, enough));
  setrlimit(RLIMIT_NOFILE, &limit);
  getrlimit(RLIMIT_NOFILE, &limit);
  return std::min(limit.rlim_cur, enough);
}

}  // namespace

absl::StatusOr<Peer> PeerOf(int socket) {
  ucred credentials{};
  socklen_t size = sizeof(credentials);
  if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0) {
    return absl::UnavailableError(std::strerror(errno));
  }
  Peer peer{credentials.uid, credentials.gid, {}};
  std::vector<gid_t> groups(kMaxGroups);
  size = static_cast<socklen_t>(groups.size() * sizeof(gid_t));
  if (getsockopt(socket, SOL_SOCKET, SO_PEERGROUPS, groups.data(), &size) != 0) {
    return absl::UnavailableError(std::strerror(errno));
  }
  peer.groups.assign(groups.begin(), groups.begin() + size / sizeof(gid_t));
  return peer;
}

PeerTable::PeerTable(const PeerBounds& bounds) : bounds_(bounds) {
  const rlim_t limit = RaiseDescriptorLimit();
  // The lower half stays for everything else.
  entries_.resize(std::min<size_t>(bounds.numbers, limit / 2));
  first_ = static_cast<int>(limit - entries_.size());
}

void PeerTable::Refresh() {
  const Clock::time_point now = Clock::now();
  for (size_t i = 0; i < entries_.size(); ++i) {
    Entry& entry = entries_[i];
    if (entry.state == State::kOpen && fcntl(first_ + static_cast<int>(i), F_GETFD) < 0) {
      entry.state = State::kEnded;
      entry.end = now;
    } else if (entry.state == State::kEnded && now - entry.end >= bounds_.quarantine) {
      entry = {};
    }
  }
}

absl::Status PeerTable::CheckBounds(uid_t uid) const {
  size_t open = 0;
  size_t open_of_user = 0;
  size_t numbers_of_user = 0;
  for (const Entry& entry : entries_) {
    if (entry.state == State::kFree) continue;
    const bool is_open = entry.state == State::kOpen;
    const bool is_users = entry.peer.uid == uid;
    open += is_open;
    open_of_user += is_open && is_users;
    numbers_of_user += is_users;
  }
  if (open >= bounds_.connections) return TooMany("there are too many connections");
  if (uid == 0) return absl::OkStatus();
  if (open_of_user >= bounds_.connections_of_user) {
    return TooMany(absl::StrCat("uid ", uid, " has too many connections"));
  }
  if (numbers_of_user >= entries_.size() / 8) {
    return TooMany(absl::StrCat("uid ", uid, " connects too often"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int> PeerTable::Admit(int socket, Peer peer) {
  const std::lock_guard lock(mutex_);
  Refresh();
  absl::Status status = CheckBounds(peer.uid);
  int fd = -1;
  for (size_t tried = 0; status.ok() && fd < 0 && tried < entries_.size(); ++tried) {
    const size_t index = std::exchange(next_, (next_ + 1) % entries_.size());
    if (entries_[index].state != State::kFree) continue;
    const int number = first_ + static_cast<int>(index);
    fd = fcntl(socket, F_DUPFD_CLOEXEC, number);
    if (fd < 0) status = TooMany(std::strerror(errno));
    if (fd >= 0 && fd != number) close(std::exchange(fd, -1));
  }
  close(socket);
  if (!status.ok()) return status;
  if (fd < 0) return TooMany("connections are made too often");
  entries_[fd - first_] = {State::kOpen, {}, std::move(peer)};
  return fd;
}

std::optional<Peer> PeerTable::Find(absl::string_view name) const {
  int fd = -1;
  if (!absl::ConsumePrefix(&name, "fd:") || !absl::SimpleAtoi(name, &fd)) return std::nullopt;
  const std::lock_guard lock(mutex_);
  if (fd < first_ || fd - first_ >= static_cast<int>(entries_.size())) return std::nullopt;
  const Entry& entry = entries_[fd - first_];
  if (entry.state == State::kFree) return std::nullopt;
  return entry.peer;
}

size_t PeerTable::size() {
  const std::lock_guard lock(mutex_);
  Refresh();
  return std::count_if(entries_.begin(), entries_.end(),
                       [](const Entry& entry) { return entry.state == State::kOpen; });
}

}  // namespace tools::daemon
