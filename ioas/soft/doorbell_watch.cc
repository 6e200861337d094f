#include "ioas/soft/doorbell_watch.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <sys/ioctl.h>

#include <algorithm>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

// Newer than some headers.
#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#ifndef UFFD_FEATURE_WP_HUGETLBFS_SHMEM
#define UFFD_FEATURE_WP_HUGETLBFS_SHMEM (1 << 12)
#endif
#ifndef USERFAULTFD_IOC_NEW
#define USERFAULTFD_IOC_NEW _IO(0xAA, 0x00)
#endif

namespace ioas::soft {
namespace {

std::atomic<bool> trapping_disabled{false};

// Write protection of shared memory: Linux 5.19.
constexpr uint64_t kFeatures = UFFD_FEATURE_PAGEFAULT_FLAG_WP | UFFD_FEATURE_WP_HUGETLBFS_SHMEM;

// A userfaultfd by one of the ways there are. The second one sees no writes by the kernel itself (a
// read() into the mapping then fails), which is still better than to look at the memory all the
// time.
long OpenUserfaultfd() {
  constexpr long kFlags = O_CLOEXEC | O_NONBLOCK;
  long fd = SystemCall(SYS_userfaultfd, kFlags);
  if (fd >= 0) return fd;
  const long device = SystemCall(SYS_openat, AT_FDCWD, "/dev/userfaultfd", O_RDWR | O_CLOEXEC);
  if (device >= 0) {
    fd = SystemCall(SYS_ioctl, device, USERFAULTFD_IOC_NEW, kFlags);
    SystemCall(SYS_close, device);
    if (fd >= 0) return fd;
  }
  return SystemCall(SYS_userfaultfd, kFlags | UFFD_USER_MODE_ONLY);
}

bool Protect(int fd, uintptr_t address, size_t size, bool on) {
  uffdio_writeprotect arguments = {};
  arguments.range = {address, size};
  arguments.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0;
  return SystemCall(SYS_ioctl, fd, UFFDIO_WRITEPROTECT, &arguments) == 0;
}

}  // namespace

void DoorbellWatch::DisableTrapping() { trapping_disabled = true; }

bool DoorbellWatch::Register(const Mapping& mapping) const {
  if (descriptor_ < 0) return false;
  uffdio_register arguments = {};
  arguments.range = {mapping.address, mapping.size};
  arguments.mode = UFFDIO_REGISTER_MODE_WP;
  return SystemCall(SYS_ioctl, descriptor_, UFFDIO_REGISTER, &arguments) == 0;
}

void DoorbellWatch::Unregister(uintptr_t address, size_t size) const {
  if (descriptor_ < 0) return;
  // Writers that wait are woken by this, and not by the end of the registration.
  Protect(descriptor_, address, size, false);
  uffdio_range range = {address, size};
  SystemCall(SYS_ioctl, descriptor_, UFFDIO_UNREGISTER, &range);
}

void DoorbellWatch::Insert(uintptr_t address, size_t size) {
  Mapping* const end = mappings_ + kMaxWatchedMappings;
  Mapping* const slot =
      std::find_if(mappings_, end, [](const Mapping& mapping) { return mapping.size == 0; });
  if (slot == end) {
    overflowed_ = true;
    return;
  }
  *slot = {address, size, false};
  slot->registered = Register(*slot);
}

void DoorbellWatch::Add(uintptr_t address, size_t size) {
  if (size == 0) return;
  RobustLock lock(mutex_);
  Insert(address, size);
}

void DoorbellWatch::Remove(uintptr_t address, size_t size) {
  const uintptr_t end = address + size;
  RobustLock lock(mutex_);
  for (Mapping& mapping : mappings_) {
    const Mapping old = mapping;
    const uintptr_t old_end = old.address + old.size;
    if (old.size == 0 || address >= old_end || old.address >= end) continue;
    const uintptr_t first = std::max(address, old.address);
    const uintptr_t last = std::min(end, old_end);
    if (old.registered) Unregister(first, last - first);
    mapping.size = first - old.address;
    if (last < old_end) Insert(last, old_end - last);
  }
}

bool DoorbellWatch::empty() const {
  RobustLock lock(mutex_);
  return !overflowed_ && std::all_of(mappings_, mappings_ + kMaxWatchedMappings,
                                     [](const Mapping& mapping) { return mapping.size == 0; });
}

bool DoorbellWatch::Start() {
  if (trapping_disabled) return false;
  const Result<int> hidden = OpenHidden(&OpenUserfaultfd);
  if (!hidden.ok()) return false;
  uffdio_api api = {};
  api.api = UFFD_API;
  api.features = kFeatures;
  if (SystemCall(SYS_ioctl, *hidden, UFFDIO_API, &api) != 0) {
    CloseHidden(*hidden);
    return false;
  }
  RobustLock lock(mutex_);
  descriptor_ = *hidden;
  for (Mapping& mapping : mappings_) {
    if (mapping.size != 0) mapping.registered = Register(mapping);
  }
  return true;
}

void DoorbellWatch::Stop() {
  RobustLock lock(mutex_);
  // A forked child may hold the descriptor too, so closing it alone would end nothing.
  for (Mapping& mapping : mappings_) {
    if (mapping.registered) Unregister(mapping.address, mapping.size);
    mapping.registered = false;
  }
  CloseHidden(descriptor_);
  descriptor_ = -1;
  armed_ = false;
}

bool DoorbellWatch::Arm() {
  RobustLock lock(mutex_);
  bool all = !overflowed_;
  armed_ = true;
  for (Mapping& mapping : mappings_) {
    if (mapping.size == 0) continue;
    if (mapping.registered && !Protect(descriptor_, mapping.address, mapping.size, true)) {
      // Something else was mapped in its place, unseen.
      Unregister(mapping.address, mapping.size);
      mapping.registered = false;
    }
    all = all && mapping.registered;
  }
  return all;
}

void DoorbellWatch::Disarm() {
  if (!armed_) return;
  RobustLock lock(mutex_);
  for (const Mapping& mapping : mappings_) {
    if (mapping.registered) Protect(descriptor_, mapping.address, mapping.size, false);
  }
  armed_ = false;
}

void DoorbellWatch::Drain() const {
  uffd_msg messages[8];
  while (SystemCall(SYS_read, descriptor_, messages, sizeof(messages)) > 0) {
  }
}

void DoorbellWatch::AfterForkInChild() {
  mutex_.Initialize();
  for (Mapping& mapping : mappings_) mapping.registered = false;
  CloseHidden(descriptor_);
  descriptor_ = -1;
  armed_ = false;
}

}  // namespace ioas::soft
