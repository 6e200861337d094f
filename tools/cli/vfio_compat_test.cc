// The command line as its user meets it: the binary is run, and its messages and statuses are
// looked at. Here the preload library is an empty file: what it does is not this test's matter.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace {

using tests::Command;
using tests::CommandLineTool;
using tests::CommandResult;

class VfioCompatTest : public testing::Test {
 protected:
  VfioCompatTest() : folder_(testing::TempDir() + "vfio_compat_test") {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directory(folder_);
    tests::WriteFile(library(), "");
    tests::WriteFile(image(), std::string(4096, '\0'));
  }
  ~VfioCompatTest() override { std::filesystem::remove_all(folder_); }

  std::string File(const std::string& name) const { return folder_ + "/" + name; }
  std::string library() const { return File("libvfio_compat.so"); }
  std::string image() const { return File("disk.img"); }
  std::string device() const { return "nvme,addr=0000:00:05.0,image=" + image(); }

  CommandResult Call(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), CommandLineTool());
    return Command(arguments).With("VFIO_COMPAT_LIBRARY", library()).With("LD_PRELOAD", "").Run();
  }

  // Runs what must be refused with one line that has `expected` in it.
  void Refused(int status, const std::string& expected, const std::vector<std::string>& arguments) {
    const CommandResult result = Call(arguments);
    EXPECT_EQ(result.status, status) << result.errors;
    EXPECT_EQ(result.output, "");
    EXPECT_NE(result.errors.find(expected), std::string::npos) << result.errors;
    EXPECT_EQ(result.errors.find("vfio-compat: "), 0u) << result.errors;
    EXPECT_EQ(std::count(result.errors.begin(), result.errors.end(), '\n'), 1) << result.errors;
  }

  std::string Copy(const std::string& program, const std::string& name) const {
    std::filesystem::copy_file(program, File(name));
    return File(name);
  }

 private:
  std::string folder_;
};

TEST_F(VfioCompatTest, HelpShowsExamples) {
  const CommandResult result = Call({"--help"});
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.output.find("vfio-compat run --device"), std::string::npos);
}

