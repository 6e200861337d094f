// The library as a file, and as a guest in programs that have nothing to do with VFIO.
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace {

using tests::Command;
using tests::CommandResult;
using tests::PreloadLibrary;

std::set<std::string> Words(const std::string& text) {
  std::istringstream stream(text);
  return {std::istream_iterator<std::string>(stream), {}};
}

TEST(LibraryTest, NeedsLibcAlone) {
  SKIP_UNLESS_INSTALLED("ldd");
  const CommandResult ldd = Command({"ldd", PreloadLibrary()}).Run();
  ASSERT_EQ(ldd.status, 0) << ldd.errors;
  std::istringstream lines(ldd.output);
  for (std::string line; std::getline(lines, line);) {
    const bool known = line.find("libc.so.6") != std::string::npos ||
                       line.find("linux-vdso") != std::string::npos ||
                       line.find("/ld-linux") != std::string::npos;
    EXPECT_TRUE(known) << line;
  }
}

// The functions that the library's folders say they interpose.
std::set<std::string> IntendedExports() {
  std::set<std::string> names;
  const std::string folder = tests::Runfile("compat/preload");
  for (const auto& file : std::filesystem::recursive_directory_iterator(
           folder, std::filesystem::directory_options::follow_directory_symlink)) {
    if (file.path().filename() == "exports.txt") {
      names.merge(Words(tests::ReadFile(file.path())));
    }
  }
  return names;
}

TEST(LibraryTest, ExportsTheInterposedFunctionsAndNothingElse) {
  SKIP_UNLESS_INSTALLED("nm");
  const CommandResult nm =
      Command({"nm", "-D", "--defined-only", "--format=just-symbols", PreloadLibrary()}).Run();
  ASSERT_EQ(nm.status, 0) << nm.errors;
  const std::set<std::string> intended = IntendedExports();
  EXPECT_GT(intended.size(), 20u);
  EXPECT_EQ(Words(nm.output), intended);
}

// Programs that must not notice anything.
std::vector<std::vector<std::string>> Bystanders() {
  return {{"/bin/true"},
          {"/bin/false"},
          {"python3", "-c", "pass"},
          {"python3", "-c", "import os, sys; print(sorted(os.listdir('/dev'))[:3], sys.argv)"},
          {"bash", "-c", ":"},
          {"bash", "-c", "echo $BASHOPTS | wc -w; ls -d /proc/self; cat < /dev/null; exit 3"},
          {"ls", "/usr/include/linux"},
          {tests::Runfile("tests/preload/subjects/thread_printer")}};
}

void ExpectSame(const CommandResult& with, const CommandResult& without) {
  EXPECT_EQ(with.status, without.status);
  EXPECT_EQ(with.output, without.output);
  EXPECT_EQ(with.errors, without.errors);
}

TEST(LibraryTest, BystandersDoNotNoticeItWithoutSettings) {
  for (const std::vector<std::string>& bystander : Bystanders()) {
    if (bystander[0][0] != '/' && !tests::IsInstalled(bystander[0])) continue;
    SCOPED_TRACE(testing::PrintToString(bystander));
    ExpectSame(tests::Preloaded(bystander).Run(), Command(bystander).Run());
  }
}

TEST(LibraryTest, BystandersDoNotNoticeItWithADevice) {
  const tests::DiskImage image(1 << 20);
  for (const std::vector<std::string>& bystander : Bystanders()) {
    if (bystander[0][0] != '/' && !tests::IsInstalled(bystander[0])) continue;
    SCOPED_TRACE(testing::PrintToString(bystander));
    ExpectSame(tests::Preloaded(bystander, "nvme,addr=00:05.0,image=" + image.path()).Run(),
               Command(bystander).Run());
  }
}

TEST(LibraryTest, BadSettingsAreOneErrorAndNoHost) {
  const CommandResult result =
      tests::Preloaded({"sh", "-c", "exec 3<>/dev/vfio/vfio"}, "floppy").Run();
  EXPECT_NE(result.status, 0);
  EXPECT_NE(result.errors.find("unknown kind 'floppy'"), std::string::npos) << result.errors;
}

TEST(LibraryTest, MissingIommuIsOneWarningThatSaysWhatElseThereIs) {
  if (access("/dev/iommu", R_OK | W_OK) == 0) GTEST_SKIP() << "this machine has /dev/iommu";
  const tests::CommandResult result = tests::Preloaded({"/bin/ls", "/dev/vfio/vfio", "/dev/vfio/7"})
                                          .With("VFIO_COMPAT_BACKEND", "auto")
                                          .Run();
  EXPECT_NE(result.status, 0);
  EXPECT_NE(result.errors.find("/dev/iommu cannot be opened"), std::string::npos) << result.errors;
  EXPECT_NE(result.errors.find("VFIO_COMPAT_DEVICES"), std::string::npos) << result.errors;
  EXPECT_EQ(result.errors.find("/dev/iommu"), result.errors.rfind("/dev/iommu")) << result.errors;
}

}  // namespace
