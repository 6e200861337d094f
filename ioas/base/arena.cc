#include "ioas/base/arena.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "ioas/base/arena_heap.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/base/system_call.h"

namespace ioas {
namespace {

constexpr uint64_t kMagic = 0x616e657261706d76;  // "vmparena" as it lies in a file
constexpr uint32_t kVersion = 1;

constexpr size_t kFirstStep = size_t{1} << 20;
constexpr size_t kSmallestReservation = size_t{64} << 20;
constexpr size_t kLargestReservation = (size_t{UINT32_MAX} * kArenaUnit) & ~(kArenaPage - 1);
constexpr size_t kLargestBlock = size_t{1} << 30;

constexpr uint32_t kHeaderUnits = RoundUp(sizeof(ArenaHeader), kArenaUnit) / kArenaUnit;

// How long the block is that holds `bytes`.
constexpr size_t BlockSize(size_t bytes) {
  const size_t small = RoundUp(bytes, kArenaUnit);
  return small < kArenaPage ? small : RoundUp(bytes, kArenaPage);
}

void InitializeHeader(ArenaHeader* header, size_t limit, size_t committed) {
  header->version = kVersion;
  header->limit = static_cast<uint32_t>(limit / kArenaUnit);
  header->committed = static_cast<uint32_t>(committed / kArenaUnit);
  header->fresh = kHeaderUnits;
  header->mutex.Initialize();
  header->magic.store(kMagic, std::memory_order_release);
}

// Keeps others from making an arena in the same file meanwhile. A lock of this kind belongs to the
// open file, which a forked child has in common with its parent, so it is taken on a file opened
// anew, where /proc is there to do so.
class FileLock {
 public:
  explicit FileLock(int fd) {
    char path[32];
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own_ = static_cast<int>(SystemCall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC));
    fd_ = own_ >= 0 ? own_ : fd;
    do {
      status_ = Set(F_WRLCK);
    } while (status_ == -EINTR);
  }
  ~FileLock() {
    if (status_ == 0) Set(F_UNLCK);
    if (own_ >= 0) SystemCall(SYS_close, own_);
  }
  FileLock(const FileLock&) = delete;
  FileLock& operator=(const FileLock&) = delete;

  // 0, or why the lock could not be had: a negated errno.
  long status() const { return status_; }

 private:
  long Set(short type) const {
    // One byte, far behind any that the file may have.
    struct flock lock = {};
    lock.l_type = type;
    lock.l_whence = SEEK_SET;
    lock.l_start = off_t{1} << 62;
    lock.l_len = 1;
    return SystemCall(SYS_fcntl, fd_, F_OFD_SETLKW, &lock);
  }

