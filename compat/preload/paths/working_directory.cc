// chdir(), fchdir(), getcwd(), and what they leave behind.
#include "compat/preload/paths/working_directory.h"

#include <unistd.h>

#include <cstdlib>
#include <cstring>

#include "compat/preload/next.h"
#include "compat/preload/paths/node_open.h"
#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

using ChdirFunction = int(const char*);
using FchdirFunction = int(int);
using GetcwdFunction = char*(char*, size_t);
using GetcwdChkFunction = char*(char*, size_t, size_t);
using GetCurrentDirNameFunction = char*();

// What is known: nothing (ask the kernel), that it is no node, or a node's number, with a bit for
// one that the kernel does not know. One word, so that no thread sees half of it.
constexpr uint32_t kUnknown = 0;
constexpr uint32_t kNotOfTheView = 1;
constexpr uint32_t kPlaceholderBit = uint32_t{1} << 31;
std::atomic<uint32_t> working_directory{kUnknown};

vfs::NodeId FindNode(const char* path) {
  vfs::Resolution resolution;
  vfs::Lookup(CurrentView(), vfs::View::Root(), path, true, &resolution);
  return resolution.node;
}

uint32_t AskKernel() {
  char path[PATH_MAX];
  if (EmulatedDevices() == nullptr || ioas::SystemCall(SYS_getcwd, path, sizeof(path)) <= 0) {
    return kNotOfTheView;
  }
  if (const vfs::NodeId node = FindNode(path); node != vfs::kNoNode) return node;
  // Where a shell has changed to a directory that the kernel does not know, its children are told
  // of it by this variable alone.
  const char* const logical = IsPlaceholderPath(path) ? std::getenv("PWD") : nullptr;
  const vfs::NodeId node = logical != nullptr ? FindNode(logical) : vfs::kNoNode;
  return node != vfs::kNoNode ? node | kPlaceholderBit : kNotOfTheView;
}

void Forget() { working_directory.store(kUnknown, std::memory_order_relaxed); }

// Enters a directory that the kernel does not know. Returns 0 or a negated errno.
int EnterPlaceholder(vfs::NodeId node) {
  if (CurrentView().Kind(node) != vfs::NodeKind::kDirectory) return -ENOTDIR;
  const int fd = OpenPlaceholder(O_PATH | O_CLOEXEC);
  if (fd < 0) return fd;
  const int result = static_cast<int>(ioas::SystemCall(SYS_fchdir, fd));
  ioas::SystemCall(SYS_close, fd);
  if (result == 0) working_directory.store(node | kPlaceholderBit, std::memory_order_relaxed);
  return result;
}

int NextChdir(const char* path) {
  const int result = Next<"chdir", ChdirFunction>()(path);
  if (result == 0) Forget();
  return result;
}

// Writes the working directory into `out` if the kernel does not know it; otherwise returns false.
bool PathOfPlaceholder(std::span<char> out) {
  if (!Configured() || !WorkingDirectory().is_placeholder) return false;
  CurrentView().Path(WorkingDirectory().node, out);
  return true;
}

}  // namespace

RememberedNode WorkingDirectory() {
  uint32_t known = working_directory.load(std::memory_order_relaxed);
  if (known == kUnknown) {
    const int saved_errno = errno;
    const uint32_t answer = AskKernel();
    errno = saved_errno;
    // Unless another thread has changed directories meanwhile, or the view is yet to come.
    if (HostProblem() == 0) {
      working_directory.compare_exchange_strong(known, answer, std::memory_order_relaxed);
    }
    known = answer;
  }
  if (known == kNotOfTheView) return {};
  return {.node = known & ~kPlaceholderBit, .is_placeholder = (known & kPlaceholderBit) != 0};
}

COMPAT_INTERPOSE int chdir(const char* path) noexcept {
  if (!Configured() || !IsPathReadable(path) || !PathMayMatter(AT_FDCWD, path)) {
    return NextChdir(path);
  }
  const int saved_errno = errno;
  vfs::Resolution resolution;
  const Destination destination = Route(AT_FDCWD, path, true, &resolution);
  errno = saved_errno;
  switch (destination) {
    case Destination::kUnchanged:
      return NextChdir(path);
    case Destination::kElsewhere:
      return NextChdir(resolution.path);
    case Destination::kError:
      errno = resolution.error;
      return -1;
    case Destination::kNode:
      break;
  }
  if (CurrentView().IsMerged(resolution.node)) {
    const int result = NextChdir(resolution.path);
    if (result == 0 || errno != ENOENT) return result;
  }
  return ReturnToProgram(EnterPlaceholder(resolution.node), saved_errno);
}

COMPAT_INTERPOSE int fchdir(int fd) noexcept {
  const RememberedNode remembered = NodeOfDescriptor(fd);
  if (remembered.is_placeholder) {
    const int saved_errno = errno;
    return ReturnToProgram(EnterPlaceholder(remembered.node), saved_errno);
  }
  const int result = Next<"fchdir", FchdirFunction>()(fd);
  if (result == 0) Forget();
  return result;
}

COMPAT_INTERPOSE char* getcwd(char* buf, size_t size) noexcept {
  char path[vfs::kMaxNodePath];
  if (!PathOfPlaceholder(path)) return Next<"getcwd", GetcwdFunction>()(buf, size);
  if (buf == nullptr && size == 0) return strdup(path);
  if (size == 0 || size <= std::strlen(path)) {
    errno = size == 0 ? EINVAL : ERANGE;
    return nullptr;
  }
  if (buf == nullptr) buf = static_cast<char*>(std::malloc(size));
  return buf == nullptr ? nullptr
                        : static_cast<char*>(std::memcpy(buf, path, std::strlen(path) + 1));
}

COMPAT_INTERPOSE char* __getcwd_chk(char* out, size_t size, size_t room) {
  // It ends the program if the buffer is smaller than it says.
  if (size > room) return Next<"__getcwd_chk", GetcwdChkFunction>()(out, size, room);
  return getcwd(out, size);
}

COMPAT_INTERPOSE char* get_current_dir_name() noexcept {
  char path[vfs::kMaxNodePath];
  if (PathOfPlaceholder(path)) return strdup(path);
  return Next<"get_current_dir_name", GetCurrentDirNameFunction>()();
}

}  // namespace compat::preload
