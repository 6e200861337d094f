// mmap() of a device's BARs, and what ends such a mapping.
#include <sys/mman.h>
#include <unistd.h>

#include <cstdarg>

#include "compat/preload/answer.h"
#include "compat/preload/bar_mappings.h"
#include "compat/preload/descriptor_table.h"
#include "compat/preload/next.h"
#include "compat/preload/process_host.h"

namespace compat::preload {
namespace {

using NextMmap = void*(void*, size_t, int, int, int, off64_t);

size_t PageAlign(size_t size) { return (size + 4095) / 4096 * 4096; }

void* MapBar(uint32_t slot, void* address, size_t size, int protection, int flags, int fd,
             off64_t offset) {
  const bool is_shared =
      (flags & MAP_TYPE) == MAP_SHARED || (flags & MAP_TYPE) == MAP_SHARED_VALIDATE;
  const auto place =
      OpenedHost()->FileOffsetFor(slot, static_cast<uint64_t>(offset), PageAlign(size), is_shared);
  if (!place.ok()) {
    Fail("mmap", fd, place.error());
    return MAP_FAILED;
  }
  const bool is_fixed = (flags & MAP_FIXED) == MAP_FIXED && AnyBarMapped();
  if ((is_fixed && !PrepareBarUnmap(address, PageAlign(size))) || !PrepareBarMapping()) {
    Fail("mmap", fd, {ENOMEM, "no memory to note the mapping"});
    return MAP_FAILED;
  }
  if (is_fixed) OnBarUnmap(address, PageAlign(size));
  void* const mapped = Next<"mmap64", NextMmap>()(address, size, protection, flags, fd,
                                                  static_cast<off64_t>(*place));
  if (mapped != MAP_FAILED) {
    OnBarMapped(slot, mapped, PageAlign(size), (protection & PROT_WRITE) != 0);
  } else {
    CancelBarMapping();
  }
  return mapped;
}

template <FunctionName kName>
void* Mmap(void* address, size_t size, int protection, int flags, int fd, off64_t offset) {
  if (__builtin_expect(EmulatedSlotOf(fd) != 0, 0) && (flags & MAP_ANONYMOUS) == 0) {
    if (const uint32_t slot = VerifiedSlotOf(fd); slot != 0) {
      return MapBar(slot, address, size, protection, flags, fd, offset);
    }
  }
  const bool may_replace = __builtin_expect(AnyBarMapped(), 0) && (flags & MAP_FIXED) != 0;
  if (may_replace && !PrepareBarUnmap(address, PageAlign(size))) {
    errno = ENOMEM;
    return MAP_FAILED;
  }
  void* const mapped = Next<kName, NextMmap>()(address, size, protection, flags, fd, offset);
  if (may_replace && mapped != MAP_FAILED) {
    OnBarUnmap(mapped, PageAlign(size));
    EndBarMappings();
  }
  return mapped;
}

}  // namespace

COMPAT_INTERPOSE void* mmap(void* address, size_t size, int protection, int flags, int fd,
                            off_t offset) noexcept {
  return Mmap<"mmap">(address, size, protection, flags, fd, offset);
}

COMPAT_INTERPOSE void* mmap64(void* address, size_t size, int protection, int flags, int fd,
                              off64_t offset) noexcept {
  return Mmap<"mmap64">(address, size, protection, flags, fd, offset);
}

COMPAT_INTERPOSE int munmap(void* address, size_t size) noexcept {
  const auto next = Next<"munmap", int(void*, size_t)>();
  if (__builtin_expect(!AnyBarMapped(), 1)) return next(address, size);
  // As the kernel, which needs memory to cut a mapping.
  if (!PrepareBarUnmap(address, PageAlign(size))) {
    errno = ENOMEM;
    return -1;
  }
  OnBarUnmap(address, PageAlign(size));
  const int result = next(address, size);
  const int saved_errno = errno;
  EndBarMappings();
  errno = saved_errno;
  return result;
}

}  // namespace compat::preload
