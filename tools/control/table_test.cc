#include "tools/control/table.h"

#include <gtest/gtest.h>

namespace tools::control {
namespace {

Table TwoColumns() {
  Table table({{.title = "N", .is_right_aligned = true}, {.title = "NAME", .may_shrink = true}});
  table.AddRow({"1", "a name that is rather long"});
  table.AddRow({"100", "short"});
  return table;
}

TEST(TableTest, ColumnsAreAsWideAsTheirCells) {
  EXPECT_EQ(TwoColumns().Text({}),
            "  N  NAME\n"
            "  1  a name that is rather long\n"
            "100  short\n");
}

TEST(TableTest, LinesFitTheTerminal) {
  EXPECT_EQ(TwoColumns().Text({.width = 17, .has_colours = false}),
            "  N  NAME\n"
            "  1  a name that…\n"
            "100  short\n");
}

TEST(TableTest, WhatMayNotShrinkStaysWhole) {
  Table table({{"A"}, {.title = "B", .may_shrink = true}});
  table.AddRow({"a long cell that stays", "twelve chars"});
  EXPECT_EQ(table.Text({.width = 10, .has_colours = false}),
            "A                       B\n"
            "a long cell that stays  twelve …\n");
}

TEST(TableTest, TitlesAreBoldOnATerminalWithColours) {
  Table table({{"A"}});
  EXPECT_EQ(table.Text({.width = 80, .has_colours = true}), "\x1b[1mA\x1b[0m\n");
}

TEST(TableTest, NamesCannotCommandTheTerminal) {
  Table table({{"A"}});
  table.AddRow({"red \x1b[31m\nline\x7f"});
  EXPECT_EQ(table.Text({}), "A\nred ?[31m?line?\n");
}

TEST(TableTest, CharactersOfSeveralBytesTakeOneColumn) {
  Table table({{"A"}, {"B"}});
  table.AddRow({"äö", "x"});
  table.AddRow({"abc", "y"});
  EXPECT_EQ(table.Text({}), "A    B\näö   x\nabc  y\n");
}

TEST(TableTest, StandardOutputOfATestIsNoTerminal) {
  EXPECT_EQ(Terminal::OfStandardOutput().width, 0u);
  EXPECT_FALSE(Terminal::OfStandardOutput().has_colours);
}

}  // namespace
}  // namespace tools::control
