// The commands that speak to a daemon: their names, options and help, without the means to carry
// them out. `vfio-compat` has them in its help and hands them to `vfio-compat-control`, which
// carries them out, so that running programs needs no gRPC.
#ifndef TOOLS_CONTROL_OPTIONS_H_
#define TOOLS_CONTROL_OPTIONS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace CLI {  // NOLINT(readability-identifier-naming): CLI11's
class App;
}

namespace tools::control {

// Where the daemon is, and how to print; the same for all commands.
struct CommonOptions {
  std::string host;  // "unix:PATH" or "NAME:PORT"; empty: the local daemon's own socket
  std::string tls_ca;
  std::string tls_cert;
  std::string tls_key;
  double timeout = 10;  // seconds for a call that does not stream
  bool json = false;
};

// What a command is about, and what it is to do. Each command reads its own fields.
struct CommandOptions {
  std::string session;     // an id or its beginning, or a process id
  uint32_t container = 0;  // 0: the session's only one
  std::optional<uint32_t> group;
  std::string device;
  std::string iova;    // a number
  std::string range;   // FIRST-LAST
  std::string access;  // r, w, rw
  bool dry_run = false;
  bool quiet = false;
  uint64_t from_sequence = 0;
  std::vector<std::string> kinds;
  uint64_t count = 0;  // events or refreshes after which to end; 0: never
  double interval = 1;
  std::string svg;
  // limit
  std::string bytes_limit;
  std::optional<uint32_t> mappings_limit;
  std::vector<std::string> allowed;
  std::vector<std::string> types;
  // find; numbers
  std::string wanted_size;
  std::string alignment;
  std::string lowest;
  std::string highest;
  // call
  std::string call;
  std::string type;
  std::string bytes;
  std::string value;
  uint64_t size = 0;
  std::string client;
  int fd = -1;
  bool keep = false;
};

// A command's row: what its subcommand is called and what it does.
struct Command {
  std::string_view name;
  std::string_view help;
};

// All of them, in the order of the help.
inline constexpr Command kCommands[] = {
    {"ps", "List the programs that run under the library on a host"},
    {"show", "Show a session: containers, groups, devices, limits, statistics"},
    {"maps", "List a session's mappings"},
    {"map", "Draw a session's address space"},
    {"translate", "Say where an IOVA leads"},
    {"find", "Find a range of IOVAs that is free"},
    {"watch", "Print what happens, as it happens"},
    {"top", "Show what sessions map and transfer, live"},
    {"freeze", "Cut devices off from memory"},
    {"thaw", "Undo freeze"},
    {"unmap", "Remove the mappings in a range"},
    {"revoke", "Take a container away from its program, for good"},
    {"limit", "Set what a container may not exceed"},
    {"faults", "List, clear or inject DMA faults"},
    {"call", "Make a legacy call on a container of the daemon's own"},
};

// Whether `name` is one of them.
bool IsCommand(std::string_view name);

// Adds subcommands for all of them to `app`; what is parsed goes to `common` and `options`, which
// outlive it.
void AddCommands(CLI::App& app, CommonOptions& common, CommandOptions& options);

}  // namespace tools::control

#endif  // TOOLS_CONTROL_OPTIONS_H_
