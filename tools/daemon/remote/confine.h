// What vfio-compat-remote gives up before it makes the first call.
#ifndef TOOLS_DAEMON_REMOTE_CONFINE_H_
#define TOOLS_DAEMON_REMOTE_CONFINE_H_

#include <cstdint>

namespace tools::daemon::remote {

// Becomes user and group `id` (0: stays who it is) without other groups, limits itself, and asks to
// be killed with the thread that started it. New programs cannot give it more rights. Returns what
// failed, or null.
const char* DropPrivileges(uint32_t id);

// Lets the process, its threads and its children make no system calls but those that the
// preload library and libc need: no execve, no new namespaces, no executable memory, no sockets but
// Unix ones, no ptrace, no signals; others are EPERM. Returns what failed, or null.
const char* FilterSystemCalls();

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_CONFINE_H_
