#include "compat/native/object_table.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

namespace compat::native {
namespace {

bool IsObject(const Object& object) {
  return object.kind != ObjectKind::kNone && object.kind != ObjectKind::kTombstone;
}

}  // namespace

ioas::Result<uint32_t> ObjectTable::Add(ObjectKind kind, uint32_t unit) {
  uint32_t id = std::max(state_->lowest_free, 1u);
  while (id < state_->end && At(id).kind != ObjectKind::kNone) ++id;
  if (id == kMaxObjects) return ioas::Error{ENOMEM, "the context has too many objects"};
  ioas::ArenaRef<Object>& chunk = state_->chunks[id / kObjectsPerChunk];
  if (!chunk) {
    const auto memory = arena_.New<Object>(kObjectsPerChunk);
    if (!memory.ok()) return memory.error();
    chunk = *memory;
  }
  Object& object = At(id);
  object.users = 0;
  object.unit = unit;
  // Last: from then on it is one, whoever dies.
  std::atomic_signal_fence(std::memory_order_release);
  object.kind = kind;
  state_->end = std::max(state_->end, id + 1);
  state_->lowest_free = id + 1;
  return id;
}

void ObjectTable::Remove(uint32_t id, bool bury) {
  At(id).kind = bury ? ObjectKind::kTombstone : ObjectKind::kNone;
  if (bury) return;
  state_->lowest_free = std::min(state_->lowest_free, id);
  while (state_->end > 1 && At(state_->end - 1).kind == ObjectKind::kNone) --state_->end;
}

Object* ObjectTable::Find(uint32_t id, ObjectKind kind) const {
  if (id == 0 || id >= state_->end) return nullptr;
  Object& object = At(id);
  const bool is_there = IsObject(object) && (kind == ObjectKind::kAny || object.kind == kind);
  return is_there ? &object : nullptr;
}

uint32_t ObjectTable::Next(uint32_t id) const {
  for (; id < state_->end; ++id) {
    if (IsObject(At(id))) return id;
  }
  return 0;
}

void ObjectTable::Clear() {
  for (ioas::ArenaRef<Object>& chunk : state_->chunks) {
    arena_.Delete(chunk, kObjectsPerChunk);
    chunk = {};
  }
  state_->lowest_free = 0;
  state_->end = 0;
}

}  // namespace compat::native
