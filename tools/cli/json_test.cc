#include "tools/cli/json.h"

#include <gtest/gtest.h>

namespace tools::cli {
namespace {

TEST(JsonTest, WhatWouldEndAStringIsEscaped) {
  EXPECT_EQ(JsonString(""), "\"\"");
  EXPECT_EQ(JsonString("a \"b\" \\ c"), "\"a \\\"b\\\" \\\\ c\"");
  EXPECT_EQ(JsonString("a\n\t\x7f"), "\"a\\u000a\\u0009\\u007f\"");
  EXPECT_EQ(JsonString(std::string_view("\0", 1)), "\"\\u0000\"");
  EXPECT_EQ(JsonString("\xc3\xbc"), "\"\xc3\xbc\"");
}

TEST(JsonTest, ListsAndObjectsTakeJsonAsItIs) {
  EXPECT_EQ(JsonList({}), "[]");
  EXPECT_EQ(JsonList({"1", JsonBool(true)}), "[1, true]");
  EXPECT_EQ(JsonObject({}), "{}");
  EXPECT_EQ(JsonObject({{"a", "[]"}, {"b", JsonBool(false)}}), "{\"a\": [], \"b\": false}");
}

}  // namespace
}  // namespace tools::cli
