// Programs that do under the library what a test cannot do itself.
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace {

using tests::CommandResult;

CommandResult RunSubject(const std::string& name) {
  const tests::DiskImage image(1 << 20);
  return tests::Preloaded({tests::Runfile("tests/preload/subjects/" + name)},
                          "nvme,addr=0000:00:03.0,image=" + image.path())
      .Run();
}

TEST(SubjectsTest, CallsBeforeItsConstructorsWork) {
  const CommandResult result = RunSubject("early_caller");
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.output, "early: 0, late: 0\n");
}

TEST(SubjectsTest, AProgramsOwnFunctionsComeFirst) {
  const CommandResult result = RunSubject("interposer");
  EXPECT_EQ(result.status, 0) << result.errors;
  EXPECT_EQ(result.output, "version 0, closed 0, calls 1 1 1\n");
}

}  // namespace
