// The environment variables that carry the settings: docs/environment.md.
#ifndef COMPAT_SETTINGS_ENVIRONMENT_H_
#define COMPAT_SETTINGS_ENVIRONMENT_H_

#include <string>
#include <vector>

#include "compat/settings/parsed.h"
#include "compat/settings/settings.h"

namespace compat::settings {

inline constexpr char kBackendVariable[] = "VFIO_COMPAT_BACKEND";
inline constexpr char kDevicesVariable[] = "VFIO_COMPAT_DEVICES";
inline constexpr char kFaultsVariable[] = "VFIO_COMPAT_FAULTS";
inline constexpr char kIommuVariable[] = "VFIO_COMPAT_IOMMU";
inline constexpr char kContainerVariable[] = "VFIO_COMPAT_CONTAINER";
inline constexpr char kPlatformVariable[] = "VFIO_COMPAT_PLATFORM";
inline constexpr char kTce64StartVariable[] = "VFIO_COMPAT_TCE64_START";
inline constexpr char kLogVariable[] = "VFIO_COMPAT_LOG";
inline constexpr char kLogFileVariable[] = "VFIO_COMPAT_LOG_FILE";
inline constexpr char kHostVariable[] = "VFIO_COMPAT_HOST";
inline constexpr char kControlVariable[] = "VFIO_COMPAT_CONTROL";
inline constexpr char kSummaryVariable[] = "VFIO_COMPAT_SUMMARY";

// Whether the environment asks for a host at all: one of the variables for the backend, the devices
// and the host file is set and not empty. Allocates nothing.
bool EnvironmentAsksForHost();

// Reads the settings from the environment; a variable that is unset or empty leaves the default.
// The refusal names the variable. Images, files and the socket must be absolute paths, since the
// program may change its directory. Every device has a group afterwards.
Parsed<Settings> FromEnvironment();

// The assignments ("NAME=VALUE") that make FromEnvironment give `settings`, defaults left out,
// apart from the backend, which is always there and so makes EnvironmentAsksForHost true.
std::vector<std::string> ToEnvironment(const Settings& settings);

}  // namespace compat::settings

#endif  // COMPAT_SETTINGS_ENVIRONMENT_H_
