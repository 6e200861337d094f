// Descriptors that were open already when the program began.
#include <fcntl.h>

#include <cstdlib>

#include "compat/kernel/find_host.h"
#include "compat/preload/process_host.h"
#include "compat/preload/session.h"
#include "compat/sysfs/files.h"
#include "ioas/soft/event_file.h"

namespace compat::preload {
namespace {

// Lets the table know those of this process's descriptors, and their links in /proc, of which
// `is_own` says so.
template <typename IsOwn>
void AdoptThose(IsOwn is_own) {
  sysfs::Directory descriptors(sysfs::Path("/proc/self/fd"));
  while (const char* const name = descriptors.Next()) {
    const int fd = std::atoi(name);
    if (is_own(fd, sysfs::Path("/proc/self/fd/%s", name))) Adopt(fd);
  }
}

// Before the program's first call: it may map or read what it inherited without having asked
// anything of it, and would find the host's own memory there. What is the kernel's own needs no
// such care.
[[gnu::constructor]] void AdoptInherited() {
  if (!Configured()) return;
  AdoptThose([](int /*fd*/, const sysfs::Path& path) {
    return kernel::LeadsToHost(ioas::kernel::RealSystemCalls(), path.c_str());
  });
  // A file for events says whose it is only to a host that another file has led to.
  if (OpenedHost() == nullptr) return;
  AdoptThose([](int fd, const sysfs::Path& /*path*/) {
    return ioas::soft::NameOfEventFile(fd).has_value();
  });
}

}  // namespace
}  // namespace compat::preload
