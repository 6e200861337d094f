// Tables on a terminal, and what a terminal is.
#ifndef TOOLS_CONTROL_TABLE_H_
#define TOOLS_CONTROL_TABLE_H_

#include <cstddef>
#include <string>
#include <vector>

namespace tools::control {

// Where output goes.
struct Terminal {
  size_t width = 0;          // columns; 0: no terminal, lines may be of any length
  bool has_colours = false;  // a terminal, and NO_COLOR (no-color.org) does not forbid them

  // Standard output's.
  static Terminal OfStandardOutput();
};

struct Column {
  std::string title;
  bool is_right_aligned = false;
  bool may_shrink = false;  // cut, with an ellipsis, where the line would be too long
};

class Table {
 public:
  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

  // As many cells as there are columns. Control characters become question marks.
  void AddRow(std::vector<std::string> cells);

  // Titles and rows, two spaces between columns, no line longer than the terminal is wide unless
  // no column may shrink so far. Titles are bold where there are colours.
  std::string Text(const Terminal& terminal) const;

 private:
  std::vector<size_t> Widths(size_t limit) const;
  std::string Line(const std::vector<std::string>& cells, const std::vector<size_t>& widths) const;

  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// `text` with what a terminal would take as commands replaced by question marks: names come from
// programs.
std::string Printable(std::string text);

}  // namespace tools::control

#endif  // TOOLS_CONTROL_TABLE_H_
