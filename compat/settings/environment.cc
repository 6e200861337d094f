#include "compat/settings/environment.h"

#include <cstdlib>
#include <string_view>

#include "compat/settings/text.h"

namespace compat::settings {
namespace {

std::string_view Variable(const char* name) {
  const char* const value = std::getenv(name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

std::string Blame(const char* variable, std::string_view why) {
  return std::string(variable) + ": " + std::string(why);
}

// Reads `variable` into `field` with `parse`, unless it is empty. Returns why not, or nothing.
template <typename Value, typename Field>
std::string ReadScalar(const char* variable, Parsed<Value> (*parse)(std::string_view),
                       Field& field) {
  const std::string_view text = Variable(variable);
  if (text.empty()) return "";
  Parsed<Value> value = parse(text);
  if (!value.ok()) return Blame(variable, value.message());
  field = std::move(*value);
  return "";
}

// The same for a list with ';' between its elements.
template <typename Element>
std::string ReadList(const char* variable, Parsed<Element> (*parse)(std::string_view),
                     std::vector<Element>& list) {
  for (const std::string& text : SplitEscaped(Variable(variable), ';')) {
    // A separator at the end, or one too many, means nothing.
    if (text.empty()) continue;
    Parsed<Element> element = parse(text);
    if (!element.ok()) return Blame(variable, element.message());
    list.push_back(std::move(*element));
  }
  return "";
}

Parsed<std::string> ParsePath(std::string_view text) {
  if (!text.starts_with('/')) return Refusal{Quoted(text) + " is not an absolute path"};
  return std::string(text);
}

Parsed<bool> ParseSwitch(std::string_view text) {
  if (text != "0" && text != "1") return Refusal{Quoted(text) + " is neither 0 nor 1"};
  return text == "1";
}

std::string CheckDevices(Settings& settings) {
  for (const DeviceSettings& device : settings.devices) {
    if (device.kind != DeviceKind::kNvme) continue;
    const Parsed<std::string> image = ParsePath(device.image);
    if (!image.ok()) return Blame(kDevicesVariable, "image " + image.message());
  }
  std::string problem = AssignGroups(settings.devices);
  if (problem.empty()) problem = AssignIommus(settings);
  return problem.empty() ? problem : Blame(kDevicesVariable, problem);
}

std::string CheckBackend(const Settings& settings) {
  const std::string problem = BackendConflict(settings);
  return problem.empty() ? problem : Blame(kBackendVariable, problem);
}

// Reads and checks what containers are like.
std::string ReadContainer(Settings& settings) {
  std::string problem = ReadScalar(kContainerVariable, ParseContainerTypes, settings.container);
  if (problem.empty()) {
    problem = ReadScalar(kPlatformVariable, ParsePowerPlatform, settings.platform);
  }
  if (problem.empty()) {
    problem = ReadScalar(kTce64StartVariable, ParseWindowStart, settings.tce64_start);
  }
  if (!problem.empty()) return problem;
  problem = ContainerConflict(settings);
  return problem.empty() ? problem : Blame(kContainerVariable, problem);
}

template <typename Element>
std::string WriteList(const char* variable, const std::vector<Element>& list) {
  std::string assignment = std::string(variable) + "=";
  for (const Element& element : list) {
    if (&element != &list.front()) assignment += ';';
    assignment += Escape(ToString(element), ';');
  }
  return assignment;
}

std::string Assignment(const char* variable, std::string_view value) {
  return std::string(variable) + "=" + std::string(value);
}

// Appends what is not the default of what ReadContainer reads.
void WriteContainer(const Settings& settings, std::vector<std::string>& assignments) {
  if (settings.container != Settings().container) {
    assignments.push_back(Assignment(kContainerVariable, ToString(settings.container)));
  }
  if (settings.platform != Settings().platform) {
    assignments.push_back(Assignment(kPlatformVariable, ToString(settings.platform)));
  }
  if (settings.tce64_start) {
    assignments.push_back(Assignment(kTce64StartVariable, HexNumber(*settings.tce64_start)));
  }
}

}  // namespace

bool EnvironmentAsksForHost() {
  return !Variable(kBackendVariable).empty() || !Variable(kDevicesVariable).empty() ||
         !Variable(kHostVariable).empty();
}

Parsed<Settings> FromEnvironment() {
  Settings settings;
  std::string problem = ReadScalar(kBackendVariable, ParseBackend, settings.backend);
  if (problem.empty()) problem = ReadList(kDevicesVariable, ParseDevice, settings.devices);
  if (problem.empty()) problem = ReadScalar(kIommuVariable, ParseIommu, settings.iommu);
  if (problem.empty()) problem = CheckDevices(settings);
  if (problem.empty()) problem = ReadList(kFaultsVariable, ParseFault, settings.faults);
  if (problem.empty()) problem = ReadContainer(settings);
  if (problem.empty()) problem = ReadScalar(kLogVariable, ParseLogLevel, settings.log_level);
  if (problem.empty()) problem = ReadScalar(kLogFileVariable, ParsePath, settings.log_file);
  if (problem.empty()) problem = ReadScalar(kHostVariable, ParsePath, settings.host);
  if (problem.empty()) problem = ReadScalar(kControlVariable, ParseSocket, settings.control);
  if (problem.empty()) problem = ReadScalar(kSummaryVariable, ParseSwitch, settings.summary);
  if (problem.empty()) problem = CheckBackend(settings);
  if (!problem.empty()) return Refusal{problem};
  return settings;
}

std::vector<std::string> ToEnvironment(const Settings& settings) {
  std::vector<std::string> assignments;
  assignments.push_back(Assignment(kBackendVariable, ToString(settings.backend)));
  if (!settings.devices.empty()) {
    assignments.push_back(WriteList(kDevicesVariable, settings.devices));
  }
  if (!settings.faults.empty()) assignments.push_back(WriteList(kFaultsVariable, settings.faults));
  if (settings.iommu != Settings().iommu) {
    assignments.push_back(Assignment(kIommuVariable, ToString(settings.iommu)));
  }
  WriteContainer(settings, assignments);
  if (settings.log_level != Settings().log_level) {
    assignments.push_back(Assignment(kLogVariable, ToString(settings.log_level)));
  }
  if (!settings.log_file.empty()) {
    assignments.push_back(Assignment(kLogFileVariable, settings.log_file));
  }
  if (!settings.host.empty()) assignments.push_back(Assignment(kHostVariable, settings.host));
  if (!settings.control.empty()) {
    assignments.push_back(Assignment(kControlVariable, settings.control));
  }
  if (settings.summary) assignments.push_back(Assignment(kSummaryVariable, "1"));
  return assignments;
}

}  // namespace compat::settings
