// The shared arena: one stretch of memory that holds a whole host (address spaces, mappings,
// groups, containers, device registers), so that every process that uses the host sees the same.
//
// The arena is a file (a memfd, or a file on a tmpfs), mapped shared, at whatever address suits the
// process. Inside it nothing is a pointer: an ArenaRef counts 64-byte units from its start. The
// file grows in steps that are allocated before they are used, so memory that cannot be had is
// ENOMEM from Allocate and never a SIGBUS later.
//
// Allocate and Free take the lock in the arena's header, last of all locks. It is robust, and each
// step of theirs leaves the free lists usable, so that a process that dies in the middle costs at
// most the one block it was handling. Who may touch what lies in a block is its users' business.
#ifndef IOAS_BASE_ARENA_H_
#define IOAS_BASE_ARENA_H_

#include <cstddef>
#include <cstdint>

#include "ioas/base/result.h"

namespace ioas {

// Every block starts on a multiple of this and is a multiple of it long.
inline constexpr size_t kArenaUnit = 64;
// Blocks that need more than a page less a unit are whole pages, and start on one.
inline constexpr size_t kArenaPage = 4096;

class Arena;

// Where a T lies in an arena: 0 is nothing.
template <typename T>
struct ArenaRef {
  uint32_t unit = 0;

  explicit operator bool() const { return unit != 0; }
  bool operator==(const ArenaRef&) const = default;
};

// The arena's own state, at its start. Only arena.cc touches it.
struct ArenaHeader;

// A view of an arena: two words, copied freely. It owns neither the mapping nor the descriptor.
class Arena {
 public:
  Arena() = default;

  // Makes an arena of at most `maximum` bytes in private memory of this process, for tests, for
  // benchmarks and for fuzzing. ENOMEM if the address range is not to be had.
  static Result<Arena> CreatePrivate(size_t maximum);

  // Makes an arena in the empty file `fd` (which must be sized 0), or maps the one that is there.
  // The descriptor is remembered and used to grow the file: it must stay open.
  // `maximum`: how much address space to reserve at most; less is taken where RLIMIT_AS is low. The
  // arena never outgrows the smallest reservation of those who mapped it.
  // ENOMEM if no memory is to be had, EPROTO if the file holds something else or another version,
  // EBADF and the like if `fd` is no file that can be read and written.
  static Result<Arena> Map(int fd, size_t maximum);

  // Undoes CreatePrivate or Map in this process.
  void Unmap();

  explicit operator bool() const { return base_ != nullptr; }

  // Allocates `bytes` (1 to 1 GiB) of zeroed memory. `alignment`: kArenaUnit, or kArenaPage for
  // memory that is to be mapped by itself, which is whole pages. Returns the unit it starts at.
  // ENOMEM if there is none, EINVAL if `bytes` or `alignment` is none of these.
  Result<uint32_t> Allocate(size_t bytes, size_t alignment = kArenaUnit);
  // Gives back what Allocate returned for `bytes`.
  void Free(uint32_t unit, size_t bytes);

  template <typename T>
  Result<ArenaRef<T>> New(size_t count = 1) {
    Result<uint32_t> unit = Allocate(sizeof(T) * count);
    if (!unit.ok()) return unit.error();
    return ArenaRef<T>{*unit};
  }
  template <typename T>
  void Delete(ArenaRef<T> ref, size_t count = 1) {
    if (ref) Free(ref.unit, sizeof(T) * count);
  }

  // The object itself, in this process. `ref` must not be 0.
  template <typename T>
  T* Get(ArenaRef<T> ref) const {
    return reinterpret_cast<T*>(base_ + static_cast<size_t>(ref.unit) * kArenaUnit);
  }
  // The reference of an object that lies in this arena.
  template <typename T>
  ArenaRef<T> RefOf(const T* object) const {
    return {static_cast<uint32_t>(
        static_cast<size_t>(reinterpret_cast<const std::byte*>(object) - base_) / kArenaUnit)};
  }

  // The block that users of the arena agree to find first: 0 until SetRoot.
  uint32_t root() const;
  void SetRoot(uint32_t unit);

  // Bytes handed out by Allocate and not freed.
  size_t bytes_in_use() const;

  // Whether `bytes` from `unit` on are memory that Allocate has handed out at some time, so that
  // they can be read. For checking references that may be damaged.
  bool Contains(uint32_t unit, size_t bytes) const;

 private:
  Arena(std::byte* base, int fd, uint32_t reserved_units)
      : base_(base), fd_(fd), reserved_units_(reserved_units) {}
  ArenaHeader* header() const { return reinterpret_cast<ArenaHeader*>(base_); }

  std::byte* base_ = nullptr;
  int fd_ = -1;  // -1: private memory, all of it there from the start
  uint32_t reserved_units_ = 0;
};

}  // namespace ioas

#endif  // IOAS_BASE_ARENA_H_
