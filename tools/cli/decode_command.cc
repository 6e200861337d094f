#include "tools/cli/decode_command.h"

#include <cerrno>
#include <cstdio>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "compat/decode/call.h"
#include "compat/decode/documentation.h"
#include "compat/settings/text.h"
#include "tools/cli/exit_status.h"
#include "tools/cli/json.h"

namespace tools::cli {
namespace {

using compat::decode::CallRow;
using compat::decode::ContainerType;
using compat::decode::DescriptorKind;
using compat::settings::Quoted;

// The least request number of either interface, as _IO(';', n).
constexpr uint32_t kRequestBase = ';' << 8;
constexpr uint32_t kVfioBase = 100;
constexpr uint32_t kIommufdBase = 0x80;

struct Filter {
  std::optional<DescriptorKind> kind;
  std::optional<ContainerType> type;

  bool Admits(const CallRow& row) const {
    return (!kind || IsValidFor(row, *kind)) && (!type || IsValidFor(row, *type));
  }
};

Failure ReadFilter(const DecodeOptions& options, Filter& filter) {
  filter.kind = compat::decode::KindNamed(options.kind);
  if (!options.kind.empty() && !filter.kind) {
    std::string expected;
    for (int i = 0; i < compat::decode::kDescriptorKinds; ++i) {
      expected += std::string(" ") + compat::decode::Name(static_cast<DescriptorKind>(i));
    }
    return {kUsage, "decode: " + Quoted(options.kind) +
                        " is no kind of descriptor: expected one of" + expected};
  }
  filter.type = compat::decode::TypeNamed(options.type);
  if (!options.type.empty() && !filter.type) {
    std::string expected;
    for (const ContainerType type : compat::decode::kContainerTypes) {
      expected += std::string(" ") + compat::decode::Name(type);
    }
    return {kUsage, "decode: " + Quoted(options.type) + " is no container type: expected one of" +
                        expected};
  }
  return {};
}

Failure ReadCalls(const DecodeOptions& options, std::span<const CallRow>& rows) {
  rows = compat::decode::CallsNamed(options.number);
  if (!rows.empty()) return {};
  const auto number = compat::settings::ParseNumber(options.number);
  if (!number.ok()) {
    return {kUsage, "decode: " + Quoted(options.number) + " is neither a number nor a call's name"};
  }
  if (*number <= UINT32_MAX) {
    rows = compat::decode::CallsNumbered(static_cast<uint32_t>(*number));
  }
  return {};
}

// What the kernel answers where a number has no meaning.
std::string NoMeaning(const DecodeOptions& options, const Filter& filter) {
  std::string text = "decode: " + options.number + " means nothing";
  if (!filter.kind && !filter.type) return text;
  const DescriptorKind kind = filter.kind.value_or(DescriptorKind::kContainer);
  text += std::string(" on a descriptor of kind ") + compat::decode::Name(kind);
  if (filter.type) text += std::string(", type ") + compat::decode::Name(*filter.type);
  const bool invalid =
      MissingCallErrno(kind, filter.type.value_or(ContainerType::kType1v2)) == EINVAL;
  return text + ": the kernel answers " + (invalid ? "EINVAL" : "ENOTTY");
}

// "VFIO_BASE + 13", or the number by itself for iommufd's own.
std::string NumberInWords(uint32_t request) {
  const uint32_t number = request - kRequestBase;
  std::string text = "_IO(';', " + std::to_string(number) + ")";
  if (number >= kVfioBase && number < kIommufdBase) {
    text += ", VFIO_BASE + " + std::to_string(number - kVfioBase);
  }
  return text;
}

void PrintText(const CallRow& row) {
  std::printf("%s  %s\n", compat::settings::HexNumber(row.request).c_str(), row.name);
  std::printf("  number:    %s\n", NumberInWords(row.request).c_str());
  std::printf("  on:        %s\n", compat::decode::WhereValid(row).c_str());
  std::printf("  argument:  %s\n", compat::decode::ArgumentText(row).c_str());
  std::printf("  flags:     %s\n", compat::decode::FlagsText(row).c_str());
  std::printf("  %s\n", row.documentation);
}

void PrintJson(const CallRow& row) {
  std::vector<std::string> kinds;
  for (int kind = 0; kind < compat::decode::kDescriptorKinds; ++kind) {
    if (IsValidFor(row, static_cast<DescriptorKind>(kind))) {
      kinds.push_back(JsonString(compat::decode::Name(static_cast<DescriptorKind>(kind))));
    }
  }
  std::vector<std::string> types;
  for (const ContainerType type : compat::decode::kContainerTypes) {
    if (IsValidFor(row, type)) types.push_back(JsonString(compat::decode::Name(type)));
  }
  std::printf("  {\"request\": %u, \"name\": %s, \"descriptors\": %s, \"container_types\": %s,\n",
              row.request, JsonString(row.name).c_str(), JsonList(kinds).c_str(),
              JsonList(types).c_str());
  std::printf("   \"argument\": %s, \"minimal_size\": %u, \"full_size\": %u, \"flags\": %s,\n",
              JsonString(compat::decode::ArgumentText(row)).c_str(), row.minimal_size,
              row.full_size, JsonString(compat::decode::FlagsText(row)).c_str());
  std::printf("   \"documentation\": %s}", JsonString(row.documentation).c_str());
}

void Print(const std::vector<const CallRow*>& rows, bool json) {
  if (json) std::printf("[\n");
  const char* separator = "";
  for (const CallRow* row : rows) {
    std::printf("%s", separator);
    if (json) {
      PrintJson(*row);
    } else {
      PrintText(*row);
    }
    separator = json ? ",\n" : "\n";
  }
  if (json) std::printf("\n]\n");
}

}  // namespace

int RunDecode(const DecodeOptions& options) {
  Filter filter;
  std::span<const CallRow> rows;
  if (const Failure failure = ReadFilter(options, filter)) return Report(failure);
  if (const Failure failure = ReadCalls(options, rows)) return Report(failure);
  std::vector<const CallRow*> admitted;
  for (const CallRow& row : rows) {
    if (filter.Admits(row)) admitted.push_back(&row);
  }
  if (admitted.empty()) return Report({kNoMeaning, NoMeaning(options, filter)});
  Print(admitted, options.json);
  return 0;
}

}  // namespace tools::cli
