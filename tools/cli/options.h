// What vfio-compat's command line says: subcommands, their options and their help, without the
// means to carry them out.
#ifndef TOOLS_CLI_OPTIONS_H_
#define TOOLS_CLI_OPTIONS_H_

#include <string>
#include <vector>

#include "tools/control/options.h"

namespace tools::cli {

// The options as they were written; an empty string is an option that was not given.
struct RunOptions {
  std::string backend;
  std::vector<std::string> devices;
  std::vector<std::string> faults;
  std::string iommu;
  std::string container;
  std::string platform;
  std::string tce64_start;
  std::string log_level;
  std::string control;  // empty: the daemon that listens where they do, if one may be there
  bool summary = false;
};

struct DecodeOptions {
  std::string number;  // of a request, in any form that CallsNumbered knows, or a call's name
  std::string kind;    // of the descriptor; empty: all
  std::string type;    // of the container; empty: all
  bool json = false;
};

struct DoctorOptions {
  bool json = false;
  std::string root;  // stands in front of /dev, /proc, /sys and /boot
};

// Each subcommand reads its own.
struct Options {
  RunOptions run;
  DecodeOptions decode;
  DoctorOptions doctor;
  std::string shell;  // completion
  // Of the commands that vfio-compat-control carries out, which reads them for itself.
  control::CommonOptions common;
  control::CommandOptions control;
};

// Adds all subcommands, of which one has to be named, and their help to `app`; what is parsed goes
// to `options`, which outlives it.
void AddSubcommands(CLI::App& app, Options& options);

}  // namespace tools::cli

#endif  // TOOLS_CLI_OPTIONS_H_
