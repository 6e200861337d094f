// A page table that a program keeps in memory of its own, on top of an address space: what a device
// asks for goes through it first, and what comes out is an address of the address space (nesting).
//
// The table is read when a device needs it, and what was read is kept in a small cache until the
// program invalidates it: a program that forgets to sees what it would see on hardware. Only what
// the table says is kept, never where the address space leads.
#ifndef IOAS_USER_TABLE_H_
#define IOAS_USER_TABLE_H_

#include <cstdint>

#include "ioas/base/result.h"
#include "ioas/range.h"

namespace ioas {

enum class UserTableFormat : uint32_t {
  kVtdFirstStage = 1,  // Intel VT-d's first stage, which is x86's page table
  kTce = 2,            // one level of POWER's TCEs, for a window
};

// What an entry was found to say.
struct CachedTranslation {
  uint32_t is_there;
  uint32_t access;  // Access bits
  uint64_t first;   // the device's addresses that it is about
  uint64_t last;
  uint64_t target;  // where the first of them leads
};

inline constexpr uint32_t kCachedTranslations = 64;

// Lies in the arena. Guarded by the lock of the address space that it is on.
struct UserTableState {
  // Fixed from the start.
  UserTableFormat format;
  uint32_t levels;      // first stage: 4 or 5
  uint32_t page_shift;  // TCEs: of a page of the window
  uint64_t table;       // where it lies in the address space
  IovaRange window;     // TCEs: what they are for, whole pages
  CachedTranslation cache[kCachedTranslations];
};

// The memory that tables lie in.
class TableMemory {
 public:
  // The 8 bytes at `address`, a multiple of 8, in the processor's order. Any error if they cannot
  // be read.
  virtual Result<uint64_t> ReadEntry(uint64_t address) = 0;

 protected:
  ~TableMemory() = default;
};

// Where a device's address leads in the address space.
struct UserTranslation {
  uint64_t target;
  uint64_t contiguous;  // bytes from there that the same entry covers, at least 1
};

// A view: two pointers. The address space's lock is held for every call.
class UserTable {
 public:
  UserTable(UserTableState* state, TableMemory* memory) : state_(state), memory_(memory) {}

  // Where `iova` leads for an access of kind `access` (one Access bit). Reads at most one entry a
  // level, and nothing if the cache knows. ENOENT if an entry is not there, EACCES if one does not
  // permit it, EINVAL if one has bits set that are reserved, EFAULT if one cannot be read.
  //
  // First stage (Intel VT-d specification, 3.6): devices are users, so that all entries on the way
  // have to be the user's; accessed and dirty bits are neither looked at nor set.
  Result<UserTranslation> Translate(uint64_t iova, uint32_t access);

  // Forgets what was read about addresses in `range`.
  void Invalidate(const IovaRange& range);

 private:
  Result<CachedTranslation> Walk(uint64_t iova) const;
  Result<CachedTranslation> WalkFirstStage(uint64_t iova) const;
  Result<CachedTranslation> ReadTce(uint64_t iova) const;

  UserTableState* state_;
  TableMemory* memory_;
};

}  // namespace ioas

#endif  // IOAS_USER_TABLE_H_
