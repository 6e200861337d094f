#include "tools/daemon/sessions/text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace tools::daemon {
namespace {

std::string PrintableOf(std::string_view text) {
  return Printable(std::span(text.data(), text.size()));
}

TEST(TextTest, PrintableTextStaysAsItIs) {
  EXPECT_EQ(PrintableOf(""), "");
  EXPECT_EQ(PrintableOf("qemu-io -c 'read 0 4k' ~"), "qemu-io -c 'read 0 4k' ~");
  EXPECT_EQ(PrintableOf("\u00a0\u00e9\u07ff\u0800\uD7FF\ue000\uffff\U00010000\U0010ffff"),
            "\u00a0\u00e9\u07ff\u0800\uD7FF\ue000\uffff\U00010000\U0010ffff");
}

TEST(TextTest, TextEndsAtTheFirstZero) { EXPECT_EQ(PrintableOf(std::string_view("a\0b", 3)), "a"); }

TEST(TextTest, ControlCharactersAreReplaced) {
  EXPECT_EQ(PrintableOf("a\nb\x1b[0m\x7f"), "a?b?[0m?");
  // C1: two bytes in UTF-8.
  EXPECT_EQ(PrintableOf("\xc2\x80\xc2\x9b"), "????");
}

TEST(TextTest, BytesThatAreNotUtf8AreReplaced) {
  EXPECT_EQ(PrintableOf("\x80"), "?");
  EXPECT_EQ(PrintableOf("\xff\xfe"), "??");
  EXPECT_EQ(PrintableOf("\xc3"), "?");
  EXPECT_EQ(PrintableOf("\xc0\xaf"), "??");            // too long for '/'
  EXPECT_EQ(PrintableOf("\xe0\x9f\xbf"), "???");       // too long
  EXPECT_EQ(PrintableOf("\xed\xa0\x80"), "???");       // a surrogate
  EXPECT_EQ(PrintableOf("\xf0\x8f\xbf\xbf"), "????");  // too long
  EXPECT_EQ(PrintableOf("\xf4\x90\x80\x80"), "????");  // beyond Unicode
  EXPECT_EQ(PrintableOf("\xe2\x82z"), "??z");
}

TEST(TextTest, NamesAreGraphicAsciiWithAnEnd) {
  const auto is_name = [](std::string_view text) {
    return IsName(std::span(text.data(), text.size()));
  };
  EXPECT_TRUE(is_name(std::string_view("0000:00:05.0\0\xff", 14)));
  EXPECT_FALSE(is_name("endless"));
  EXPECT_FALSE(is_name(std::string_view("a b\0", 4)));
  EXPECT_FALSE(is_name(std::string_view("a\n\0", 3)));
  EXPECT_FALSE(is_name(std::string_view("\x80\0", 2)));
}

}  // namespace
}  // namespace tools::daemon
