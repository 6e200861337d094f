#include "ioas/soft/soft_backend.h"

#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/uio.h>

#include <algorithm>
#include <atomic>

#include "ioas/base/system_call.h"
#include "ioas/file_table.h"
#include "ioas/soft/file_memory.h"
#include "ioas/soft/file_search.h"
#include "ioas/soft/iommu_profile.h"
#include "ioas/soft/peer_process.h"

// Since Linux 5.14; not in every libc's headers.
#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#define MADV_POPULATE_WRITE 23
#endif

namespace ioas::soft {
namespace {

constexpr uint64_t kPageSize = 4096;

constexpr uint64_t SizeOf(const Mapping& mapping) { return mapping.last - mapping.first + 1; }

// The pages of the processor's that a mapping touches: an IOMMU may have smaller ones, and whole
// ones are faulted in.
struct WholePages {
  uint64_t first;
  uint64_t size;
};
constexpr WholePages PagesOf(const Mapping& mapping) {
  const uint64_t first = mapping.user_address & -kPageSize;
  const uint64_t end = (mapping.user_address + SizeOf(mapping) + (kPageSize - 1)) & -kPageSize;
  return {first, end - first};
}

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

bool TouchForReading(pid_t pid, uint64_t first, uint64_t pages) {
  constexpr uint64_t kBatch = 64;
  char bytes[kBatch];
  iovec remote[kBatch];
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
    const auto self = static_cast<pid_t>(SystemCall(SYS_getpid));
    if (!TouchForReading(self, user_address, pages)) return kNotThere;
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

IommuProperties SoftBackend::properties() { return PropertiesOf(IommuProfile::kAuto); }

Status SoftBackend::Map(const IoasHandle& /*space*/, const Mapping& mapping) {
  if (FileTable::IsFile(mapping.owner)) return MapFile(mapping);
  const Result<uint32_t> self = processes_.Register();
  if (!self.ok()) return self.error();
  if (*self == mapping.owner) return MapOwn(mapping);
  return MapPeers(mapping);
}

// What another process has mapped, in an address space without domains until now, or in one that
// this is a copy of. Only that process could fault its memory in for writing.
Status SoftBackend::MapPeers(const Mapping& mapping) {
  const pid_t pid = MemoryOf(processes_, mapping.owner);
  const WholePages pages = PagesOf(mapping);
  if (pid == 0 || !TouchForReading(pid, pages.first, pages.size / kPageSize)) return kNotThere;
  processes_.AddLockedMemory(mapping.owner, SizeOf(mapping));
  return {};
}

Status SoftBackend::MapOwn(const Mapping& mapping) {
  const bool writable = (mapping.flags & kAccessWrite) != 0;
  const uint64_t size = SizeOf(mapping);
  const WholePages pages = PagesOf(mapping);
  uint64_t lockable = 0;
  if (Status locked = processes_.LockMemory(size, &lockable); !locked.ok()) {
    // The kernel goes page by page, so memory that is not there counts if it comes before the page
    // that exceeds the limit, or is that page.
    const uint64_t reached = std::min(pages.size, (lockable & -kPageSize) + kPageSize);
    IOAS_RETURN_IF_ERROR(Populate(pages.first, reached, writable));
    return locked;
  }
  if (Status populated = Populate(pages.first, pages.size, writable); !populated.ok()) {
    if (const Result<uint32_t> self = processes_.Register(); self.ok()) {
      processes_.UnlockMemory(*self, size);
    }
    return populated;
  }
  return {};
}

Status SoftBackend::MapFile(const Mapping& mapping) {
  FileTable files(processes_);
  const uint32_t process = files.process(mapping.owner);
  const Result<uint32_t> self = processes_.Register();
  if (self.ok() && *self == process) {
    IOAS_RETURN_IF_ERROR(processes_.LockMemory(SizeOf(mapping), nullptr));
  } else {
    processes_.AddLockedMemory(process, SizeOf(mapping));
  }
  const WholePages pages = PagesOf(mapping);
  const uint64_t end = pages.first + pages.size;
  const FileMemory file(processes_, mapping.owner, end);
  Status pinned = file.CheckPinnable(end);
  if (pinned.ok() && file.address() == 0) pinned = kNotThere;
  if (pinned.ok()) {
    const bool writable = (mapping.flags & kAccessWrite) != 0;
    pinned = Populate(file.address() + pages.first, pages.size, writable);
  }
  if (!pinned.ok()) {
    processes_.UnlockMemory(process, SizeOf(mapping));
    return pinned;
  }
  files.Hold(mapping.owner);
  return {};
}

void SoftBackend::Release(uint32_t file) {
  if (FileTable(processes_).Release(file)) ForgetFiles(processes_);
}

Status SoftBackend::Unmap(const IoasHandle& /*space*/, const Mapping& mapping) {
  processes_.UnlockMemory(ProcessBehind(processes_, mapping.owner), SizeOf(mapping));
  if (FileTable::IsFile(mapping.owner)) Release(mapping.owner);
  return {};
}

Status SoftBackend::Keep(const IoasHandle& /*space*/, const Mapping& mapping) {
  if (FileTable::IsFile(mapping.owner)) {
    FileTable(processes_).Hold(mapping.owner);
  } else {
    processes_.Hold(mapping.owner);
  }
  return {};
}

void SoftBackend::Forget(const IoasHandle& /*space*/, const Mapping& mapping) {
  if (FileTable::IsFile(mapping.owner)) {
    Release(mapping.owner);
  } else {
    processes_.Release(mapping.owner);
  }
}

void SoftBackend::KeepReachable(const IoasHandle& /*space*/, Mapping& mapping) {
  const Result<uint32_t> self = processes_.Register();
  if (!self.ok() || mapping.owner != *self) return;
  const std::optional<FilePiece> piece = FileBehind(mapping.user_address, SizeOf(mapping));
  if (!piece) return;
  const Result<uint32_t> file = FileTable(processes_).Enter(piece->identity, *self);
  if (!file.ok()) return;
  const bool is_there =
      FileMemory(processes_, *file, piece->offset + SizeOf(mapping)).address() != 0;
  if (!is_there) return Release(*file);
  mapping.owner = *file;
  mapping.user_address = piece->offset;
}

Status SoftBackend::ChangeOwner(const IoasHandle& /*space*/, const Mapping& from,
                                const Mapping& to) {
  const uint32_t before = ProcessBehind(processes_, from.owner);
  const uint32_t after = ProcessBehind(processes_, to.owner);
  if (before != after) {
    IOAS_RETURN_IF_ERROR(processes_.LockMemory(SizeOf(from), nullptr));
    processes_.UnlockMemory(before, SizeOf(from));
  }
  if (FileTable::IsFile(to.owner)) FileTable(processes_).Hold(to.owner);
  if (FileTable::IsFile(from.owner)) Release(from.owner);
  return {};
}

Result<uint32_t> SoftBackend::Pin(const IoasHandle& /*space*/, const MemoryRange& memory) {
  IOAS_RETURN_IF_ERROR(Populate(memory.first, memory.size(), /*writable=*/true));
  return 0u;
}

Status SoftBackend::MapRun(const IoasHandle& /*space*/, const PageRun& run) {
  if (run.pin) return {};
  return Populate(run.user_address, run.iovas.last - run.iovas.first + 1, /*writable=*/true);
}

}  // namespace ioas::soft
