// The objects of a context, by number.
#ifndef COMPAT_NATIVE_OBJECT_TABLE_H_
#define COMPAT_NATIVE_OBJECT_TABLE_H_

#include <cstdint>

#include "ioas/base/arena.h"
#include "ioas/base/number_range.h"
#include "ioas/base/result.h"

namespace compat::native {

// Kinds of objects; the values lie in shared memory.
enum class ObjectKind : uint32_t {
  kNone = 0,
  kIoas = 1,
  kHwptPaging = 2,
  kDevice = 3,
  kMock = 4,  // of those who test: a device of theirs
  kHwptNested = 10,
  kFault = 11,
  kViommu = 12,
  kVdevice = 13,
  kVeventq = 14,
  kTombstone = 15,  // none: its number stays taken
  kAny = ~0u,       // for asking only
};

struct Object {
  ObjectKind kind;  // kNone: the number is free
  uint32_t users;   // what keeps it from being destroyed
  uint32_t unit;    // where it lies in the arena: an IoasState, HwptState or DeviceObject
};

inline constexpr uint32_t kObjectsPerChunk = 256;
inline constexpr uint32_t kMaxObjectChunks = 256;
inline constexpr uint32_t kMaxObjects = kObjectsPerChunk * kMaxObjectChunks;

struct ObjectTableState {
  uint32_t lowest_free;  // no lower number is free
  uint32_t end;          // no object has this number or a higher one
  ioas::ArenaRef<Object> chunks[kMaxObjectChunks];
};

// A view; the context's lock guards what it shows. Numbers count from 1, and a new object gets the
// lowest that is free, as with the kernel (xa_alloc in drivers/iommu/iommufd/main.c).
class ObjectTable {
 public:
  ObjectTable(ioas::Arena arena, ObjectTableState* state) : arena_(arena), state_(state) {}

  // Enters the object at `unit`. ENOMEM, also where there are kMaxObjects - 1 already.
  ioas::Result<uint32_t> Add(ObjectKind kind, uint32_t unit);
  // Takes `id` out. With `bury` nothing ever has its number again: its user may not know.
  void Remove(uint32_t id, bool bury = false);
  // The object `id`, if it is of `kind`; null if there is none.
  Object* Find(uint32_t id, ObjectKind kind) const;

  // The lowest number from `id` on that is an object's; 0 if there is none.
  uint32_t Next(uint32_t id) const;
  bool empty() const { return Next(1) == 0; }
  // All of these numbers.
  ioas::NumberRange<ObjectTable> ids() const { return {*this, 1, 0}; }
  // Frees the table's memory. It is empty.
  void Clear();

 private:
  Object& At(uint32_t id) const {
    return arena_.Get(state_->chunks[id / kObjectsPerChunk])[id % kObjectsPerChunk];
  }

  ioas::Arena arena_;
  ObjectTableState* state_;
};

}  // namespace compat::native

#endif  // COMPAT_NATIVE_OBJECT_TABLE_H_
