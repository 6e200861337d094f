#include "tools/daemon/sockets/listen.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cerrno>
#include <cstring>
#include <filesystem>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace tools::daemon {
namespace {

absl::Status Failure(const std::string& path, const char* what) {
  return absl::ErrnoToStatus(errno, absl::StrCat(path, ": ", what));
}

// Takes a socket away that nobody listens on.
absl::Status RemoveStale(const sockaddr_un& address, int type) {
  const std::string path = address.sun_path;
  struct stat status {};
  if (lstat(address.sun_path, &status) < 0) {
    return errno == ENOENT ? absl::OkStatus() : Failure(path, "cannot be looked at");
  }
  if (!S_ISSOCK(status.st_mode)) {
    return absl::AlreadyExistsError(absl::StrCat(path, ": there is something that is no socket"));
  }
  const UniqueFd probe(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!probe.ok()) return Failure(path, "no socket can be made");
  if (connect(probe.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0 &&
      errno == ECONNREFUSED) {
    return unlink(address.sun_path) < 0 ? Failure(path, "cannot be removed") : absl::OkStatus();
  }
  return absl::AlreadyExistsError(
      absl::StrCat(path, ": another daemon listens there; end it, or use another socket"));
}

}  // namespace

absl::StatusOr<UniqueFd> ListenAt(const std::string& path, int type, mode_t mode) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.empty() || path.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "': a socket's path has 1 to ",
                                                   sizeof(address.sun_path) - 1, " bytes"));
  }
  std::memcpy(address.sun_path, path.c_str(), path.size() + 1);
  std::error_code failed;
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  if (!folder.empty() && std::filesystem::create_directories(folder, failed)) {
    // Whatever the umask.
    chmod(folder.c_str(), 0755);
  }
  if (absl::Status removed = RemoveStale(address, type); !removed.ok()) return removed;

  UniqueFd listener(socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener.ok()) return Failure(path, "no socket can be made");
  // What bind() gives the file, before anybody can connect.
  fchmod(listener.get(), mode & 0700);
  if (bind(listener.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)) < 0) {
    return Failure(path, "cannot be bound");
  }
  if (chmod(address.sun_path, mode) < 0) return Failure(path, "its mode cannot be set");
  if (listen(listener.get(), SOMAXCONN) < 0) return Failure(path, "cannot be listened on");
  return listener;
}

}  // namespace tools::daemon