  int own_;
  int fd_;
  long status_;
};

Error ErrorOf(long result, const char* reason) { return {static_cast<int>(-result), reason}; }

// Maps the file over as much address space as can be had up to `length`, which is left saying how
// much that is. Returns the address, or a negated errno. What lies beyond the file's end costs
// nothing and is not touched before the file has grown.
long Reserve(int fd, size_t& length) {
  for (;;) {
    const long address = SystemCall(SYS_mmap, nullptr, length, PROT_READ | PROT_WRITE,
                                    MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (address != -ENOMEM || length / 2 < kSmallestReservation) return address;
    length = length / 2 / kArenaPage * kArenaPage;
  }
}

// What a file holds.
struct FileContents {
  bool unfinished;  // nothing, or an arena whose maker died before it was one
  size_t limit;     // the arena's
};

Result<FileContents> Inspect(int fd) {
  struct stat status;
  // SYS_fstat fills in the kernel's struct stat, which on 64-bit machines is libc's.
  const long result = SystemCall(SYS_fstat, fd, &status);
  if (result < 0) return ErrorOf(result, "the arena's descriptor is no open file");
  if (!S_ISREG(status.st_mode)) return Error{EPROTO, "the arena's descriptor is no regular file"};
  if (status.st_size == 0) return FileContents{.unfinished = true, .limit = 0};
  const Error foreign = {EPROTO, "the file holds no arena of this version"};
  const size_t size = static_cast<size_t>(status.st_size);
  if (size < kArenaPage) return foreign;
  alignas(ArenaHeader) std::byte bytes[sizeof(ArenaHeader)];
  if (SystemCall(SYS_pread64, fd, bytes, sizeof(bytes), 0) != long{sizeof(bytes)}) return foreign;
  const auto* header = reinterpret_cast<const ArenaHeader*>(bytes);
  if (header->magic == 0 && size <= kFirstStep) return FileContents{.unfinished = true, .limit = 0};
  if (header->magic != kMagic || header->version != kVersion ||
      header->committed > size / kArenaUnit) {
    return foreign;
  }
  return FileContents{.unfinished = false, .limit = size_t{header->limit} * kArenaUnit};
}

// Takes part in an arena that others use, which must not grow beyond what is mapped here.
Status Join(ArenaHeader* header, size_t length) {
  const auto units = static_cast<uint32_t>(length / kArenaUnit);
  RobustLock lock(header->mutex);
  if (header->committed > units) return Error{ENOMEM, "no address space for the arena"};
  header->limit = std::min(header->limit, units);
  return {};
}

}  // namespace

Result<Arena> Arena::CreatePrivate(size_t maximum) {
  const size_t length = std::min(RoundUp(maximum, kArenaPage), kLargestReservation);
  const long address = SystemCall(SYS_mmap, nullptr, length, PROT_READ | PROT_WRITE,
                                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (address < 0) return ErrorOf(address, "no address space for the arena");
  SystemCall(SYS_madvise, address, length, MADV_HUGEPAGE);
  Arena arena(reinterpret_cast<std::byte*>(address), -1,
              static_cast<uint32_t>(length / kArenaUnit));
  InitializeHeader(arena.header(), length, length);
  return arena;
}

Result<Arena> Arena::Map(int fd, size_t maximum) {
  const FileLock lock(fd);
  if (lock.status() != 0) return ErrorOf(lock.status(), "the arena's file cannot be locked");
  const Result<FileContents> contents = Inspect(fd);
  if (!contents.ok()) return contents.error();
  size_t length = std::min(RoundUp(maximum, kArenaPage), kLargestReservation);
  if (contents->unfinished) {
    if (length < kFirstStep) return Error{ENOMEM, "an arena needs at least 1 MiB"};
    if (GrowFile(fd, 0, kFirstStep) != 0) return Error{ENOMEM, "no memory for the arena"};
  } else {
    length = std::min(length, contents->limit);
  }
  const long address = Reserve(fd, length);
  if (address < 0) return ErrorOf(address, "the arena's file cannot be mapped");
  Arena arena(reinterpret_cast<std::byte*>(address), fd,
              static_cast<uint32_t>(length / kArenaUnit));
  if (contents->unfinished) {
    InitializeHeader(arena.header(), length, kFirstStep);
  } else if (const Status joined = Join(arena.header(), length); !joined.ok()) {
    arena.Unmap();
    return joined.error();
  }
  return arena;
}

void Arena::Unmap() {
  if (base_ != nullptr) SystemCall(SYS_munmap, base_, size_t{reserved_units_} * kArenaUnit);
  *this = Arena();
}

Result<uint32_t> Arena::Allocate(size_t bytes, size_t alignment) {
  if (bytes == 0 || bytes > kLargestBlock) return Error{EINVAL, "no block has that size"};
  const bool known_alignment =
      alignment == kArenaUnit || (alignment == kArenaPage && bytes % kArenaPage == 0);
  if (!known_alignment) return Error{EINVAL, "no block has that alignment"};
  const size_t rounded = BlockSize(bytes);
  const auto units = static_cast<uint32_t>(rounded / kArenaUnit);
  bool recycled = false;
  uint32_t unit = 0;
  {
    const RobustLock lock(header()->mutex);
    ArenaHeap heap(base_, fd_);
    unit =
        units < kArenaPageUnits ? heap.TakeSmall(units, recycled) : heap.TakePages(units, recycled);
    if (unit == 0) return Error{ENOMEM, "the arena is full"};
    header()->bytes_in_use.fetch_add(rounded, std::memory_order_relaxed);
  }
  if (recycled) memset(base_ + size_t{unit} * kArenaUnit, 0, rounded);
  return unit;
}

void Arena::Free(uint32_t unit, size_t bytes) {
  const size_t rounded = BlockSize(bytes);
  const auto units = static_cast<uint32_t>(rounded / kArenaUnit);
  const RobustLock lock(header()->mutex);
  header()->bytes_in_use.fetch_sub(rounded, std::memory_order_relaxed);
  ArenaHeap heap(base_, fd_);
  units < kArenaPageUnits ? heap.FreeSmall(unit, units) : heap.FreePages(unit, units);
}

uint32_t Arena::root() const { return header()->root.load(std::memory_order_acquire); }

void Arena::SetRoot(uint32_t unit) { header()->root.store(unit, std::memory_order_release); }

size_t Arena::bytes_in_use() const {
  return header()->bytes_in_use.load(std::memory_order_relaxed);
}

bool Arena::Contains(uint32_t unit, size_t bytes) const {
  const size_t end = size_t{unit} + RoundUp(bytes, kArenaUnit) / kArenaUnit;
  return unit >= kHeaderUnits && end <= header()->fresh.load(std::memory_order_acquire);
}

}  // namespace ioas
