#include "tests/programs/qemu_disk.h"

namespace tests {

Command RunTool(const std::vector<const QemuDisk*>& disks, const std::vector<std::string>& options,
                const std::vector<std::string>& program) {
  std::vector<std::string> arguments = {CommandLineTool(), "run"};
  for (const QemuDisk* disk : disks) {
    arguments.insert(arguments.end(), {"--device", disk->device()});
  }
  arguments.insert(arguments.end(), options.begin(), options.end());
  arguments.emplace_back("--");
  arguments.insert(arguments.end(), program.begin(), program.end());
  Command command(arguments);
  command.With("VFIO_COMPAT_LIBRARY", PreloadLibrary());
  return command;
}

std::vector<std::string> QemuIo(const QemuDisk& disk, const std::vector<std::string>& commands) {
  std::vector<std::string> arguments = {"qemu-io", "-f", "raw"};
  for (const std::string& command : commands) {
    arguments.insert(arguments.end(), {"-c", command});
  }
  arguments.push_back(disk.url());
  return arguments;
}

bool IsPattern(const std::string& text, uint64_t size, unsigned char byte) {
  return text == std::string(size, static_cast<char>(byte));
}

}  // namespace tests
