#include "tools/control/print.h"

#include <google/protobuf/util/json_util.h>

#include <cstdio>

#include "compat/settings/text.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

struct TypeRow {
  v1::ContainerType type;
  const char* name;
};
// As `vfio-compat decode` has them.
constexpr TypeRow kTypes[] = {
    {v1::CONTAINER_TYPE_UNSPECIFIED, "none"}, {v1::CONTAINER_TYPE_TYPE1, "type1"},
    {v1::CONTAINER_TYPE_TYPE1_V2, "type1v2"}, {v1::CONTAINER_TYPE_NOIOMMU, "noiommu"},
    {v1::CONTAINER_TYPE_SPAPR, "spapr-tce"},  {v1::CONTAINER_TYPE_SPAPR_V2, "spapr-tce-v2"},
};

}  // namespace

void PrintJson(const google::protobuf::Message& message, bool on_one_line) {
  google::protobuf::util::JsonPrintOptions options;
  options.add_whitespace = !on_one_line;
  options.always_print_primitive_fields = true;
  options.preserve_proto_field_names = true;
  std::string text;
  // Only messages that hold an Any of an unknown type cannot be written; none does.
  static_cast<void>(google::protobuf::util::MessageToJsonString(message, &text, options));
  std::printf("%s%s", text.c_str(), on_one_line ? "\n" : "");
}

std::string TypeName(v1::ContainerType type) {
  for (const TypeRow& row : kTypes) {
    if (row.type == type) return row.name;
  }
  return std::to_string(type);
}

std::string AccessName(v1::Access access) {
  return std::string((access & v1::ACCESS_READ) != 0 ? "r" : "-") +
         ((access & v1::ACCESS_WRITE) != 0 ? "w" : "-");
}

std::string RequesterOf(const v1::Fault& fault) {
  if (!fault.has_pasid()) return fault.device();
  return fault.device() + ", PASID " + std::to_string(fault.pasid());
}

v1::ContainerType TypeNamed(const std::string& name) {
  for (const TypeRow& row : kTypes) {
    if (row.name == name) return row.type;
  }
  return v1::CONTAINER_TYPE_UNSPECIFIED;
}

std::string ParseRange(const std::string& text, v1::Range& range) {
  const std::string expected = "expected FIRST-LAST, both inclusive, as 0x1000-0x1fff";
  const size_t dash = text.find('-');
  if (dash == std::string::npos) return compat::settings::Quoted(text) + ": " + expected;
  const auto first = compat::settings::ParseNumber(text.substr(0, dash));
  const auto last = compat::settings::ParseNumber(text.substr(dash + 1));
  if (!first.ok() || !last.ok()) return compat::settings::Quoted(text) + ": " + expected;
  if (*first > *last) return compat::settings::Quoted(text) + " ends before it begins: " + expected;
  range.set_first(*first);
  range.set_last(*last);
  return "";
}

}  // namespace tools::control
