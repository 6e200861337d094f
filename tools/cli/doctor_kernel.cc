// The kernel's version, options and modules.
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <string>

#include "tools/cli/doctor_checks.h"
#include "tools/cli/kernel_config.h"

namespace tools::cli {
namespace {

// The first version with device cdevs: CONFIG_VFIO_DEVICE_CDEV.
constexpr int kMajor = 6;
constexpr int kMinor = 6;

struct Option {
  const char* name;
  CheckStatus without;  // what its absence comes to
  const char* remedy;
};

constexpr Option kOptions[] = {
    {"CONFIG_IOMMUFD", CheckStatus::kError, "a kernel with CONFIG_IOMMUFD"},
    {"CONFIG_VFIO", CheckStatus::kError, "a kernel with CONFIG_VFIO"},
    {"CONFIG_VFIO_DEVICE_CDEV", CheckStatus::kError, "a kernel with CONFIG_VFIO_DEVICE_CDEV"},
    {"CONFIG_VFIO_PCI", CheckStatus::kWarning, "a kernel with CONFIG_VFIO_PCI, for PCI devices"},
    // The legacy interface: without these it is vfio-compat's turn.
    {"CONFIG_VFIO_GROUP", CheckStatus::kOk, ""},
    {"CONFIG_IOMMUFD_VFIO_CONTAINER", CheckStatus::kOk, ""},
};

struct Module {
  const char* name;
  const char* option;
  CheckStatus without;
};

constexpr Module kModules[] = {
    {"iommufd", "CONFIG_IOMMUFD", CheckStatus::kError},
    {"vfio", "CONFIG_VFIO", CheckStatus::kError},
    {"vfio_pci", "CONFIG_VFIO_PCI", CheckStatus::kWarning},
};

std::string ReadRelease(const std::string& root) {
  std::ifstream file(root + "/proc/sys/kernel/osrelease");
  std::string release;
  std::getline(file, release);
  return release;
}

Check CheckVersion(const std::string& release) {
  int major = 0;
  int minor = 0;
  if (std::sscanf(release.c_str(), "%d.%d", &major, &minor) != 2) {
    return {"kernel", CheckStatus::kWarning, "unknown version '" + release + "'", ""};
  }
  if (major > kMajor || (major == kMajor && minor >= kMinor)) {
    return {"kernel", CheckStatus::kOk, "Linux " + release, ""};
  }
  // Distributions take it into older ones.
  return {"kernel", CheckStatus::kWarning,
          "Linux " + release + " is older than VFIO's device nodes", "Linux 6.6 or later"};
}

std::string ToString(OptionValue value) {
  switch (value) {
    case OptionValue::kYes:
      return "y";
    case OptionValue::kModule:
      return "m";
    case OptionValue::kNo:
      return "not set";
    case OptionValue::kUnknown:
      break;
  }
  return "unknown";
}

void CheckOptions(const KernelConfig& config, const std::string& release,
                  std::vector<Check>& checks) {
  if (!config.is_known()) {
    checks.push_back({"kernel options", CheckStatus::kWarning,
                      "neither /proc/config.gz nor /boot/config-" + release + " can be read",
                      "modprobe configs"});
    return;
  }
  for (const Option& option : kOptions) {
    const OptionValue value = config.Value(option.name);
    const bool is_set = value != OptionValue::kNo;
    checks.push_back({option.name, is_set ? CheckStatus::kOk : option.without, ToString(value),
                      is_set ? "" : option.remedy});
  }
}

Check CheckModule(const std::string& root, const Module& module, OptionValue option) {
  const std::string name = std::string("module ") + module.name;
  struct stat status;
  if (option == OptionValue::kYes) return {name, CheckStatus::kOk, "built in", ""};
  if (stat((root + "/sys/module/" + module.name).c_str(), &status) == 0) {
    return {name, CheckStatus::kOk, "there", ""};
  }
  const std::string remedy = std::string("modprobe ") + module.name;
  if (option == OptionValue::kModule) return {name, module.without, "not loaded", remedy};
  // One that is built in and has neither parameters nor a version shows nowhere.
  return {name, CheckStatus::kWarning, "not loaded, unless it is built in", remedy};
}

}  // namespace

void CheckKernel(const std::string& root, std::vector<Check>& checks) {
  const std::string release = ReadRelease(root);
  const KernelConfig config = KernelConfig::Read(root, release);
  checks.push_back(CheckVersion(release));
  CheckOptions(config, release, checks);
  for (const Module& module : kModules) {
    const OptionValue option = config.Value(module.option);
    // What is not set is an error already.
    if (option != OptionValue::kNo) checks.push_back(CheckModule(root, module, option));
  }
}

}  // namespace tools::cli
