#include "tools/cli/doctor_command.h"

#include <cinttypes>
#include <cstdio>
#include <vector>

#include "tools/cli/exit_status.h"
#include "tools/cli/json.h"

namespace tools::cli {
namespace {

const char* Name(CheckStatus status) {
  switch (status) {
    case CheckStatus::kOk:
      return "ok";
    case CheckStatus::kWarning:
      return "warning";
    case CheckStatus::kError:
      break;
  }
  return "error";
}

std::string ToJson(const Check& check) {
  return JsonObject({{"name", JsonString(check.name)},
                     {"status", JsonString(Name(check.status))},
                     {"finding", JsonString(check.finding)},
                     {"remedy", JsonString(check.remedy)}});
}

std::string ToJson(const NodePermissions& node) {
  if (node.path.empty()) return "null";
  JsonMembers members = {{"path", JsonString(node.path)},
                         {"exists", JsonBool(node.exists)},
                         {"usable", JsonBool(node.is_usable)}};
  if (node.exists) {
    members.insert(members.end(), {{"mode", JsonString(node.mode)},
                                   {"owner", JsonString(node.owner)},
                                   {"group", JsonString(node.group)}});
  }
  return JsonObject(members);
}

std::string ToJson(const GroupFinding& finding) {
  std::vector<std::string> devices;
  for (size_t index = 0; index < finding.nodes.size(); ++index) {
    const compat::sysfs::GroupDevice& device = finding.group.devices[index];
    devices.push_back(JsonObject({{"name", JsonString(device.name)},
                                  {"driver", JsonString(device.driver)},
                                  {"bridge", JsonBool(device.is_bridge)},
                                  {"node", ToJson(finding.nodes[index])}}));
  }
  return JsonObject({{"number", std::to_string(finding.group.number)},
                     {"noiommu", JsonBool(finding.group.is_noiommu)},
                     {"made_up", JsonBool(compat::sysfs::IsMadeUp(finding.group.number))},
                     {"viable", JsonBool(finding.group.is_viable)},
                     {"devices", JsonList(devices)}});
}

// A number of 64 bits, of which JSON's are not sure.
std::string ToJson(uint64_t number) {
  char text[sizeof("0x0123456789abcdef")];
  std::snprintf(text, sizeof(text), "0x%" PRIx64, number);
  return JsonString(text);
}

std::string ToJson(const Reach& reach) {
  std::vector<std::string> ranges;
  for (const ioas::IovaRange& range : reach.ranges) {
    ranges.push_back(JsonObject({{"first", ToJson(range.first)}, {"last", ToJson(range.last)}}));
  }
  return JsonObject({{"backend", JsonString(reach.backend)},
                     {"whose", JsonString(reach.whose)},
                     {"page_sizes", ToJson(reach.page_sizes)},
                     {"ranges", JsonList(ranges)}});
}

// An array with a line for each element.
template <typename Element>
std::string ToLines(const std::vector<Element>& elements) {
  std::string lines;
  for (const Element& element : elements) {
    lines += (lines.empty() ? "\n    " : ",\n    ") + ToJson(element);
  }
  return lines.empty() ? "[]" : "[" + lines + "\n  ]";
}

}  // namespace

std::string ToText(const Diagnosis& diagnosis) {
  std::string text;
  for (const Check& check : diagnosis.checks) {
    std::string status = Name(check.status);
    status.resize(sizeof("warning  ") - 1, ' ');
    text += status + check.name + ": " + check.finding;
    if (!check.remedy.empty()) text += "; try: " + check.remedy;
    text += "\n";
  }
  return text;
}

std::string ToJson(const Diagnosis& diagnosis) {
  return "{\n  \"fit\": " + JsonBool(diagnosis.is_fit()) +
         ",\n  \"checks\": " + ToLines(diagnosis.checks) +
         ",\n  \"groups\": " + ToLines(diagnosis.groups) +
         ",\n  \"iova_ranges\": " + ToLines(diagnosis.reaches) + "\n}\n";
}

int RunDoctor(const DoctorOptions& options) {
  const Diagnosis diagnosis = Diagnose(options.root);
  std::fputs((options.json ? ToJson(diagnosis) : ToText(diagnosis)).c_str(), stdout);
  return diagnosis.is_fit() ? 0 : kUnfit;
}

}  // namespace tools::cli
