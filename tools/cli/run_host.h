// The host that a program and its children are run on.
#ifndef TOOLS_CLI_RUN_HOST_H_
#define TOOLS_CLI_RUN_HOST_H_

#include <string>

#include "compat/settings/settings.h"
#include "compat/vfio/host.h"
#include "tools/cli/exit_status.h"

namespace tools::cli {

class RunHost {
 public:
  // Makes a host with the devices and faults of `settings` in memory of this process, and names its
  // file in settings.host, so that the program's processes find it. kUsage if that is more than a
  // host can hold.
  Failure Create(compat::settings::Settings& settings);

  // What happened on it so far.
  std::string Summary();

 private:
  compat::vfio::Host* host_ = nullptr;
};

}  // namespace tools::cli

#endif  // TOOLS_CLI_RUN_HOST_H_
