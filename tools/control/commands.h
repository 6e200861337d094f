// The commands that speak to a daemon. Each makes its calls and prints what came; it returns why it
// ended early, if it did.
#ifndef TOOLS_CONTROL_COMMANDS_H_
#define TOOLS_CONTROL_COMMANDS_H_

#include "tools/control/client.h"
#include "tools/control/options.h"

namespace tools::control {

Failure Ps(const Client& client, const CommandOptions& options);
Failure Show(const Client& client, const CommandOptions& options);
Failure Maps(const Client& client, const CommandOptions& options);
Failure Map(const Client& client, const CommandOptions& options);
Failure Translate(const Client& client, const CommandOptions& options);
Failure Find(const Client& client, const CommandOptions& options);
Failure Watch(const Client& client, const CommandOptions& options);
Failure Top(const Client& client, const CommandOptions& options);
Failure Freeze(const Client& client, const CommandOptions& options);
Failure Thaw(const Client& client, const CommandOptions& options);
Failure Unmap(const Client& client, const CommandOptions& options);
Failure Revoke(const Client& client, const CommandOptions& options);
Failure Limit(const Client& client, const CommandOptions& options);
Failure Faults(const Client& client, const CommandOptions& options);
Failure Call(const Client& client, const CommandOptions& options);

}  // namespace tools::control

#endif  // TOOLS_CONTROL_COMMANDS_H_
