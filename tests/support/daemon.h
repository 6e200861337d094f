// A vfio-compatd of a test's own, which has //tools/daemon:vfio-compatd and, for clients of
// Containers,
// //tools/daemon/remote:vfio-compat-remote and //compat/preload:libvfio_compat.so in `data`.
#ifndef TESTS_SUPPORT_DAEMON_H_
#define TESTS_SUPPORT_DAEMON_H_

#include <sys/types.h>

#include <string>
#include <vector>

namespace tests {

// A new folder whose name is short enough for sockets in it.
class ShortFolder {
 public:
  ShortFolder();
  ShortFolder(const ShortFolder&) = delete;
  ShortFolder& operator=(const ShortFolder&) = delete;
  ~ShortFolder();

  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class Daemon {
 public:
  // Starts it with sockets in a folder of its own and these options, and waits until it says that
  // it is ready. `sockets`: descriptors that it gets as a service manager's, instead of sockets'
  // names.
  explicit Daemon(const std::vector<std::string>& options, const std::vector<int>& sockets = {});
  Daemon(const Daemon&) = delete;
  Daemon& operator=(const Daemon&) = delete;
  // Ends it, if it still runs.
  ~Daemon();

  // Whether it has become ready.
  bool is_ready() const { return is_ready_; }
  pid_t pid() const { return pid_; }
  // Where callers and programs connect.
  std::string socket() const { return folder_.path() + "/control.sock"; }
  std::string session_socket() const { return folder_.path() + "/session.sock"; }
  // Of --listen ("network") and --metrics ("metrics"), as it says when it is ready; 0: none.
  int PortOf(const std::string& name) const;

  // Waits for the next thing that it tells the service manager; empty if there is none in time.
  std::string NextNotification();
  // SIGHUP, and waits for what that came to.
  void Reload();
  // SIGTERM, and waits for its end. Its exit status, as $? in a shell.
  int Stop();

 private:
  [[noreturn]] void Execute(const std::vector<std::string>& options,
                            const std::vector<int>& sockets) const;

  const ShortFolder folder_;
  int manager_ = -1;  // the service manager's socket
  pid_t pid_ = -1;
  bool is_ready_ = false;
  std::string status_;
};

}  // namespace tests

#endif  // TESTS_SUPPORT_DAEMON_H_
