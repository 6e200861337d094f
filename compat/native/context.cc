#include "compat/native/context.h"

#include <cerrno>

#include "compat/native/mock_devices.h"

namespace compat::native {

using ioas::AddressSpace;
using ioas::ArenaRef;

// A table of objects is whole whoever dies.
Context::Context(const Caller& caller)
    : host_(caller.host),
      state_(caller.state),
      lock_(caller.state.mutex),
      is_open_(caller.slot == caller.state.slot),
      arena_(caller.host.arena()) {
  if (lock_.owner_died()) Repair();
}

void Context::Repair() const {
  const ObjectTable table = objects();
  for (uint32_t id = table.Next(1); id != 0; id = table.Next(id + 1)) {
    table.Find(id, ObjectKind::kAny)->users = 0;
    const HwptState* const hwpt = FindHwpt(id);
    // Its number is given up, its memory is not: the address space that it was of is gone.
    if (hwpt != nullptr && FindIoas(hwpt->ioas) == nullptr) objects().Remove(id);
  }
  for (uint32_t id = table.Next(1); id != 0; id = table.Next(id + 1)) {
    if (const HwptState* const hwpt = FindHwpt(id)) AddUser(hwpt->ioas);
    DeviceObject* const device = FindDevice(id);
    if (device == nullptr) continue;
    if (FindHwpt(device->hwpt) == nullptr) device->hwpt = 0;
    AddUser(id);  // its file's
    if (device->hwpt == 0) continue;
    AddUser(id);
    AddUser(device->hwpt);
  }
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
  // Page tables before the address spaces that they belong to.
  for (const ObjectKind kind :
       {ObjectKind::kMock, ObjectKind::kDevice, ObjectKind::kHwptPaging, ObjectKind::kIoas}) {
    for (uint32_t id = objects().Next(1); id != 0; id = objects().Next(id + 1)) {
      if (const Object* const object = objects().Find(id, kind)) DestroyObject(id, *object);
    }
  }
  objects().Clear();
  state_.vfio_ioas = 0;
}

void Context::DestroyObject(uint32_t id, const Object& object) {
  ioas::Arena arena = host_.arena();
  const ObjectKind kind = object.kind;
  const uint32_t unit = object.unit;
  if (kind == ObjectKind::kHwptPaging) {
    const HwptState& hwpt = *FindHwpt(id);
    AddressSpace space = SpaceOfHwpt(hwpt);
    {
      const AddressSpace::Lock lock(space);
      space.RemoveDomain(id);
    }
    DropUser(hwpt.ioas);
  }
  objects().Remove(id);
  switch (kind) {
    case ObjectKind::kIoas: {
      if (state_.vfio_ioas == id) state_.vfio_ioas = 0;
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
      arena.Delete(ArenaRef<HwptState>{unit});
      break;
    case ObjectKind::kDevice:
      arena.Delete(ArenaRef<DeviceObject>{unit});
      break;
    case ObjectKind::kMock:
      mock_devices->destroy(*this, unit);
      break;
    case ObjectKind::kNone:
    case ObjectKind::kAny:
      break;
  }
}

}  // namespace compat::native
