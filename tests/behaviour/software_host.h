// The software host that the behaviours are tested on, and how programs get there.
#ifndef TESTS_BEHAVIOUR_SOFTWARE_HOST_H_
#define TESTS_BEHAVIOUR_SOFTWARE_HOST_H_

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/behaviour/legacy.h"
#include "tests/support/command.h"

namespace tests {

// Devices, each in a group of its own, by the IOMMU that they are behind.
enum class Machine { kAuto, kX86, kPower, kSignExtended };
LegacyPlace PlaceOf(Machine machine);

// Has `vfio-compat COMMAND PID ARGUMENT...` ask the daemon about this process, which it knows soon
// after that has opened its first container, or /dev/iommu. Returns what came of it.
CommandResult AskDaemon(const std::string& command, const std::vector<std::string>& arguments);

// For a main(): starts this program again under the library, with those devices, containers of all
// types and `more` of the environment, and with a daemon beside it. There returns what `body` does.
int RunOnSoftwareHost(char** argv, const std::vector<std::pair<std::string, std::string>>& more,
                      const std::function<int()>& body);

}  // namespace tests

#endif  // TESTS_BEHAVIOUR_SOFTWARE_HOST_H_
