#include "tools/files/read_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>

namespace tools::files {
namespace {

std::string Temporary(const std::string& name) {
  return std::string(std::getenv("TEST_TMPDIR")) + "/" + name;
}

std::string Written(const std::string& name, const std::string& text) {
  std::ofstream(Temporary(name), std::ios::binary) << text;
  return Temporary(name);
}

TEST(ReadFileTest, ReadsEveryByte) {
  std::string text(200'000, 'x');
  text[100'000] = '\0';
  EXPECT_EQ(ReadFile(Written("some", text)).value(), text);
  EXPECT_EQ(ReadFile(Written("none", "")).value(), "");
}

TEST(ReadFileTest, AFileMayHoldSoMuchAndNoMore) {
  EXPECT_EQ(ReadFile(Written("large", std::string(kMaxBytes, 'x')))->size(), kMaxBytes);
  const std::string path = Written("larger", std::string(kMaxBytes + 1, 'x'));
  EXPECT_EQ(
      ReadFile(path).status(),
      absl::InvalidArgumentError(path + ": larger than 16777216 bytes, the most that is read"));
  EXPECT_EQ(ReadFile("/dev/zero").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReadFileTest, WhatCannotBeReadIsNamed) {
  EXPECT_EQ(ReadFile("/nowhere/to/be found").status(),
            absl::NotFoundError("/nowhere/to/be found: No such file or directory"));
  EXPECT_EQ(ReadFile("/tmp").status(), absl::InvalidArgumentError("/tmp: Is a directory"));
}

TEST(ReadFileTest, AFifoIsNotWaitedFor) {
  const std::string path = Temporary("fifo");
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  EXPECT_EQ(ReadFile(path).value(), "");
}

}  // namespace
}  // namespace tools::files
