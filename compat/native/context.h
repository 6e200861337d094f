// A process's view on a context, for a call.
#ifndef COMPAT_NATIVE_CONTEXT_H_
#define COMPAT_NATIVE_CONTEXT_H_

#include <cerrno>
#include <cstdint>
#include <optional>

#include "compat/decode/decode.h"
#include "compat/native/state.h"
#include "compat/vfio/host.h"
#include "ioas/address_space.h"
#include "ioas/base/result.h"
#include "ioas/base/robust_mutex.h"

namespace compat::native {

// Where a call is made: on the context whose file is `slot`.
struct Caller {
  vfio::Host& host;
  ContextState& state;
  uint32_t slot;
};

// Holds the context's lock as long as it lives: to be made once the caller's structure is copied
// in, for that may wait for the program's own threads. A context that was closed meanwhile, and may
// be another one by now, has no objects. Objects are found, made and destroyed here; what is done
// to a device that they are attached to is the platform's business.
class Context {
 public:
  explicit Context(const Caller& caller);
  // The same for one who holds the lock already, and as long as this lives.
  Context(const Caller& caller, const ioas::TimedRobustLock& held);

  vfio::Host& host() const { return host_; }
  ContextState& state() const { return state_; }
  ObjectTable objects() const { return {host_.arena(), &state_.objects}; }

  // An object's state: null, for ENOENT, if there is none of that number and kind.
  IoasState* FindIoas(uint32_t id) const { return Find<IoasState>(id, ObjectKind::kIoas); }
  HwptState* FindHwpt(uint32_t id) const { return Find<HwptState>(id, ObjectKind::kHwptPaging); }
  NestedState* FindNested(uint32_t id) const {
    return Find<NestedState>(id, ObjectKind::kHwptNested);
  }
  FaultState* FindFault(uint32_t id) const { return Find<FaultState>(id, ObjectKind::kFault); }
  ViommuState* FindViommu(uint32_t id) const { return Find<ViommuState>(id, ObjectKind::kViommu); }
  VdeviceState* FindVdevice(uint32_t id) const {
    return Find<VdeviceState>(id, ObjectKind::kVdevice);
  }
  VeventqState* FindVeventq(uint32_t id) const {
    return Find<VeventqState>(id, ObjectKind::kVeventq);
  }
  // The page table of an address space that `id` is, or lies on.
  HwptState* FindPaging(uint32_t id) const {
    const NestedState* const nested = FindNested(id);
    return FindHwpt(nested != nullptr ? nested->parent : id);
  }
  DeviceObject* FindDevice(uint32_t id) const {
    return Find<DeviceObject>(id, ObjectKind::kDevice);
  }
  // The address space of an IOAS, for a call of this process; as long as this lives.
  ioas::AddressSpace SpaceOf(const IoasState& ioas) const;
  ioas::AddressSpace SpaceOfHwpt(const HwptState& hwpt) const {
    return SpaceOf(*FindIoas(hwpt.ioas));
  }

  // Makes an address space, or an object of `kind` with a state that is all zero. Returns its
  // number. ENOMEM.
  ioas::Result<uint32_t> NewIoas();
  template <typename State>
  ioas::Result<uint32_t> New(ObjectKind kind);
  // Destroys the object `id`: ENOENT if there is none, EBUSY if something uses it.
  ioas::Status Destroy(uint32_t id);
  // The same for one that nothing uses, whose user may not know: its number stays taken.
  void Bury(uint32_t id) { DestroyObject(id, *objects().Find(id, ObjectKind::kAny), true); }
  // Destroys all objects, users or not: nothing is attached any more.
  void DestroyAll();

  void AddUser(uint32_t id) const { ++objects().Find(id, ObjectKind::kAny)->users; }
  void DropUser(uint32_t id) const { --objects().Find(id, ObjectKind::kAny)->users; }
  // The same for one that may be none: 0.
  void DropUserIfAny(uint32_t id) const {
    if (id != 0) DropUser(id);
  }

 private:
  // Makes objects agree with each other after a death in the middle of a call: who uses whom is
  // counted anew, and what has lost the object that it belongs to is taken out.
  void Repair() const;
  template <typename State>
  State* Find(uint32_t id, ObjectKind kind) const {
    const Object* const object = is_open_ ? objects().Find(id, kind) : nullptr;
    return object != nullptr ? host_.arena().Get(ioas::ArenaRef<State>{object->unit}) : nullptr;
  }
  // The parts of Repair: takes out what is on nothing, and counts the users of all objects.
  void RemoveOrphans() const;
  bool IsOrphan(uint32_t id) const;
  void CountUsers() const;
  void CountAttachments(uint32_t id, DeviceObject& device) const;
  void DestroyObject(uint32_t id, const Object& object, bool bury = false);
  // The parts of that: what the object did ends, and its memory is freed.
  void Unlink(uint32_t id) const;
  void Free(ObjectKind kind, uint32_t unit);

  vfio::Host& host_;
  ContextState& state_;
  std::optional<ioas::RobustLock> lock_;
  bool is_open_;
  mutable ioas::Arena arena_;  // a view, which address spaces point to
};

inline constexpr ioas::Error kNoObject = {ENOENT, "there is no object of that number and kind"};
inline constexpr ioas::Error kClosed = {EBADF, "the descriptor was closed meanwhile"};

template <typename State>
ioas::Result<uint32_t> Context::New(ObjectKind kind) {
  if (!is_open_) return kClosed;
  ioas::Arena arena = host_.arena();
  const auto made = arena.New<State>();
  if (!made.ok()) return made.error();
  const ioas::Result<uint32_t> id = objects().Add(kind, made->unit);
  if (!id.ok()) arena.Delete(*made);
  return id;
}

}  // namespace compat::native

#endif  // COMPAT_NATIVE_CONTEXT_H_
