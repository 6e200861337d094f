#include "tests/conformance/recording.h"

#include <gtest/gtest.h>

namespace tests::conformance {
namespace {

TEST(ParseDeviationsTest, ReadsScriptLineOutputAndReason) {
  Lines problems;
  const auto deviations =
      ParseDeviations("# a comment\n\na/b 12: ext c 6 => 0 # why #1\n", problems);
  EXPECT_EQ(problems, Lines{});
  ASSERT_EQ(deviations.size(), 1u);
  EXPECT_EQ(deviations[0].script, "a/b");
  EXPECT_EQ(deviations[0].line, 12);
  EXPECT_EQ(deviations[0].wanted, "ext c 6 => 0");
  EXPECT_EQ(deviations[0].reason, "why #1");
}

TEST(ParseDeviationsTest, RefusesADeviationWithoutReason) {
  Lines problems;
  EXPECT_TRUE(
      ParseDeviations("a/b 12: ext c 6 => 0\na/b 12: x #\na/b x: y # z\n", problems).empty());
  EXPECT_EQ(problems.size(), 3u);
}

TEST(ApplyTest, ReplacesTheLineOfThatNumberInThatScript) {
  const Lines recording = {"   9| x => 1", "  10| y => 1"};
  Lines problems;
  EXPECT_EQ(Apply({{"s", 10, "y => 2", "r"}, {"t", 9, "x => 3", "r"}}, "s", recording, problems),
            (Lines{"   9| x => 1", "  10| y => 2"}));
  EXPECT_EQ(problems, Lines{});
}

TEST(ApplyTest, FindsDeviationsThatAreNone) {
  const Lines recording = {"   9| x => 1"};
  Lines problems;
  Apply({{"s", 9, "x => 1", "r"}, {"s", 8, "x => 2", "r"}}, "s", recording, problems);
  EXPECT_EQ(problems.size(), 2u);
}

}  // namespace
}  // namespace tests::conformance
