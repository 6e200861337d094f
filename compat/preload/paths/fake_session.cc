#include "compat/preload/paths/fake_session.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>

#include "compat/preload/next.h"
#include "compat/preload/paths/hooks.h"
#include "compat/preload/session.h"
#include "compat/vfs/fake_inventory.h"

namespace compat::preload {
namespace {

// What each descriptor is: 0 nothing, 1 a container, 2 a device, 3 and above a group (3 + number).
constexpr int kDescriptors = 1024;
constexpr int kContainer = 1;
constexpr int kDevice = 2;
constexpr int kFirstGroup = 3;
std::atomic<int> kinds[kDescriptors];
std::atomic<int> configured{-1};
std::atomic<const vfs::Inventory*> inventory{nullptr};

int MakeDescriptor(int kind, int flags) {
  const int fd = eventfd(0, (flags & O_CLOEXEC) != 0 ? EFD_CLOEXEC : 0);
  if (fd < 0 || fd >= kDescriptors) return fd < 0 ? -errno : -EMFILE;
  kinds[fd] = kind;
  return fd;
}

}  // namespace

void* ResolveNext(const char* name) { return dlsym(RTLD_NEXT, name); }

bool Configured() {
  if (configured < 0) configured = std::getenv("VFIO_COMPAT_TEST_OFF") == nullptr ? 1 : 0;
  return configured != 0;
}

void SetConfigured(bool is_configured) { configured = is_configured ? 1 : 0; }

const vfs::Inventory* EmulatedDevices() {
  static const vfs::FakeInventory kInventory;
  const vfs::Inventory* const chosen = inventory;
  return chosen != nullptr ? chosen : &kInventory;
}

int HostProblem() { return 0; }

void SetInventory(const vfs::Inventory* chosen) { inventory = chosen; }

int OpenContainer(int flags) { return MakeDescriptor(kContainer, flags); }

int OpenGroup(uint32_t group, int flags) {
  return MakeDescriptor(kFirstGroup + static_cast<int>(group), flags);
}

int OpenIommufd(int flags) { return MakeDescriptor(kDevice, flags); }

int OpenCdev(uint32_t /*device*/, int flags) { return MakeDescriptor(kDevice, flags); }

int OpenFakeDevice() { return MakeDescriptor(kDevice, O_CLOEXEC); }

bool DescriptorPath(int fd, char* path, size_t size) {
  const int kind = fd >= 0 && fd < kDescriptors ? kinds[fd].load() : 0;
  if (kind == kContainer) std::snprintf(path, size, "/dev/vfio/vfio");
  if (kind == kDevice) std::snprintf(path, size, "anon_inode:[vfio-device]");
  if (kind >= kFirstGroup) std::snprintf(path, size, "/dev/vfio/%d", kind - kFirstGroup);
  return kind != 0;
}

namespace {

void OnClosed(int fd) {
  OnDescriptorClosed(fd);
  if (fd >= 0 && fd < kDescriptors) kinds[fd] = 0;
}

int OnDuplicated(int from, int to) {
  if (to < 0) return to;
  OnDescriptorDuplicated(from, to);
  kinds[to] = kinds[from].load();
  return to;
}

}  // namespace

COMPAT_INTERPOSE int close(int fd) {
  OnClosed(fd);
  return Next<"close", int(int)>()(fd);
}

COMPAT_INTERPOSE int dup(int fd) noexcept { return OnDuplicated(fd, Next<"dup", int(int)>()(fd)); }

COMPAT_INTERPOSE int dup2(int fd, int fd2) noexcept {
  return OnDuplicated(fd, Next<"dup2", int(int, int)>()(fd, fd2));
}

COMPAT_INTERPOSE int fcntl(int fd, int cmd, ...) {
  va_list arguments;
  va_start(arguments, cmd);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  const int result = Next<"fcntl", int(int, int, ...)>()(fd, cmd, argument);
  const bool duplicates = cmd == F_DUPFD || cmd == F_DUPFD_CLOEXEC;
  return duplicates ? OnDuplicated(fd, result) : result;
}

}  // namespace compat::preload
