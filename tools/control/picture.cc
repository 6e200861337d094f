#include "tools/control/picture.h"

#include <algorithm>
#include <bit>
#include <cstdarg>
#include <cstdio>

#include "tools/control/format.h"
#include "tools/control/print.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

// More bands than that would be too thin to tell apart: the nearest are drawn as one.
constexpr size_t kMostBands = 200;
constexpr int kWidth = 900;
constexpr int kLeft = 330;       // addresses stand to the left of it
constexpr int kBandWidth = 260;  // labels stand to the right of it
constexpr int kTop = 70;
constexpr int kGap = 14;

// Something to be drawn.
struct Band {
  uint64_t first;
  uint64_t last;
  const char* style;  // a class of the style sheet
  std::string label;
};

constexpr char kStyle[] = R"(<style>
text { font: 12px monospace; fill: #222; }
.title { font-size: 16px; font-weight: bold; }
.aperture { fill: #f4f4f4; stroke: #999; }
.reserved { fill: #bbb; stroke: #777; }
.window { fill: #e8eef8; stroke: #668; }
.read { fill: #6aa84f; stroke: #38761d; }
.write { fill: #e69138; stroke: #b45f06; }
.readwrite { fill: #3d85c6; stroke: #1c4587; }
.none { fill: #ddd; stroke: #999; }
.fault { fill: #cc0000; stroke: #660000; }
.gap { stroke: #999; stroke-dasharray: 2 3; }
</style>
)";

std::string Escaped(const std::string& text) {
  std::string escaped;
  for (const char c : text) {
    switch (c) {
      case '<':
        escaped += "&lt;";
        break;
      case '>':
        escaped += "&gt;";
        break;
      case '&':
        escaped += "&amp;";
        break;
      default:
        escaped += static_cast<unsigned char>(c) < ' ' ? '?' : c;
    }
  }
  return escaped;
}

const char* StyleOf(v1::Access access) {
  switch (access) {
    case v1::ACCESS_READ:
      return "read";
    case v1::ACCESS_WRITE:
      return "write";
    case v1::ACCESS_READ_WRITE:
      return "readwrite";
    default:
      return "none";
  }
}

const char* NameOf(v1::Access access) {
  switch (access) {
    case v1::ACCESS_READ:
      return "read";
    case v1::ACCESS_WRITE:
      return "write";
    case v1::ACCESS_READ_WRITE:
      return "read, write";
    default:
      return "no access";
  }
}

// Bytes of a range; one less where that would not fit.
uint64_t SizeOf(uint64_t first, uint64_t last) {
  return last - first == UINT64_MAX ? UINT64_MAX : last - first + 1;
}

int HeightOf(const Band& band) {
  const auto bits = static_cast<int>(std::bit_width(SizeOf(band.first, band.last)));
  return 14 + 2 * std::max(0, bits - 12);
}

__attribute__((format(printf, 2, 3))) void Append(std::string& text, const char* format, ...) {
  char line[512];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  text += line;
}

std::string MappingLabel(const Picture::Stretch& stretch) {
  std::string label = Bytes(SizeOf(stretch.first, stretch.last)) + ", " + NameOf(stretch.access);
  if (stretch.mappings > 1) label += ", " + Count(stretch.mappings) + " mappings";
  return label;
}

// Joins the two neighbours that are nearest to each other until there are few enough.
void Thin(std::vector<Picture::Stretch>& stretches, size_t most) {
  if (stretches.size() <= most) return;
  std::vector<uint64_t> gaps;
  for (size_t i = 1; i < stretches.size(); ++i) {
    gaps.push_back(stretches[i].first - stretches[i - 1].last);
  }
  std::vector<uint64_t> sorted = gaps;
  const auto middle = sorted.begin() + static_cast<std::ptrdiff_t>(stretches.size() - most - 1);
  std::nth_element(sorted.begin(), middle, sorted.end());
  const uint64_t joined = *middle;
  std::vector<Picture::Stretch> thin = {stretches.front()};
  for (size_t i = 1; i < stretches.size(); ++i) {
    Picture::Stretch& last = thin.back();
    if (gaps[i - 1] > joined) {
      thin.push_back(stretches[i]);
      continue;
    }
    last.last = stretches[i].last;
    last.mappings += stretches[i].mappings;
    last.access = static_cast<v1::Access>(last.access | stretches[i].access);
  }
  stretches = std::move(thin);
}

// The ends of apertures and windows are lines; reserved ranges, mappings and faults are bands.
std::vector<Band> BandsOf(const Picture& picture) {
  std::vector<Band> bands;
  for (const v1::ReservedRange& reserved : picture.space.reserved()) {
    const std::string owner = reserved.owner().empty() ? "the IOMMU" : reserved.owner();
    bands.push_back(
        {reserved.range().first(), reserved.range().last(), "reserved", "reserved for " + owner});
  }
  std::vector<Picture::Stretch> stretches = picture.stretches;
  Thin(stretches, kMostBands);
  for (const Picture::Stretch& stretch : stretches) {
    bands.push_back({stretch.first, stretch.last, StyleOf(stretch.access), MappingLabel(stretch)});
  }
  for (const v1::Fault& fault : picture.faults.faults()) {
    bands.push_back(
        {fault.iova(), fault.iova(), "fault",
         RequesterOf(fault) + ", " + Count(fault.count()) + " faults: " + fault.reason()});
  }
  std::stable_sort(bands.begin(), bands.end(),
                   [](const Band& a, const Band& b) { return a.first < b.first; });
  return bands;
}

void AppendHeader(std::string& svg, const Picture& picture) {
  const v1::Statistics& statistics = picture.space.statistics();
  svg += "<text class=\"title\" x=\"20\" y=\"28\">" + Escaped(picture.title) + "</text>\n";
  svg += "<text x=\"20\" y=\"48\">" + Bytes(statistics.mapped_bytes()) + " in " +
         Count(statistics.mapping_count()) + " mappings, " + Count(statistics.faults()) +
         " faults</text>\n";
}

// What devices can reach at all, below the bands.
int AppendFrame(std::string& svg, const Picture& picture, int y) {
  for (const v1::Range& range : picture.space.apertures()) {
    svg += "<rect class=\"aperture\" x=\"20\" y=\"" + std::to_string(y) +
           "\" width=\"10\" height=\"12\"/><text x=\"38\" y=\"" + std::to_string(y + 11) +
           "\">aperture " + HexRange(range.first(), range.last()) + "</text>\n";
    y += 18;
  }
  for (const v1::Window& window : picture.space.windows()) {
    svg += "<rect class=\"window\" x=\"20\" y=\"" + std::to_string(y) +
           "\" width=\"10\" height=\"12\"/><text x=\"38\" y=\"" + std::to_string(y + 11) +
           "\">window " + HexRange(window.range().first(), window.range().last()) + ", pages of " +
           Bytes(window.page_size()) + "</text>\n";
    y += 18;
  }
  return y + kGap;
}

int AppendBand(std::string& svg, const Band& band, int y) {
  const int height = HeightOf(band);
  Append(svg, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\"/>\n", band.style,
         kLeft, y, kBandWidth, height);
  Append(svg, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", kLeft - 10, y + 11,
         HexRange(band.first, band.last).c_str());
  svg += "<text x=\"" + std::to_string(kLeft + kBandWidth + 10) + "\" y=\"" +
         std::to_string(y + 11) + "\">" + Escaped(band.label) + "</text>\n";
  return y + height;
}

int AppendGap(std::string& svg, uint64_t bytes, int y) {
  Append(svg, "<line class=\"gap\" x1=\"%d\" y1=\"%d\" x2=\"%d\" y2=\"%d\"/>\n", kLeft, y, kLeft,
         y + kGap);
  Append(svg, "<text x=\"%d\" y=\"%d\" fill-opacity=\"0.5\">%s</text>\n", kLeft + 8, y + 11,
         Bytes(bytes).c_str());
  return y + kGap;
}

}  // namespace

void Picture::Add(const v1::Mapping& mapping) {
  if (!stretches.empty()) {
    Stretch& last = stretches.back();
    if (last.last + 1 == mapping.first() && last.access == mapping.access()) {
      last.last = mapping.last();
      ++last.mappings;
      return;
    }
  }
  stretches.push_back({mapping.first(), mapping.last(), mapping.access(), 1});
}

std::string Picture::Svg() const {
  std::string body;
  AppendHeader(body, *this);
  int y = AppendFrame(body, *this, kTop);
  uint64_t next = 0;
  for (const Band& band : BandsOf(*this)) {
    if (band.first > next) y = AppendGap(body, band.first - next, y);
    y = AppendBand(body, band, y);
    next = std::max(next, band.last == UINT64_MAX ? UINT64_MAX : band.last + 1);
  }
  std::string svg;
  Append(svg,
         "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
         "viewBox=\"0 0 %d %d\">\n",
         kWidth, y + 20, kWidth, y + 20);
  return svg + kStyle + "<rect width=\"100%\" height=\"100%\" fill=\"white\"/>\n" + body +
         "</svg>\n";
}

}  // namespace tools::control