TEST_F(VfioCompatTest, VersionIsOneLine) {
  const CommandResult result = Call({"--version"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output.find("vfio-compat "), 0u);
}

TEST_F(VfioCompatTest, UnknownOptionsAndSubcommandsAreRefused) {
  Refused(2, "subcommand", {});
  Refused(2, "subcommand", {"walk"});
  Refused(2, "--frobnicate", {"run", "--frobnicate", "--", "true"});
  Refused(2, "required", {"run", "--fault", "--", "true"});
  Refused(2, "--", {"run", "--device", device()});
}

TEST_F(VfioCompatTest, AnEmptyArgumentIsOneTooMany) {
  Refused(2, "not expected", {"freeze", "1", ""});
  Refused(2, "not expected", {"freeze", "1", "", "--dice", "x"});
}

TEST_F(VfioCompatTest, WhatIsCutOffIsNamedInOneWay) {
  Refused(2, "excludes", {"thaw", "1", "--group", "7", "--container", "1"});
  Refused(2, "excludes", {"freeze", "1", "--group", "7", "--device", "0000:00:05.0"});
}

TEST_F(VfioCompatTest, BadOptionValuesAreRefused) {
  Refused(2, "'hard' is not a backend", {"run", "--backend=hard", "--", "true"});
  Refused(2, "'loud' is not a log level", {"run", "--log=loud", "--", "true"});
  Refused(2, "unknown option 'size'", {"run", "--device", device() + ",size=1", "--", "true"});
  Refused(2, "not a PCI address", {"run", "--device=nvme,addr=5,image=x", "--", "true"});
  Refused(2, "above the last one", {"run", "--fault=iova=2-1", "--", "true"});
}

TEST_F(VfioCompatTest, EmulatedDevicesAreNotTheKernels) {
  Refused(2, "emulated devices need the backend soft",
          {"run", "--backend=kernel", "--device", device(), "--", "true"});
  Refused(2, "ranges that are refused need the backend soft",
          {"run", "--fault=iova=0-4095", "--", "true"});
  Refused(2, "the IOMMU power needs the backend soft",
          {"run", "--backend=kernel", "--iommu=power", "--", "true"});
}

TEST_F(VfioCompatTest, BadContainersAreRefused) {
  Refused(2, "'type2' is not a container type: expected type1, spapr or both",
          {"run", "--container=type2", "--", "true"});
  Refused(2, "'power9' is not a POWER platform: expected powernv or pseries",
          {"run", "--container=spapr", "--platform=power9", "--", "true"});
  Refused(2, "window start '5' is not a multiple of 4096",
          {"run", "--container=spapr", "--tce64-start=5", "--", "true"});
  Refused(2, "the platform pseries needs the container spapr or both",
          {"run", "--platform=pseries", "--", "true"});
  Refused(2, "the window start 0x10000000000 needs the container spapr or both",
          {"run", "--container=type1", "--tce64-start=1T", "--", "true"});
}

TEST_F(VfioCompatTest, WithoutDevicesAndIommufdTheSoftwareHostIsPointedOut) {
  if (access("/dev/iommu", F_OK) == 0) GTEST_SKIP() << "the machine has /dev/iommu";
  for (const char* backend : {"--backend=auto", "--backend=kernel"}) {
    Refused(2, "/dev/iommu: No such file", {"run", backend, "--", "true"});
    Refused(2, "--device nvme,addr=", {"run", backend, "--", "true"});
  }
}

TEST_F(VfioCompatTest, AnAddressGivenTwiceIsRefused) {
  Refused(2, "two devices have the address 0000:00:05.0",
          {"run", "--device", device(), "--device", device(), "--", "true"});
}

TEST_F(VfioCompatTest, ImagesThatCannotBeDisksAreRefused) {
  const std::string device = "nvme,addr=00:05.0,image=";
  Refused(2, "No such file", {"run", "--device", device + File("missing"), "--", "true"});
  Refused(2, "directory", {"run", "--device", device + "/", "--", "true"});
  Refused(2, "neither a regular file", {"run", "--device", device + "/dev/null", "--", "true"});
  tests::WriteFile(File("small"), "x");
  Refused(2, "smaller than one block", {"run", "--device", device + File("small"), "--", "true"});
}

TEST_F(VfioCompatTest, ADmaEngineNeedsNoImage) {
  const CommandResult result =
      Call({"run", "--device", "dma,addr=00:05.0,pasid_bits=8", "--summary", "--", "true"});
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_NE(result.errors.find("DMA faults: 0"), std::string::npos) << result.errors;
  Refused(2, "pasid_bits '21' is not a number from 1 to 20",
          {"run", "--device", "dma,addr=00:05.0,pasid_bits=21", "--", "true"});
}

TEST_F(VfioCompatTest, AMissingLibraryIsRefused) {
  unlink(library().c_str());
  Refused(2, "libvfio_compat.so: No such file", {"run", "--backend=soft", "--", "true"});
}

TEST_F(VfioCompatTest, AProgramThatDoesNotExistIs127) {
  Refused(127, "no_such_program: program not found",
          {"run", "--backend=soft", "--", "no_such_program"});
  Refused(127, "No such file", {"run", "--backend=soft", "--", File("missing")});
}

TEST_F(VfioCompatTest, AProgramThatCannotBeExecutedIs126) {
  Refused(126, "Permission denied", {"run", "--backend=soft", "--", image()});
  Refused(126, "is a directory", {"run", "--backend=soft", "--", "/tmp"});
  chmod(image().c_str(), 0755);
  Refused(126, "neither an ELF program nor a script", {"run", "--backend=soft", "--", image()});
}

TEST_F(VfioCompatTest, AStaticProgramIsOutOfReach) {
  const std::string program = tests::Runfile("tools/cli/testing/static_program.bin");
  Refused(126, "is statically linked: LD_PRELOAD cannot reach it",
          {"run", "--backend=soft", "--", program});
}

TEST_F(VfioCompatTest, AScriptIsAsReachableAsItsInterpreter) {
  const std::string program = tests::Runfile("tools/cli/testing/static_program.bin");
  tests::WriteFile(File("script"), "#! " + program + " -x\n");
  chmod(File("script").c_str(), 0755);
  Refused(126, "its interpreter " + program + ": is statically linked",
          {"run", "--backend=soft", "--", File("script")});
  tests::WriteFile(File("script"), "#!/bin/sh\nexit 5\n");
  EXPECT_EQ(Call({"run", "--backend=soft", "--", File("script")}).status, 5);
}

TEST_F(VfioCompatTest, ASetUserIdProgramIsOutOfReach) {
  const std::string program = Copy("/bin/true", "set_user_id");
  constexpr uid_t kNobody = 65534;
  if (chown(program.c_str(), kNobody, kNobody) != 0) {
    GTEST_SKIP() << "only root can give files away";
  }
  chmod(program.c_str(), 04755);
  Refused(126, "is set-user-ID: LD_PRELOAD cannot reach it",
          {"run", "--backend=soft", "--", program});
  chmod(program.c_str(), 02755);
  Refused(126, "is set-group-ID: LD_PRELOAD cannot reach it",
          {"run", "--backend=soft", "--", program});
}

TEST_F(VfioCompatTest, ExitStatusIsTheProgramsOwn) {
  EXPECT_EQ(Call({"run", "--backend=soft", "--", "true"}).status, 0);
  EXPECT_EQ(Call({"run", "--backend=soft", "--", "sh", "-c", "exit 42"}).status, 42);
  EXPECT_EQ(Call({"run", "--backend=soft", "--", "sh", "-c", "kill -TERM $$"}).status,
            128 + SIGTERM);
}

TEST_F(VfioCompatTest, ArgumentsReachTheProgramAsTheyAre) {
  const CommandResult result = Call({"run", "--backend=soft", "--", "sh", "-c",
                                     "printf '%s|' \"$@\"", "sh", "--log=x", "--", "a b", ""});
  EXPECT_EQ(result.output, "--log=x|--|a b||");
}

TEST_F(VfioCompatTest, TheProgramFindsTheSettingsInItsEnvironment) {
  const CommandResult result = Call({"run", "--backend=soft", "--device", device() + ",group=7",
                                     "--fault=iova=4K-8191", "--log=info", "--", "env"});
  EXPECT_EQ(result.status, 0);
  for (const char* line : {"VFIO_COMPAT_BACKEND=soft\n", "VFIO_COMPAT_FAULTS=iova=0x1000-0x1fff\n",
                           "VFIO_COMPAT_LOG=info\n"}) {
    EXPECT_NE(result.output.find(line), std::string::npos) << result.output;
  }
  EXPECT_NE(result.output.find("VFIO_COMPAT_DEVICES=" + device() + ",group=7\n"),
            std::string::npos);
  EXPECT_NE(result.output.find("LD_PRELOAD=" + library() + "\n"), std::string::npos);
}

TEST_F(VfioCompatTest, TheProgramFindsItsContainersInItsEnvironment) {
  const CommandResult result =
      Call({"run", "--backend=soft", "--container=spapr", "--platform=pseries", "--tce64-start=1T",
            "--iommu=x86", "--", "env"});
  EXPECT_EQ(result.status, 0) << result.errors;
  for (const char* line : {"VFIO_COMPAT_CONTAINER=spapr\n", "VFIO_COMPAT_PLATFORM=pseries\n",
                           "VFIO_COMPAT_TCE64_START=0x10000000000\n", "VFIO_COMPAT_IOMMU=x86\n"}) {
    EXPECT_NE(result.output.find(line), std::string::npos) << result.output;
  }
}

TEST_F(VfioCompatTest, TheProgramFindsTheDaemonsSocketInItsEnvironment) {
  const CommandResult given =
      Call({"run", "--backend=soft", "--control=/tmp/daemon.sock", "--", "env"});
  EXPECT_EQ(given.status, 0) << given.errors;
  EXPECT_NE(given.output.find("VFIO_COMPAT_CONTROL=/tmp/daemon.sock\n"), std::string::npos);
  const CommandResult none = Call({"run", "--backend=soft", "--control=none", "--", "env"});
  EXPECT_EQ(none.status, 0) << none.errors;
  EXPECT_NE(none.output.find("VFIO_COMPAT_CONTROL=\n"), std::string::npos);
  Refused(2, "absolute", {"run", "--backend=soft", "--control=daemon.sock", "--", "true"});
}

TEST_F(VfioCompatTest, SignalsReachTheProgram) {
  const std::string script = "'" + CommandLineTool() +
                             "' run --backend=soft -- sh -c 'trap \"exit 9\" TERM; echo ready; "
                             "while :; do sleep 0.01; done' > '" +
                             File("out") +
                             "' & "
                             "while ! grep -q ready '" +
                             File("out") + "'; do sleep 0.01; done; kill -TERM $!; wait $!";
  const CommandResult result =
      Command({"sh", "-c", script}).With("VFIO_COMPAT_LIBRARY", library()).Run();
  EXPECT_EQ(result.status, 9) << result.errors;
}

TEST_F(VfioCompatTest, AProgramThatIsStoppedAndContinuedGoesOn) {
  // Nobody continues but the program itself.
  const CommandResult result = Call({"run", "--backend=soft", "--", "sh", "-c",
                                     "(while ! grep -q 'State:.*stopped' /proc/$$/status; do :; "
                                     "done; kill -CONT $$) & kill -STOP $$; wait; echo on"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output, "on\n");
}

TEST_F(VfioCompatTest, DoctorHasAVerdictOnThisMachine) {
  const CommandResult result = Call({"doctor"});
  EXPECT_EQ(result.errors, "");
  EXPECT_EQ(result.output.find("ok       kernel: Linux "), 0u) << result.output;
  const bool has_errors = result.output.find("\nerror ") != std::string::npos;
  EXPECT_EQ(result.status, has_errors ? 1 : 0) << result.output;
  EXPECT_EQ(Call({"doctor", "--json"}).status, result.status);
}

TEST_F(VfioCompatTest, DoctorLooksAtNothingButItsRoot) {
  const CommandResult result = Call({"doctor", "--root", File("empty")});
  EXPECT_EQ(result.status, 1);
  EXPECT_NE(result.output.find("error    IOMMU: none is in use"), std::string::npos);
  EXPECT_NE(result.output.find("warning  kernel: unknown version"), std::string::npos);
}

TEST_F(VfioCompatTest, WhatIsWrittenAsJsonIsJson) {
  SKIP_UNLESS_INSTALLED("python3");
  for (const char* command : {"doctor", "decode"}) {
    std::vector<std::string> arguments = {command, "--json"};
    if (arguments[0] == "decode") arguments.emplace_back("18");
    const CommandResult check =
        Command({"python3", "-m", "json.tool"}).WithInput(Call(arguments).output).Run();
    EXPECT_EQ(check.status, 0) << command << ": " << check.errors;
  }
}

TEST_F(VfioCompatTest, DecodeShowsEveryMeaningOfANumber) {
  const CommandResult result = Call({"decode", "18"});
  EXPECT_EQ(result.status, 0);
  EXPECT_NE(result.output.find("VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY"), std::string::npos);
  EXPECT_NE(result.output.find("VFIO_DEVICE_BIND_IOMMUFD"), std::string::npos);
  EXPECT_EQ(Call({"decode", "0x3b76"}).output, result.output);
  EXPECT_EQ(Call({"decode", "118"}).output, result.output);
}

TEST_F(VfioCompatTest, DecodeIsNarrowedByDescriptorAndType) {
  EXPECT_EQ(Call({"decode", "18", "--fd=cdev"}).output.find("SPAPR"), std::string::npos);
  const CommandResult device = Call({"decode", "13", "--fd=device"});
  EXPECT_NE(device.output.find("VFIO_DEVICE_PCI_HOT_RESET"), std::string::npos);
  EXPECT_EQ(device.output.find("MAP_DMA"), std::string::npos);
  Refused(1,
          "means nothing on a descriptor of kind container, type type1: the kernel answers "
          "ENOTTY",
          {"decode", "18", "--fd=container", "--type=type1"});
  Refused(1, "the kernel answers EINVAL", {"decode", "18", "--fd=container", "--type=none"});
}

TEST_F(VfioCompatTest, DecodeRefusesWhatItDoesNotKnow) {
  Refused(1, "means nothing", {"decode", "99"});
  Refused(2, "neither a number nor a call's name", {"decode", "MAP"});
  Refused(2, "no kind of descriptor", {"decode", "18", "--fd=socket"});
  Refused(2, "no container type", {"decode", "18", "--type=type9"});
  Refused(2, "NUMBER", {"decode"});
}

TEST_F(VfioCompatTest, BashCompletesSubcommandsAndOptions) {
  const std::string script = R"sh(
eval "$("$0" completion bash)"
complete_word() {
  COMP_WORDS=(vfio-compat "$@") COMP_CWORD=$#
  _vfio_compat
  echo "${COMPREPLY[@]}"
}
complete_word fr
complete_word doctor --j
complete_word freeze --gr
)sh";
  const CommandResult result = Command({"bash", "-c", script, CommandLineTool()}).Run();
  EXPECT_EQ(result.output, "freeze\n--json\n--group\n") << result.errors;
}

TEST_F(VfioCompatTest, CompletionIsForKnownShells) {
  for (const char* shell : {"bash", "zsh", "fish"}) {
    EXPECT_NE(Call({"completion", shell}).output.find("freeze"), std::string::npos) << shell;
  }
  Refused(2, "tcsh", {"completion", "tcsh"});
}

TEST_F(VfioCompatTest, CommandsForADaemonNeedTheirHelper) {
  // A copy that has no helper beside it.
  const std::string copy = Copy(CommandLineTool(), "vfio-compat");
  const CommandResult result = Command({copy, "ps"}).Run();
  EXPECT_EQ(result.status, 127);
  EXPECT_NE(result.errors.find("vfio-compat-control"), std::string::npos) << result.errors;
}

TEST_F(VfioCompatTest, DecodeWritesJson) {
  const CommandResult result = Call({"decode", "VFIO_SET_IOMMU", "--json"});
  EXPECT_EQ(result.status, 0);
  EXPECT_EQ(result.output.find("[\n  {\"request\": 15206, \"name\": \"VFIO_SET_IOMMU\""), 0u)
      << result.output;
  EXPECT_EQ(result.output.substr(result.output.size() - 4), "}\n]\n");
}

}  // namespace
