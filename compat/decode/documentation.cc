#include "compat/decode/documentation.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>

namespace compat::decode {
namespace {

constexpr std::string_view kPreface =
    R"(# The calls of both interfaces

This file is generated from the rows of `compat/decode/call_table.h`; a test fails where the two differ. To write it anew:
`bazel build //compat/decode:documentation_test && bazel-bin/compat/decode/documentation_test --print > docs/calls.md`.

All numbers are `_IO(';', n)`. What a number means depends on the descriptor, and on a container on its type: `none` is
a container that no IOMMU is set for. `cdev` is a device opened as `/dev/vfio/devices/vfioX`, `device` one that a group
gave out, `migration` a device's migration data. A number with no meaning is `EINVAL` on a container without an IOMMU,
and `ENOTTY` everywhere else.

*Argument*: the first number is the least `argsz` (or `size`), and what is copied in first; the second is the size of
the fixed structure. *Flags*: what the call permits when it decodes; `any` means that it does not look at them then.

| number | name | valid for | argument | flags | what it does |
| --- | --- | --- | --- | --- | --- |
)";

std::string Hexadecimal(uint32_t value) {
  std::array<char, 16> text{};
  std::snprintf(text.data(), text.size(), "0x%x", value);
  return text.data();
}

void AppendName(std::string& list, const char* name) {
  if (!list.empty()) list += ", ";
  list += name;
}

}  // namespace

std::string WhereValid(const CallRow& row) {
  std::string types;
  for (const ContainerType type : kContainerTypes) {
    if (IsValidFor(row, type)) AppendName(types, Name(type));
  }
  const bool every_type =
      std::ranges::all_of(kContainerTypes, [&](ContainerType t) { return IsValidFor(row, t); });
  std::string kinds;
  for (int i = 0; i < kDescriptorKinds; ++i) {
    const auto kind = static_cast<DescriptorKind>(i);
    if (IsValidFor(row, kind)) AppendName(kinds, Name(kind));
  }
  return every_type ? kinds : kinds + " (" + types + ")";
}

std::string ArgumentText(const CallRow& row) {
  switch (row.form) {
    case ArgumentForm::kNone:
      return "none";
    case ArgumentForm::kValue:
      return "value";
    case ArgumentForm::kInt:
      return "pointer to a 32-bit integer";
    case ArgumentForm::kString:
      return "pointer to a string";
    case ArgumentForm::kArgszStruct:
    case ArgumentForm::kSizeStruct:
      break;
  }
  return std::to_string(row.minimal_size) + " of " + std::to_string(row.full_size) + " bytes";
}

std::string FlagsText(const CallRow& row) {
  if (row.form != ArgumentForm::kArgszStruct) return "-";
  if (row.flags == kAnyFlags) return "any";
  return row.flags == 0 ? "none" : Hexadecimal(row.flags);
}

std::string CallsAsMarkdown() {
  std::string text(kPreface);
  for (const CallRow& row : AllCalls()) {
    text += "| " + Hexadecimal(row.request) + " | `" + row.name + "` | " + WhereValid(row) + " | " +
            ArgumentText(row) + " | " + FlagsText(row) + " | " + row.documentation + " |\n";
  }
  return text;
}

}  // namespace compat::decode
