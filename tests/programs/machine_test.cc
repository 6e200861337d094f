// The machine that emulated devices make up, as programs see it.
#include <gtest/gtest.h>

#include <string>

#include "tests/programs/qemu_disk.h"
#include "tests/support/command.h"
#include "tests/support/shim.h"

namespace {

using tests::Command;
using tests::CommandResult;
using tests::kMebibyte;
using tests::QemuDisk;

constexpr char kAddress[] = "0000:00:1e.0";

TEST(MachineTest, LspciListsTheDevice) {
  SKIP_UNLESS_INSTALLED("lspci");
  const QemuDisk disk(kAddress, kMebibyte);
  const CommandResult result =
      tests::RunTool({&disk}, {}, {"lspci", "-D", "-n", "-s", kAddress}).Run();
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.output.find(std::string(kAddress) + " 0108: "), 0u) << result.output;
  const CommandResult verbose =
      tests::RunTool({&disk}, {}, {"lspci", "-D", "-vv", "-s", kAddress}).Run();
  for (const char* expected : {"Non-Volatile memory controller", "MSI-X:", "Region 0: Memory"}) {
    EXPECT_NE(verbose.output.find(expected), std::string::npos) << verbose.output;
  }
}

TEST(MachineTest, ListingsAndNodesAgree) {
  const QemuDisk disk(kAddress, kMebibyte, ",group=42");
  const CommandResult result = tests::RunTool({&disk}, {}, {"sh", "-c", R"(
        ls /dev/vfio
        ls /sys/kernel/iommu_groups/42/devices
        readlink -f /sys/bus/pci/devices/0000:00:1e.0/iommu_group
        cat /sys/bus/pci/devices/0000:00:1e.0/class
        test -c /dev/vfio/42 && echo node
        test -e /dev/vfio/43 || echo no other)"})
                                   .Run();
  EXPECT_EQ(result.status, 0) << result.errors;
  for (const char* expected : {"42\n", "vfio\n", "0000:00:1e.0\n", "/sys/kernel/iommu_groups/42\n",
                               "0x010802\n", "node\n", "no other\n"}) {
    EXPECT_NE(result.output.find(expected), std::string::npos) << result.output;
  }
}

TEST(MachineTest, ProgramsWithoutInterestInVfioEndAsTheyWould) {
  const QemuDisk disk(kAddress, kMebibyte);
  for (const std::vector<std::string>& program :
       std::vector<std::vector<std::string>>{{"nvme", "version"},
                                             {"nvme", "list"},
                                             {"lspci", "-s", "ff:1f.7"},
                                             {"qemu-img", "--version"}}) {
    if (!tests::IsInstalled(program[0])) continue;
    const CommandResult with = tests::RunTool({&disk}, {}, program).Run();
    const CommandResult without = Command(program).Run();
    EXPECT_EQ(with.status, without.status) << program[0];
    EXPECT_EQ(with.output, without.output) << program[0];
  }
}

TEST(MachineTest, ProgramsStartedByProgramsSeeTheSameMachine) {
  SKIP_UNLESS_INSTALLED("qemu-io");
  const QemuDisk disk(kAddress, kMebibyte);
  const std::string use = "qemu-io -f raw -c \"$1\" nvme://0000:00:1e.0/1";
  const CommandResult result =
      tests::RunTool(
          {&disk}, {"--summary"},
          {"sh", "-c",
           "sh -c '" + use + "' sh 'write -P 3 0 4k' && sh -c '" + use + "' sh 'read -P 3 0 4k'"})
          .Run();
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.output.find("failed"), std::string::npos) << result.output;
  // The summary is of both.
  EXPECT_NE(result.errors.find("container 1"), std::string::npos) << result.errors;
  EXPECT_NE(result.errors.find("container 2"), std::string::npos) << result.errors;
}

}  // namespace
