#include "tools/cli/options.h"

#include <CLI/CLI.hpp>

namespace tools::cli {
namespace {

constexpr char kExamples[] = R"(Examples:
  qemu-img create -f raw disk.img 256M
  vfio-compat run --device nvme,addr=0000:00:05.0,image=disk.img -- \
      qemu-io -f raw -c 'write -P 0xab 0 1M' nvme://0000:00:05.0/1
  vfio-compat run --summary --fault iova=0x7000000000-0x7fffffffff \
      --device nvme,addr=05:00.0,image=disk.img,group=7 -- PROGRAM ARG...
  vfio-compat run -- dpdk-testpmd -a 0000:00:03.0 -- -i
  vfio-compat doctor
  vfio-compat decode 18
  vfio-compat decode 0x3b71 --fd=container --type=type1v2 --json
  vfio-compat ps; vfio-compat maps 4711; vfio-compat freeze 4711 --dry-run
)";

void AddRun(CLI::App& app, RunOptions& options) {
  CLI::App* run = app.add_subcommand(
      "run", "Run the program behind -- on the machine's devices, by iommufd, or on emulated ones");
  run->add_option("--backend", options.backend,
                  "Where DMA goes: kernel (the machine's devices, by /dev/iommu), soft (the "
                  "emulated ones), or auto: soft if there is a --device, kernel otherwise");
  run->add_option("--device", options.devices,
                  "An emulated device: nvme,addr=ADDRESS,image=FILE[,group=N]"
                  "[,block_size=512|4096] or dma,addr=ADDRESS[,group=N][,pasid_bits=1..20]; once "
                  "per device")
      ->allow_extra_args(false);
  run->add_option("--fault", options.faults,
                  "iova=FIRST-LAST: addresses that the software IOMMU refuses; once per range")
      ->allow_extra_args(false);
  run->add_option("--iommu", options.iommu,
                  "The IOMMU that emulated devices are behind: auto (the default), x86, power or "
                  "sign-extended");
  run->add_option("--container", options.container,
                  "The containers that programs can choose: type1 (the default), spapr (POWER's "
                  "SPAPR TCE), or both");
  run->add_option("--platform", options.platform,
                  "What SPAPR TCE containers are like: powernv (the default) or pseries");
  run->add_option("--tce64-start", options.tce64_start,
                  "Where the second window of a SPAPR TCE container starts: an IOVA, as 1T");
  run->add_option("--log", options.log_level, "error, warning, info or debug");
  run->add_option("--control", options.control,
                  "Socket of the daemon that may look at the program and act on it, or none; "
                  "where daemons listen, if this machine is set up for one");
  run->add_flag("--summary", options.summary, "At the end, say what happened, on standard error");
  run->footer(
      "The exit status is the program's. docs/environment.md describes the environment\n"
      "variables that do the same without this command.");
}

void AddDecode(CLI::App& app, DecodeOptions& options) {
  CLI::App* decode = app.add_subcommand("decode", "Say what the number of a VFIO call means");
  decode
      ->add_option("NUMBER", options.number,
                   "A request (0x3b71), its lower byte (113), an offset from VFIO_BASE (13), or a "
                   "call's name")
      ->required();
  decode->add_option("--fd", options.kind,
                     "Only on this kind of descriptor: container, group, device, cdev, iommufd or "
                     "migration");
  decode->add_option("--type", options.type, "Only on a container of this type");
  decode->add_flag("--json", options.json, "Print JSON");
}

void AddDoctor(CLI::App& app, DoctorOptions& options) {
  CLI::App* doctor = app.add_subcommand(
      "doctor",
      "Check whether legacy programs run on this host's devices, and say what is missing");
  doctor->add_flag("--json", options.json, "Print JSON");
  // For tests, so it is not in the help.
  doctor->add_option("--root", options.root)->group("");
  doctor->footer("The exit status is 1 if they would fail on the kernel backend.");
}

void AddCompletion(CLI::App& app, std::string& shell) {
  CLI::App* completion =
      app.add_subcommand("completion", "Print a script that has a shell complete these commands");
  completion->add_option("SHELL", shell, "bash, zsh or fish")
      ->required()
      ->check(CLI::IsMember({"bash", "zsh", "fish"}));
  completion->footer("As in: vfio-compat completion bash > /etc/bash_completion.d/vfio-compat");
}

}  // namespace

void AddSubcommands(CLI::App& app, Options& options) {
  app.footer(kExamples);
  app.require_subcommand(1);
  AddRun(app, options.run);
  AddDoctor(app, options.doctor);
  AddDecode(app, options.decode);
  // Only described here: vfio-compat-control reads what they are told.
  control::AddCommands(app, options.common, options.control);
  AddCompletion(app, options.shell);
}

}  // namespace tools::cli
