// A vfio-compat-remote process: started, given calls, ended.
#ifndef TOOLS_DAEMON_REMOTE_PROCESS_H_
#define TOOLS_DAEMON_REMOTE_PROCESS_H_

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compat/settings/settings.h"
#include "tools/daemon/remote/calls.h"

namespace tools::daemon::remote {

// Where the parts lie, and how processes are to be.
struct ProcessOptions {
  std::string program;  // vfio-compat-remote
  std::string library;  // libvfio_compat.so
  std::string control;  // the daemon's session socket; empty: none
  // How long a call may take; a process that takes longer is ended.
  std::chrono::milliseconds patience{10'000};
};

class Process {
 public:
  // Starts one, as user `id` (0: the daemon's own). It lives no longer than the thread that calls
  // this. The devices of `settings` have no images: each gets a disk of zeros of `disk_bytes`,
  // which are taken as they are written. kUnavailable if it cannot be had.
  static absl::StatusOr<std::unique_ptr<Process>> Start(const ProcessOptions& options,
                                                        compat::settings::Settings settings,
                                                        uint64_t disk_bytes, uint32_t id);

  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;
  // Ends it, with its children.
  ~Process();

  pid_t pid() const { return pid_; }

  // Has it make a call, `bytes` behind it (at most kMaxBytes), and puts what the call gave into
  // `out`. One call at a time; others wait. kUnavailable, now and ever after, if the process has
  // ended, or takes too long, which ends it.
  absl::StatusOr<Answer> Make(Call call, absl::string_view bytes, std::string& out);

  // Ends it, and with it a call that is being made.
  void End();

 private:
  Process(pid_t pid, int socket, std::chrono::milliseconds patience)
      : pid_(pid), socket_(socket), patience_(patience) {}

  absl::Status SendCall(const Call& call, absl::string_view bytes);
  absl::StatusOr<Answer> ReceiveAnswer(std::string& out);
  void Reap();

  const pid_t pid_;  // and its process group
  const int socket_;
  const std::chrono::milliseconds patience_;
  std::mutex mutex_;
  bool has_ended_ = false;
};

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_PROCESS_H_
