#include "tools/daemon/options.h"

#include <CLI/CLI.hpp>
#include <filesystem>

#include "compat/session/channel.h"
#include "tools/cli/version.h"

namespace tools::daemon {
namespace {

// A file beside this program's folder; empty if it is not there.
std::string Beside(const std::string& path) {
  std::error_code failed;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", failed);
  const std::filesystem::path file = self.parent_path().parent_path() / path;
  return std::filesystem::exists(file, failed) ? file.string() : "";
}

// Who may call, and from where.
void AddAccess(CLI::App& app, Options& options) {
  app.add_option("--listen", options.network.listen, "be there on the network too, by mutual TLS")
      ->type_name("HOST:PORT");
  app.add_option("--tls-cert", options.network.certificate, "the daemon's certificate")
      ->type_name("FILE");
  app.add_option("--tls-key", options.network.key, "its key")->type_name("FILE");
  app.add_option("--tls-ca", options.network.authorities, "authorities of callers' certificates")
      ->type_name("FILE");
  app.add_option("--policy", options.network.policy, "what callers with certificates may do")
      ->type_name("FILE");
  app.add_option("--readers-group", options.readers_group, "group that may look at all sessions")
      ->type_name("NAME");
}

}  // namespace

std::optional<Options> ParseOptions(int argc, char** argv, int& status) {
  Options options;
  options.session_socket = compat::session::kDefaultSocket;
  options.library = Beside("lib/libvfio_compat.so");
  options.remote = Beside("libexec/vfio-compat-remote");
  CLI::App app("Shows the programs that run under vfio-compat on this machine, and acts on them.",
               "vfio-compatd");
  app.set_version_flag("--version", std::string("vfio-compatd ") + cli::kVersion);
  app.add_option("--socket", options.socket, "Unix socket for callers")
      ->type_name("PATH")
      ->capture_default_str();
  app.add_option("--session-socket", options.session_socket, "Unix socket for programs")
      ->type_name("PATH")
      ->capture_default_str();
  AddAccess(app, options);
  app.add_option("--metrics", options.metrics, "serve metrics for Prometheus there")
      ->type_name("HOST:PORT");
  app.add_option("--library", options.library, "the preload library, for clients of Containers")
      ->type_name("FILE");
  app.add_option("--remote", options.remote, "the program that clients of Containers run")
      ->type_name("FILE");
  app.add_option("--log-level", options.log_level, "what is worth a line on standard error")
      ->check(CLI::IsMember({"trace", "debug", "info", "warn", "error", "off"}))
      ->capture_default_str();
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    status = app.exit(error);
    return std::nullopt;
  }
  return options;
}

}  // namespace tools::daemon
