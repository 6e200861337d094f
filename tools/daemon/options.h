// What vfio-compatd's command line says. docs/daemon.md explains the options.
#ifndef TOOLS_DAEMON_OPTIONS_H_
#define TOOLS_DAEMON_OPTIONS_H_

#include <optional>
#include <string>

#include "tools/daemon/access/network.h"

namespace tools::daemon {

struct Options {
  std::string socket = "/run/vfio-compat/control.sock";
  std::string session_socket;  // compat::session::kDefaultSocket
  NetworkOptions network;
  std::string readers_group;
  std::string metrics;  // an address; empty: none
  // Empty: beside this program, as tools/build lays them out.
  std::string library;
  std::string remote;
  std::string log_level = "info";
};

// Reads the command line. Returns the options, or, where there is nothing to run (--help,
// --version, a mistake, which it tells), writes the program's exit status to `status` and returns
// nothing.
std::optional<Options> ParseOptions(int argc, char** argv, int& status);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_OPTIONS_H_
