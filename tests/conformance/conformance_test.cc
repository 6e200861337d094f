// Runs vconf's scripts under the preload library on the software host and compares what it prints
// with what a real kernel made it print.
#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

#include "tests/conformance/recording.h"
#include "tests/conformance/scripts.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace tests::conformance {
namespace {

// What vconf prints for a script under the library, where containers are of the folder's kind. The
// device is where the recordings had theirs.
Lines Played(const std::string& script) {
  const DiskImage image(1 << 20);
  const std::string device = "nvme,addr=0000:00:03.0,group=7,image=" + image.path();
  Command vconf = Preloaded({Runfile("tests/conformance/vconf"), ScriptFile(script)}, device);
  const CommandResult result = vconf.With("VFIO_COMPAT_CONTAINER", ContainerOf(script))
                                   .With("GROUP", "7")
                                   .With("BDF", "0000:00:03.0")
                                   .Run();
  EXPECT_LT(result.status, 128) << script << " was ended by a signal\n" << result.errors;
  return SplitLines(result.output);
}

class ConformanceTest : public testing::TestWithParam<std::string> {};

TEST_P(ConformanceTest, AnswersAsRecordedOrAsListed) {
  EXPECT_EQ(Differences(GetParam(), Played(GetParam())), "");
}

std::string NameOf(const testing::TestParamInfo<std::string>& information) {
  return CaseName(information.param);
}

INSTANTIATE_TEST_SUITE_P(Type1, ConformanceTest, testing::ValuesIn(Scripts("type1")), NameOf);
INSTANTIATE_TEST_SUITE_P(Spapr, ConformanceTest, testing::ValuesIn(Scripts("spapr")), NameOf);

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
