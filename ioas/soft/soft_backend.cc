#include "ioas/soft/soft_backend.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>

#include "ioas/base/system_call.h"

// Since Linux 5.14; not in every libc's headers.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace ioas::soft {
namespace {

constexpr uint64_t kPageSize = 4096;
constexpr uint64_t kPageSizes = 1ULL << 12 | 1ULL << 21 | 1ULL << 30;
constexpr IovaRange kApertures[] = {{0, 0x7fffffffff}};
// Where x86 devices write their message signalled interrupts.
constexpr IovaRange kReserved[] = {{0xfee00000, 0xfeefffff}};

constexpr Error kNotThere = {EFAULT, "the memory is not there, or does not permit the access"};

// Whether the kernel has MADV_POPULATE_*: asked once, about a page that is surely there.
bool CanPopulate() {
  static std::atomic<int> answer{-1};
  int known = answer.load(std::memory_order_relaxed);
  if (known < 0) {
    alignas(kPageSize) char page[kPageSize];
    known = SystemCall(SYS_madvise, page, kPageSize, MADV_POPULATE_READ) != -EINVAL ? 1 : 0;
    answer.store(known, std::memory_order_relaxed);
  }
  return known == 1;
}

// Atomically adds 0 to the first word of the page, in the kernel: a write that changes nothing, not
// even under the eyes of other threads, and that fails where a write would.
bool TouchForWriting(uint64_t page) {
  uint32_t own = 0;
  constexpr uint32_t kAddNothing = FUTEX_OP(FUTEX_OP_ADD, 0, FUTEX_OP_CMP_LT, 0);
  const long result =
      SystemCall(SYS_futex, &own, FUTEX_WAKE_OP | FUTEX_PRIVATE_FLAG, 0L, 0L, page, kAddNothing);
  return result >= 0;
}

bool TouchForReading(uint64_t first, uint64_t pages) {
  constexpr uint64_t kBatch = 64;
  char bytes[kBatch];
  iovec remote[kBatch];
  const long pid = SystemCall(SYS_getpid);
  for (uint64_t done = 0; done < pages;) {
    const uint64_t count = std::min(kBatch, pages - done);
    for (uint64_t i = 0; i < count; ++i) {
      remote[i] = {reinterpret_cast<void*>(first + (done + i) * kPageSize), 1};
    }
    const iovec local = {bytes, count};
    const long read = SystemCall(SYS_process_vm_readv, pid, &local, 1L, remote, count, 0L);
    if (read != static_cast<long>(count)) return false;
    done += count;
  }
  return true;
}

}  // namespace

Status PopulatePageByPage(uint64_t user_address, uint64_t size, bool writable) {
  const uint64_t pages = size / kPageSize;
  if (!writable) {
    if (!TouchForReading(user_address, pages)) return kNotThere;
    return {};
  }
  for (uint64_t i = 0; i < pages; ++i) {
    if (!TouchForWriting(user_address + i * kPageSize)) return kNotThere;
  }
  return {};
}

Status Populate(uint64_t user_address, uint64_t size, bool writable) {
  if (size == 0) return {};
  if (user_address + (size - 1) < user_address) return kNotThere;
  const long result = SystemCall(SYS_madvise, user_address, size,
                                 writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ);
  if (result == 0) return {};
  if (result == -EINVAL && !CanPopulate()) return PopulatePageByPage(user_address, size, writable);
  return kNotThere;
}

IommuProperties SoftBackend::properties() {
  return {.page_sizes = kPageSizes,
          .apertures = kApertures,
          .reserved = kReserved,
          .has_windows_anywhere = true};
}

Status SoftBackend::Map(IoasHandle /*space*/, const Mapping& mapping) {
  const bool writable = (mapping.flags & kAccessWrite) != 0;
  const uint64_t size = mapping.last - mapping.first + 1;
  // An IOMMU may have pages that are smaller than the processor's: whole ones are faulted in.
  const uint64_t first = mapping.user_address & -kPageSize;
  const uint64_t whole = (mapping.user_address - first + size + (kPageSize - 1)) & -kPageSize;
  uint64_t lockable = 0;
  if (Status locked = processes_.LockMemory(size, &lockable); !locked.ok()) {
    // The kernel goes page by page, so memory that is not there counts if it comes before the page
    // that exceeds the limit, or is that page.
    const uint64_t reached = std::min(whole, (lockable & -kPageSize) + kPageSize);
    IOAS_RETURN_IF_ERROR(Populate(first, reached, writable));
    return locked;
  }
  if (Status populated = Populate(first, whole, writable); !populated.ok()) {
    if (const Result<uint32_t> self = processes_.Register(); self.ok()) {
      processes_.UnlockMemory(*self, size);
    }
    return populated;
  }
  return {};
}

Status SoftBackend::Unmap(IoasHandle /*space*/, const Mapping& mapping) {
  processes_.UnlockMemory(mapping.owner, mapping.last - mapping.first + 1);
  return {};
}

Status SoftBackend::Keep(IoasHandle /*space*/, const Mapping& mapping) {
  processes_.Hold(mapping.owner);
  return {};
}

void SoftBackend::Forget(IoasHandle /*space*/, const Mapping& mapping) {
  processes_.Release(mapping.owner);
}

Result<uint32_t> SoftBackend::Pin(IoasHandle /*space*/, const MemoryRange& memory) {
  IOAS_RETURN_IF_ERROR(Populate(memory.first, memory.size(), /*writable=*/true));
  return 0u;
}

Status SoftBackend::MapRun(IoasHandle /*space*/, const PageRun& run) {
  if (run.pin) return {};
  return Populate(run.user_address, run.iovas.last - run.iovas.first + 1, /*writable=*/true);
}

}  // namespace ioas::soft
