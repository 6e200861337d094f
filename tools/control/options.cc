#include "tools/control/options.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <iterator>

namespace tools::control {
namespace {

void AddCommon(CLI::App& command, CommonOptions& common) {
  command
      .add_option("--host", common.host,
                  "The daemon: unix:PATH or NAME:PORT; by default this machine's own")
      ->envname("VFIO_COMPAT_DAEMON");
  command.add_option("--tls-ca", common.tls_ca, "The daemon's certificate authority, a PEM file")
      ->envname("VFIO_COMPAT_TLS_CA");
  command.add_option("--tls-cert", common.tls_cert, "One's own certificate, a PEM file")
      ->envname("VFIO_COMPAT_TLS_CERT");
  command.add_option("--tls-key", common.tls_key, "Its key, a PEM file")
      ->envname("VFIO_COMPAT_TLS_KEY");
  command.add_option("--timeout", common.timeout, "Seconds to wait for an answer")
      ->check(CLI::Range(0.1, 3600.0));
  command.add_flag("--json", common.json, "Print JSON");
}

void AddSession(CLI::App& command, CommandOptions& options) {
  command
      .add_option("SESSION", options.session, "Its id or the beginning of one, or its process id")
      ->required();
}

void AddContainer(CLI::App& command, CommandOptions& options) {
  command.add_option("--container", options.container,
                     "The number of the container, or of the IOAS as show prints it; not needed "
                     "where the session has only one");
}

void AddDryRun(CLI::App& command, CommandOptions& options) {
  command.add_flag("--dry-run", options.dry_run, "Say what would happen, and change nothing");
}

void AddTarget(CLI::App& command, CommandOptions& options) {
  AddSession(command, options);
  // No group of options: CLI11 takes an empty argument for the name that a group lacks, and what
  // follows goes from one to the other for ever.
  auto* const container =
      command.add_option("--container", options.container, "The container with this number");
  auto* const group = command.add_option("--group", options.group, "The group with this number")
                          ->excludes(container);
  auto* const device = command.add_option("--device", options.device, "The group of this device")
                           ->excludes(container)
                           ->excludes(group);
  for (CLI::Option* const what : {container, group, device}) {
    what->group("What is concerned; all that the session has where none is given");
  }
  AddDryRun(command, options);
}

void AddLimits(CLI::App& command, CommandOptions& options) {
  AddSession(command, options);
  AddContainer(command, options);
  command.add_option("--bytes", options.bytes_limit, "Mapped bytes, as 64M");
  command.add_option("--mappings", options.mappings_limit, "Live mappings");
  command
      .add_option("--allow", options.allowed, "FIRST-LAST: where mappings may lie; once per range")
      ->allow_extra_args(false);
  command
      .add_option("--type", options.types,
                  "A type that the session's next containers may have; once per type")
      ->allow_extra_args(false);
  AddDryRun(command, options);
  command.footer(
      "What is not named is not limited any more. Without --container and with --type\n"
      "it is about containers that the session opens from now on.");
}

void AddFaults(CLI::App& command, CommandOptions& options) {
  AddSession(command, options);
  command
      .add_option("--inject", options.allowed,
                  "FIRST-LAST: IOVAs to refuse from now on; once per range")
      ->allow_extra_args(false);
  command.add_option("--do", options.call, "list (the default), clear, or restore: refuse no more")
      ->check(CLI::IsMember({"list", "clear", "restore"}));
  AddDryRun(command, options);
}

void AddCall(CLI::App& command, CommandOptions& options) {
  command.add_option("CALL", options.call, "The call's name, as VFIO_IOMMU_GET_INFO, or number")
      ->required();
  command.add_option("--type", options.type,
                     "Make it on a container with a device and this type: type1, type1v2, "
                     "spapr-tce, spapr-tce-v2; otherwise on one without an IOMMU");
  command.add_option("--bytes", options.bytes,
                     "The structure that is its argument, in hexadecimal");
  command.add_option("--size", options.size, "Bytes of the structure; zeros follow --bytes");
  command.add_option("--value", options.value, "Its argument, a number");
  command.add_option("--client", options.client, "Go on with what an earlier --keep printed");
  command.add_option("--fd", options.fd, "The descriptor to make it on, with --client");
  command.add_flag("--keep", options.keep, "Leave the container open, and print how to go on");
}

void AddPs(CLI::App& command, CommandOptions& options) {
  command.add_flag("-q,--quiet", options.quiet, "Print ids only");
}

void AddMaps(CLI::App& command, CommandOptions& options) {
  AddSession(command, options);
  AddContainer(command, options);
  command.add_option("--range", options.range, "Only what touches FIRST-LAST, both inclusive");
}

void AddMap(CLI::App& command, CommandOptions& options) {
  AddMaps(command, options);
  command.add_option("--svg", options.svg, "The file to draw to; - is standard output")->required();
}

void AddTranslate(CLI::App& command, CommandOptions& options) {
  AddSession(command, options);
  command.add_option("IOVA", options.iova, "The address that a device uses")->required();
  AddContainer(command, options);
  command.add_option("--access", options.access, "What for: r, w or rw")
      ->check(CLI::IsMember({"r", "w", "rw"}));
}

void AddFind(CLI::App& command, CommandOptions& options) {
  AddSession(command, options);
  command.add_option("--size", options.wanted_size, "Bytes that are wanted, as 1G")->required();
  command.add_option("--align", options.alignment,
                     "What it is to begin at a multiple of; by default the smallest page");
  command.add_option("--from", options.lowest, "It does not begin below this IOVA");
  command.add_option("--to", options.highest, "It does not end above this IOVA");
  AddContainer(command, options);
}

void AddWatch(CLI::App& command, CommandOptions& options) {
  command.add_option("SESSION", options.session, "Only this one; by default all");
  command.add_option("--from", options.from_sequence, "Begin at this sequence number");
  command.add_option("--kind", options.kinds, "Only this kind, as mapped; once per kind")
      ->allow_extra_args(false);
  command.add_option("--count", options.count, "End after so many events");
}

void AddTop(CLI::App& command, CommandOptions& options) {
  command.add_option("--interval", options.interval, "Seconds between two looks")
      ->check(CLI::Range(0.1, 3600.0));
  command.add_option("--count", options.count, "End after so many looks");
}

void AddRevoke(CLI::App& command, CommandOptions& options) {
  AddSession(command, options);
  AddContainer(command, options);
  AddDryRun(command, options);
}

void AddUnmap(CLI::App& command, CommandOptions& options) {
  AddSession(command, options);
  command.add_option("RANGE", options.range, "FIRST-LAST, both inclusive")->required();
  AddContainer(command, options);
  AddDryRun(command, options);
}

// In the order of kCommands.
constexpr void (*kAdders[])(CLI::App& command, CommandOptions& options) = {
    AddPs,     AddSession, AddMaps,  AddMap,    AddTranslate, AddFind,   AddWatch, AddTop,
    AddTarget, AddTarget,  AddUnmap, AddRevoke, AddLimits,    AddFaults, AddCall,
};
static_assert(std::size(kAdders) == std::size(kCommands));

}  // namespace

bool IsCommand(std::string_view name) {
  return std::any_of(std::begin(kCommands), std::end(kCommands),
                     [name](const Command& command) { return command.name == name; });
}

void AddCommands(CLI::App& app, CommonOptions& common, CommandOptions& options) {
  for (size_t i = 0; i < std::size(kCommands); ++i) {
    const Command& row = kCommands[i];
    CLI::App* const command = app.add_subcommand(std::string(row.name), std::string(row.help));
    // The parent's is not theirs.
    command->footer("");
    kAdders[i](*command, options);
    AddCommon(*command, common);
  }
}

}  // namespace tools::control
