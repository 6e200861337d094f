// Steps, scripts and inputs are each other, and what goes to real kernels is what they survive.
#include "fuzz/sequence/script.h"

#include <gtest/gtest.h>

#include <sstream>
#include <string>
#include <vector>

#include "fuzz/sequence/step.h"
#include "fuzz/sequence/survivable.h"

namespace fuzz::sequence {
namespace {

constexpr char kAttached[] =
    "open c /dev/vfio/vfio\n"
    "open g /dev/vfio/{GROUP}\n"
    "setcontainer g c\n";

std::vector<Step> Read(const std::string& script) {
  std::istringstream stream(script);
  return ReadScript(stream);
}

std::string Write(const std::vector<Step>& steps) {
  std::string script;
  for (const Step& step : steps) script += LineOf(step) + "\n";
  return script;
}

std::string Survive(const std::string& script) {
  return Write(Survivable(Kind::kSpapr, Read(script)));
}

TEST(ScriptTest, InputOfAScriptIsTheScriptAgain) {
  const std::string type1 = std::string(kAttached) +
                            "setiommu c 3\n"
                            "t1info c 4K\n"
                            "map c 32 3 $m+64K 60K 8K\n"
                            "dirty c 8 1\n"
                            "dirtyget c 0 256K 4K\n"
                            "unmapget c 60K 8K 4K\n"
                            "unmap c 24 2 0 0\n"
                            "raw c 18 0\n"
                            "getdev g d\n"
                            "dup c c2\n"
                            "close c\n";
  EXPECT_EQ(Write(Decode(Kind::kType1, Encode(Kind::kType1, Read(type1)))), type1);
  const std::string spapr = std::string(kAttached) +
                            "setiommu c 7\n"
                            "reg c 24 0 $m 1M\n"
                            "create c 40 0 16 1G 1\n"
                            "map c 32 1 $m 0x800000000000000 64K\n"
                            "remove c 16 0 0\n"
                            "eeh c 12 0 4\n";
  EXPECT_EQ(Write(Decode(Kind::kSpapr, Encode(Kind::kSpapr, Read(spapr)))), spapr);
}

TEST(ScriptTest, NameThatIsOpenedAgainIsClosedAndAClosedOneStandsForNothing) {
  const std::vector<Step> steps =
      Read("open c /dev/vfio/vfio\nopen c /dev/vfio/vfio\nclose c\napi c\n");
  EXPECT_EQ(Write(Decode(Kind::kType1, Encode(Kind::kType1, steps))),
            "open c /dev/vfio/vfio\nclose c\nopen c /dev/vfio/vfio\nclose c\napi none\n");
}

TEST(SurvivableTest, NoAccessRunsPastTheEndOfAWindow) {
  const std::string head = std::string(kAttached) + "setiommu c 7\nreg c 24 0 $m 1M\n";
  EXPECT_EQ(Survive(head + "unmap c 24 0 0 4G\n"), head);
  EXPECT_EQ(Survive(head + "map c 32 3 $m 2097148K 8K\n"), head);
  const std::string inside = head + "unmap c 24 0 0 2G\nmap c 32 3 $m 2097148K 4K\n";
  EXPECT_EQ(Survive(inside), inside);
}

TEST(SurvivableTest, UncertainWindowsAndLargePagesAreLeftOut) {
  const std::string head = std::string(kAttached) + "setiommu c 7\nreg c 24 0 $m 1M\n";
  EXPECT_EQ(Survive(head + "create c 40 0 12 64G 1\n"), head);
  const std::string window = head + "create c 40 0 16 1G 1\n";
  EXPECT_EQ(Survive(window + "map c 32 3 $m 0x800000000000000 64K\n"), window);
}

TEST(SurvivableTest, AllGroupsAreTheOneThatThereIs) {
  EXPECT_EQ(Survive("open g2 /dev/vfio/8\n"), "open g2 /dev/vfio/{GROUP}\n");
}

}  // namespace
}  // namespace fuzz::sequence
