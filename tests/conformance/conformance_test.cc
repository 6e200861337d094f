// Runs vconf's scripts under the preload library on the software host and compares what it prints
// with what a real kernel made it print.
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <string>
#include <vector>

#include "tests/conformance/recording.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace tests::conformance {
namespace {

constexpr char kFolder[] = "tests/conformance/";

// The names ("type1/01-select") of all scripts in a folder.
std::vector<std::string> Scripts(const std::string& folder) {
  std::vector<std::string> scripts;
  for (const auto& file : std::filesystem::directory_iterator(Runfile(kFolder + folder))) {
    if (file.path().extension() == ".vc") {
      scripts.push_back(folder + "/" + file.path().stem().string());
    }
  }
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

Lines Recorded(const std::string& script) {
  return SplitLines(ReadFile(Runfile(kFolder + script + ".out")));
}

// What vconf prints for a script under the library, where containers are of the folder's kind. The
// device is where the recordings had theirs.
Lines Played(const std::string& script) {
  const DiskImage image(1 << 20);
  const std::string device = "nvme,addr=0000:00:03.0,group=7,image=" + image.path();
  Command vconf =
      Preloaded({Runfile("tests/conformance/vconf"), Runfile(kFolder + script + ".vc")}, device);
  const CommandResult result =
      vconf.With("VFIO_COMPAT_CONTAINER", script.substr(0, script.find('/')))
          .With("GROUP", "7")
          .With("BDF", "0000:00:03.0")
          .Run();
  EXPECT_LT(result.status, 128) << script << " was ended by a signal\n" << result.errors;
  return SplitLines(result.output);
}

// The lines that differ, as a reader wants to see them.
std::string Differences(const Lines& expected, const Lines& played) {
  std::string differences;
  for (size_t i = 0; i < std::max(expected.size(), played.size()); ++i) {
    const std::string wanted = i < expected.size() ? expected[i] : "";
    const std::string found = i < played.size() ? played[i] : "";
    if (wanted == found) continue;
    differences += "\nwanted " + wanted + "\nfound  " + found;
  }
  return differences;
}

class ConformanceTest : public testing::TestWithParam<std::string> {};

TEST_P(ConformanceTest, AnswersAsRecordedOrAsListed) {
  Lines problems;
  const auto deviations =
      ParseDeviations(ReadFile(Runfile("tests/conformance/deviations.txt")), problems);
  const Lines expected = Apply(deviations, GetParam(), Recorded(GetParam()), problems);
  const Lines played = Played(GetParam());
  EXPECT_EQ(problems, Lines{});
  EXPECT_EQ(Differences(expected, played), "");
}

// "type1/01-select" as a test's name may be.
std::string CaseName(const testing::TestParamInfo<std::string>& information) {
  std::string name = information.param.substr(information.param.find('/') + 1);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Type1, ConformanceTest, testing::ValuesIn(Scripts("type1")), CaseName);
INSTANTIATE_TEST_SUITE_P(Spapr, ConformanceTest, testing::ValuesIn(Scripts("spapr")), CaseName);

TEST(DeviationsTest, EachIsOfAScriptThatThereIs) {
  Lines problems;
  std::vector<std::string> scripts = Scripts("type1");
  for (const std::string& script : Scripts("spapr")) scripts.push_back(script);
  for (const Deviation& deviation :
       ParseDeviations(ReadFile(Runfile("tests/conformance/deviations.txt")), problems)) {
    EXPECT_NE(std::find(scripts.begin(), scripts.end(), deviation.script), scripts.end())
        << deviation.script;
  }
  EXPECT_EQ(problems, Lines{});
}

}  // namespace
}  // namespace tests::conformance
