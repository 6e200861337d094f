// vfio-compatd: shows every program that runs under the library on this machine, and acts on them.
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <csignal>
#include <memory>
#include <optional>
#include <string>

#include "tools/cli/version.h"
#include "tools/daemon/daemon.h"
#include "tools/daemon/options.h"
#include "tools/daemon/sockets/unique_fd.h"
#include "tools/daemon/systemd/service_manager.h"

namespace {

using tools::daemon::Daemon;
using tools::daemon::UniqueFd;

// Blocks the signals that end the daemon or have it read its policy again, for all threads to come,
// and returns a descriptor that tells of them.
UniqueFd TakeSignals() {
  std::signal(SIGPIPE, SIG_IGN);
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return UniqueFd(signalfd(-1, &signals, SFD_CLOEXEC));
}

void Reload(Daemon& daemon, const std::string& ready) {
  tools::daemon::NotifyReloading();
  const absl::Status reloaded = daemon.Reload();
  if (reloaded.ok()) {
    spdlog::info("the policy was read again");
  } else {
    spdlog::error("the policy stays as it was: {}", std::string(reloaded.message()));
  }
  tools::daemon::NotifyReady(ready);
}

}  // namespace

int main(int argc, char** argv) {
  int status = 0;
  const std::optional<tools::daemon::Options> options =
      tools::daemon::ParseOptions(argc, argv, status);
  if (!options) return status;
  spdlog::set_default_logger(spdlog::stderr_logger_mt("vfio-compatd"));
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %l: %v");
  spdlog::set_level(spdlog::level::from_str(options->log_level));

  const UniqueFd signals = TakeSignals();
  absl::StatusOr<std::unique_ptr<Daemon>> daemon = Daemon::Start(*options);
  if (!daemon.ok()) {
    spdlog::critical("{}", std::string(daemon.status().message()));
    return 1;
  }
  const std::string ready = std::string("version ") + tools::cli::kVersion + (*daemon)->Describe();
  spdlog::info("ready: {}", ready);
  tools::daemon::NotifyReady(ready);
  signalfd_siginfo signal{};
  while (read(signals.get(), &signal, sizeof(signal)) == sizeof(signal) &&
         signal.ssi_signo == SIGHUP) {
    Reload(**daemon, ready);
  }
  spdlog::info("ends: {}", sigabbrev_np(static_cast<int>(signal.ssi_signo)));
  tools::daemon::NotifyStopping();
  daemon->reset();
  return 0;
}
