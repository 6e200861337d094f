#include "compat/preload/paths/route.h"

#include <string_view>

#include "compat/preload/paths/user_memory.h"
#include "compat/preload/session.h"

namespace compat::preload {

vfs::View CurrentView() { return vfs::View(*EmulatedDevices()); }

namespace {

// What of the view programs open, and can be told of that it is not to be had now.
bool IsOfVfio(std::string_view path) {
  constexpr std::string_view kDirectory = "/dev/vfio";
  return path.starts_with(kDirectory) &&
         (path.size() == kDirectory.size() || path[kDirectory.size()] == '/');
}

}  // namespace

Destination Route(int dirfd, const char* path, bool follow, vfs::Resolution* resolution) {
  const vfs::Inventory* inventory = EmulatedDevices();
  const int problem = inventory == nullptr ? HostProblem() : 0;
  if (inventory == nullptr && problem == 0) return Destination::kUnchanged;
  char copy[PATH_MAX];
  const long size = CopyPath(path, copy);
  if (size < 0) return Destination::kUnchanged;
  if (inventory == nullptr) {
    resolution->error = problem;
    return IsOfVfio({copy, static_cast<size_t>(size)}) ? Destination::kError
                                                       : Destination::kUnchanged;
  }
  RememberedNode base = {.node = vfs::View::Root()};
  if (copy[0] != '/') base = dirfd == AT_FDCWD ? WorkingDirectory() : NodeOfDescriptor(dirfd);
  if (base.node == vfs::kNoNode) return Destination::kUnchanged;
  vfs::Lookup(vfs::View(*inventory), base.node, {copy, static_cast<size_t>(size)}, follow,
              resolution);
  if (resolution->error != 0) return Destination::kError;
  if (resolution->node != vfs::kNoNode) return Destination::kNode;
  const bool kernel_knows_the_way = !resolution->followed_link && !base.is_placeholder;
  return kernel_knows_the_way ? Destination::kUnchanged : Destination::kElsewhere;
}

}  // namespace compat::preload
