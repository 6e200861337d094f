#include "compat/settings/text.h"

#include <gtest/gtest.h>

namespace compat::settings {
namespace {

using Strings = std::vector<std::string>;

TEST(SplitEscapedTest, SplitsAtSingleSeparators) {
  EXPECT_EQ(SplitEscaped("a,b,c", ','), (Strings{"a", "b", "c"}));
  EXPECT_EQ(SplitEscaped("a", ','), (Strings{"a"}));
  EXPECT_EQ(SplitEscaped("", ','), Strings{});
  EXPECT_EQ(SplitEscaped("a,", ','), (Strings{"a", ""}));
}

TEST(SplitEscapedTest, TakesADoubledSeparatorForTheCharacter) {
  EXPECT_EQ(SplitEscaped("a,,b,c", ','), (Strings{"a,b", "c"}));
  EXPECT_EQ(SplitEscaped("a,,,b", ','), (Strings{"a,", "b"}));
  EXPECT_EQ(SplitEscaped("a,,,,b", ','), (Strings{"a,,b"}));
}

TEST(SplitEscapedTest, GivesBackWhatWasEscaped) {
  for (const std::string text : {"plain", "one,", "x,,y", "a,b,c,"}) {
    EXPECT_EQ(SplitEscaped(Escape(text, ',') + ",next", ','), (Strings{text, "next"}));
  }
}

TEST(ParseNumberTest, ReadsDecimalHexadecimalAndSuffixes) {
  EXPECT_EQ(*ParseNumber("0"), 0u);
  EXPECT_EQ(*ParseNumber("4096"), 4096u);
  EXPECT_EQ(*ParseNumber("0x1F"), 0x1fu);
  EXPECT_EQ(*ParseNumber("64K"), 65536u);
  EXPECT_EQ(*ParseNumber("0x10M"), 16u << 20);
  EXPECT_EQ(*ParseNumber("3G"), 3ull << 30);
  EXPECT_EQ(*ParseNumber("1T"), 1ull << 40);
  EXPECT_EQ(*ParseNumber("0xffffffffffffffff"), UINT64_MAX);
}

TEST(ParseNumberTest, RefusesWhatIsNoNumberOrTooLarge) {
  for (const char* text :
       {"", "K", "0x", "-1", "+1", " 1", "1 ", "1k", "12ab", "0x1ffffffffffffffff", "16777216T"}) {
    const Parsed<uint64_t> number = ParseNumber(text);
    EXPECT_FALSE(number.ok()) << text;
    EXPECT_NE(number.message().find(Quoted(text)), std::string::npos) << number.message();
  }
}

TEST(QuotedTest, MessagesStayOnOneLine) {
  EXPECT_EQ(Quoted("a b"), "'a b'");
  EXPECT_EQ(Quoted("a\nb\x1b\x7f"), R"('a\x0ab\x1b\x7f')");
  EXPECT_EQ(Quoted("\xc3\xa4"), "'\xc3\xa4'");
}

TEST(HexNumberTest, PrintsWhatParseNumberReads) {
  EXPECT_EQ(HexNumber(0), "0x0");
  EXPECT_EQ(HexNumber(UINT64_MAX), "0xffffffffffffffff");
  EXPECT_EQ(*ParseNumber(HexNumber(0xfee00000)), 0xfee00000u);
}

}  // namespace
}  // namespace compat::settings
