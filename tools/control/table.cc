#include "tools/control/table.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <numeric>

namespace tools::control {
namespace {

constexpr size_t kGap = 2;
constexpr size_t kLeastWidth = 8;

// How many columns UTF-8 text takes, where no character is wider than one.
size_t Columns(const std::string& text) {
  return static_cast<size_t>(
      std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

// The first `columns` columns of UTF-8 text; what is cut off is marked.
std::string Cut(const std::string& text, size_t columns) {
  if (Columns(text) <= columns) return text;
  size_t end = 0;
  for (size_t seen = 0; end < text.size(); ++end) {
    if ((text[end] & 0xc0) == 0x80) continue;
    if (seen++ == columns - 1) break;
  }
  return text.substr(0, end) + "…";
}

}  // namespace

Terminal Terminal::OfStandardOutput() {
  Terminal terminal;
  winsize size = {};
  if (isatty(STDOUT_FILENO) == 0) return terminal;
  terminal.width =
      ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col != 0 ? size.ws_col : 80;
  const char* const forbidden = std::getenv("NO_COLOR");
  terminal.has_colours = forbidden == nullptr || *forbidden == '\0';
  return terminal;
}

std::string Printable(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < ' ' || c == '\x7f') c = '?';
  }
  return text;
}

void Table::AddRow(std::vector<std::string> cells) {
  cells.resize(columns_.size());
  for (std::string& cell : cells) cell = Printable(std::move(cell));
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::Widths(size_t limit) const {
  std::vector<size_t> widths;
  for (size_t i = 0; i < columns_.size(); ++i) {
    size_t width = Columns(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, Columns(row[i]));
    widths.push_back(width);
  }
  size_t total = std::accumulate(widths.begin(), widths.end(), kGap * (columns_.size() - 1));
  for (size_t i = columns_.size(); i-- > 0 && limit != 0 && total > limit;) {
    if (!columns_[i].may_shrink || widths[i] <= kLeastWidth) continue;
    const size_t less = std::min(total - limit, widths[i] - kLeastWidth);
    widths[i] -= less;
    total -= less;
  }
  return widths;
}

std::string Table::Line(const std::vector<std::string>& cells,
                        const std::vector<size_t>& widths) const {
  std::string line;
  for (size_t i = 0; i < cells.size(); ++i) {
    const std::string cell = Cut(cells[i], widths[i]);
    const std::string padding(widths[i] - Columns(cell), ' ');
    line += columns_[i].is_right_aligned ? padding + cell : cell + padding;
    line.append(kGap, ' ');
  }
  line.erase(line.find_last_not_of(' ') + 1);
  return line;
}

std::string Table::Text(const Terminal& terminal) const {
  const std::vector<size_t> widths = Widths(terminal.width);
  std::vector<std::string> titles;
  for (const Column& column : columns_) titles.push_back(column.title);
  std::string text = Line(titles, widths);
  if (terminal.has_colours) text = "\x1b[1m" + text + "\x1b[0m";
  text += '\n';
  for (const auto& row : rows_) text += Line(row, widths) + "\n";
  return text;
}

}  // namespace tools::control
