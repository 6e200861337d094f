#include "compat/native/context.h"

#include <cerrno>
#include <utility>

#include "compat/native/attachment.h"
#include "compat/native/event_files.h"
#include "compat/native/mock_devices.h"
#include "compat/native/nested_tables.h"
#include "compat/native/viommus.h"

namespace compat::native {

using ioas::AddressSpace;
using ioas::ArenaRef;

// A table of objects is whole whoever dies.
Context::Context(const Caller& caller)
    : host_(caller.host),
      state_(caller.state),
      lock_(std::in_place, caller.state.mutex),
      is_open_(caller.slot == caller.state.slot),
      arena_(caller.host.arena()) {
  if (lock_->owner_died()) Repair();
}

Context::Context(const Caller& caller, const ioas::TimedRobustLock& held)
    : host_(caller.host),
      state_(caller.state),
      is_open_(caller.slot == caller.state.slot),
      arena_(caller.host.arena()) {
  if (held.owner_died()) Repair();
}

// A number is given up, the memory is not: what it was on is gone.
void Context::RemoveOrphans() const {
  // Those that are on nothing make others so: each is on at most two more.
  for (int round = 0; round < 3; ++round) {
    for (const uint32_t id : objects().ids()) {
      if (IsOrphan(id)) objects().Remove(id);
    }
  }
}

bool Context::IsOrphan(uint32_t id) const {
  if (const HwptState* const hwpt = FindHwpt(id)) return FindIoas(hwpt->ioas) == nullptr;
  if (const NestedState* const nested = FindNested(id)) {
    const bool is_on_viommu = nested->viommu == 0 || FindViommu(nested->viommu) != nullptr;
    return FindHwpt(nested->parent) == nullptr || !is_on_viommu;
  }
  if (const ViommuState* const viommu = FindViommu(id)) return FindHwpt(viommu->parent) == nullptr;
  if (const VdeviceState* const vdevice = FindVdevice(id)) {
    return FindViommu(vdevice->viommu) == nullptr || FindDevice(vdevice->device) == nullptr;
  }
  const VeventqState* const queue = FindVeventq(id);
  return queue != nullptr && FindViommu(queue->viommu) == nullptr;
}

void Context::CountUsers() const {
  const auto use = [this](uint32_t id) {
    if (objects().Find(id, ObjectKind::kAny) != nullptr) AddUser(id);
  };
  for (const uint32_t id : objects().ids()) {
    if (const HwptState* const hwpt = FindHwpt(id)) {
      use(hwpt->ioas);
      use(hwpt->fault);
    }
    if (const NestedState* const nested = FindNested(id)) {
      use(nested->viommu != 0 ? nested->viommu : nested->parent);
      use(nested->fault);
    }
    if (const ViommuState* const viommu = FindViommu(id)) use(viommu->parent);
    if (const VdeviceState* const vdevice = FindVdevice(id)) use(vdevice->viommu);
    if (const FaultState* const fault = FindFault(id); fault != nullptr && fault->slot != 0)
      use(id);
    if (const VeventqState* const queue = FindVeventq(id)) {
      use(queue->viommu);
      if (queue->slot != 0) use(id);
    }
    DeviceObject* const device = FindDevice(id);
    if (device == nullptr) continue;
    AddUser(id);  // its file's
    CountAttachments(id, *device);
  }
}

void Context::CountAttachments(uint32_t id, DeviceObject& device) const {
  if (FindPaging(device.hwpt) == nullptr) device.hwpt = 0;
  if (device.hwpt != 0) {
    AddUser(id);
    AddUser(device.hwpt);
  }
  ioas::PasidTable pasids(arena_, &device.pasids);
  for (const uint32_t pasid : pasids.pasids()) {
    const uint32_t hwpt = pasids.Get(pasid);
    if (FindPaging(hwpt) == nullptr) {
      pasids.Remove(pasid);
      continue;
    }
    AddUser(id);
    AddUser(hwpt);
  }
}

void Context::Repair() const {
  RemoveOrphans();
  for (const uint32_t id : objects().ids()) {
    objects().Find(id, ObjectKind::kAny)->users = 0;
  }
  CountUsers();
  RestoreTargets(*this);
}

AddressSpace Context::SpaceOf(const IoasState& ioas) const {
  return {arena_, ioas.space, &host_.platform().backend()};
}

ioas::Result<uint32_t> Context::NewIoas() {
  ioas::Arena arena = host_.arena();
  const auto space = AddressSpace::CreateWithoutDomain(arena);
  if (!space.ok()) return space.error();
  const ioas::Result<uint32_t> id = New<IoasState>(ObjectKind::kIoas);
  if (!id.ok()) {
    AddressSpace(arena, *space).Destroy();
    return id;
  }
  FindIoas(*id)->space = *space;
  return id;
}

ioas::Status Context::Destroy(uint32_t id) {
  const Object* const object = is_open_ ? objects().Find(id, ObjectKind::kAny) : nullptr;
  if (object == nullptr) return kNoObject;
  if (object->users != 0) return ioas::Error{EBUSY, "the object is in use"};
  DestroyObject(id, *object);
  return {};
}

void Context::DestroyAll() {
  // What is on something before that.
  for (const ObjectKind kind : {ObjectKind::kMock, ObjectKind::kVdevice, ObjectKind::kVeventq,
                                ObjectKind::kDevice, ObjectKind::kHwptNested, ObjectKind::kViommu,
                                ObjectKind::kHwptPaging, ObjectKind::kFault, ObjectKind::kIoas}) {
    for (const uint32_t id : objects().ids()) {
      if (const Object* const object = objects().Find(id, kind)) DestroyObject(id, *object);
    }
  }
  objects().Clear();
  state_.vfio_ioas = 0;
}

void Context::DestroyObject(uint32_t id, const Object& object, bool bury) {
  const ObjectKind kind = object.kind;
  const uint32_t unit = object.unit;
  Unlink(id);
  objects().Remove(id, bury);
  if (kind == ObjectKind::kIoas && state_.vfio_ioas == id) state_.vfio_ioas = 0;
  Free(kind, unit);
}

void Context::Unlink(uint32_t id) const {
  if (const HwptState* const hwpt = FindHwpt(id)) {
    AddressSpace space = SpaceOfHwpt(*hwpt);
    {
      const AddressSpace::Lock lock(space);
      space.RemoveDomain(id);
    }
    DropUser(hwpt->ioas);
    DropUserIfAny(hwpt->fault);
  }
  if (const NestedState* const nested = FindNested(id)) {
    DropUserIfAny(nested->viommu != 0 ? nested->viommu : nested->parent);
    DropUserIfAny(nested->fault);
  }
  if (const ViommuState* const viommu = FindViommu(id)) DropUserIfAny(viommu->parent);
  if (const VdeviceState* const vdevice = FindVdevice(id)) {
    EndVdevice(*this, *vdevice);
    DropUserIfAny(vdevice->viommu);
  }
  if (const VeventqState* const queue = FindVeventq(id)) {
    EndVeventq(*this, *queue);
    DropUserIfAny(queue->viommu);
  }
}

void Context::Free(ObjectKind kind, uint32_t unit) {
  ioas::Arena arena = host_.arena();
  switch (kind) {
    case ObjectKind::kIoas: {
      const ArenaRef<IoasState> ioas{unit};
      AddressSpace space = SpaceOf(*arena.Get(ioas));
      {
        const AddressSpace::Lock lock(space);
        space.UnmapAll();
      }
      space.Destroy();
      arena.Delete(ioas);
      break;
    }
    case ObjectKind::kHwptPaging:
      arena.Delete(arena.Get(ArenaRef<HwptState>{unit})->domain);
      arena.Delete(ArenaRef<HwptState>{unit});
      break;
    case ObjectKind::kHwptNested:
      DeleteNestedTable(*this, *arena.Get(ArenaRef<NestedState>{unit}));
      arena.Delete(ArenaRef<NestedState>{unit});
      break;
    case ObjectKind::kDevice:
      ioas::PasidTable(arena, &arena.Get(ArenaRef<DeviceObject>{unit})->pasids).Clear();
      arena.Delete(ArenaRef<DeviceObject>{unit});
      break;
    case ObjectKind::kMock:
      mock_devices->destroy(*this, unit);
      break;
    default:
      FreeEvents(*this, kind, unit);
  }
}

}  // namespace compat::native
