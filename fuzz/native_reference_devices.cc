// Devices and page tables.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "fuzz/native_reference.h"

namespace fuzz {
namespace {

// Whether something in the address space keeps the range from being reserved.
bool IsInTheWay(const ReferenceObject& ioas, const ReferenceRange& range) {
  for (const auto& [first, mapping] : ioas.mappings) {
    if (range.Meets({first, mapping.last})) return true;
  }
  return std::any_of(ioas.allowed.begin(), ioas.allowed.end(),
                     [&](const ReferenceRange& allowed) { return range.Meets(allowed); });
}

}  // namespace

uint32_t GroupOf(uint32_t device) {
  if (device == 0) return 0;
  return device == 3 || device == 4 ? 2 : 1;
}

long NativeReference::AddDomain(uint32_t ioas, uint32_t& id) {
  const ReferenceObject& object = objects_.at(ioas);
  if (Domains(ioas) == 0) {
    for (const auto& [first, mapping] : object.mappings) {
      if (((first | (mapping.last + 1) | mapping.address) & (kPage - 1)) != 0) return -EADDRINUSE;
    }
  }
  if (IsInTheWay(object, kBeyond)) return -EADDRINUSE;
  if (Domains(ioas) == 0) {
    for (const auto& [first, mapping] : object.mappings) {
      if (const long missing = Missing(mapping, first); missing != 0) return missing;
    }
  }
  id = Add({.kind = ReferenceKind::kHwpt, .mappings = {}, .allowed = {}, .ioas = ioas});
  return 0;
}

long NativeReference::NewHwpt(uint32_t device_id, uint32_t ioas, uint32_t flags, uint32_t& id) {
  if (Find(device_id, ReferenceKind::kDevice) == nullptr) return -ENOENT;
  if (Find(ioas, ReferenceKind::kHwpt) != nullptr) return -EOPNOTSUPP;
  if (Find(ioas, ReferenceKind::kViommu) != nullptr) return -EOPNOTSUPP;
  if (Find(ioas, ReferenceKind::kIoas) == nullptr) return -EINVAL;
  // To be a parent (1), to be tracked, with a queue of page requests (4), and for PASIDs.
  if (flags > 15 || (flags & 5) == 5) return -EOPNOTSUPP;
  const long added = AddDomain(ioas, id);
  if (added == 0 && (flags & 4) != 0) {
    // No queue is there.
    objects_.erase(id);
    return -ENOENT;
  }
  if (added == 0) {
    objects_.at(id).has_dirty_tracking = (flags & 2) != 0;
    objects_.at(id).is_parent = (flags & 1) != 0;
    objects_.at(id).is_for_pasids = (flags & 8) != 0;
  }
  return added;
}

long NativeReference::SetDirtyTracking(uint32_t hwpt, uint32_t flags) {
  if (flags > 1) return -EOPNOTSUPP;
  const ReferenceObject* const object = Find(hwpt, ReferenceKind::kHwpt);
  if (object == nullptr) return -ENOENT;
  return object->has_dirty_tracking ? 0 : -EOPNOTSUPP;
}

long NativeReference::GetDirtyBitmap(uint32_t hwpt, uint32_t flags, uint64_t iova, uint64_t length,
                                     uint64_t page_size) {
  if (flags > 1) return -EOPNOTSUPP;
  const ReferenceObject* const object = Find(hwpt, ReferenceKind::kHwpt);
  if (object == nullptr) return -ENOENT;
  if (length == 0) return -EINVAL;
  if (iova + (length - 1) < iova) return -EOVERFLOW;
  if (page_size == 0) return -EINVAL;
  for (const uint64_t page : {kPage, page_size}) {
    if ((iova & (page - 1)) != 0 || ((iova + length) & (page - 1)) != 0) return -EINVAL;
  }
  return object->has_dirty_tracking ? 0 : -EOPNOTSUPP;
}

long NativeReference::GetHwInfo(uint32_t device_id) {
  return Find(device_id, ReferenceKind::kDevice) != nullptr ? 0 : -ENOENT;
}

long NativeReference::NewNested(uint32_t device_id, uint32_t on, bool is_for_pasids, uint32_t& id) {
  if (Find(device_id, ReferenceKind::kDevice) == nullptr) return -ENOENT;
  if (Find(on, ReferenceKind::kIoas) != nullptr) return -EOPNOTSUPP;
  const ReferenceObject* const viommu = Find(on, ReferenceKind::kViommu);
  const ReferenceObject* const hwpt =
      Find(viommu != nullptr ? viommu->parent : on, ReferenceKind::kHwpt);
  if (hwpt == nullptr || hwpt->is_auto || !hwpt->is_parent) return -EINVAL;
  ReferenceObject nested = {};
  nested.kind = ReferenceKind::kNested;
  nested.ioas = hwpt->ioas;
  nested.parent = on;
  nested.is_for_pasids = is_for_pasids;
  id = Add(nested);
  return 0;
}

long NativeReference::NewViommu(uint32_t device_id, uint32_t hwpt, uint32_t& id) {
  if (Find(device_id, ReferenceKind::kDevice) == nullptr) return -ENOENT;
  const ReferenceObject* const parent = Find(hwpt, ReferenceKind::kHwpt);
  if (parent == nullptr) return -ENOENT;
  if (!parent->is_parent) return -EINVAL;
  ReferenceObject viommu = {};
  viommu.kind = ReferenceKind::kViommu;
  viommu.parent = hwpt;
  id = Add(viommu);
  return 0;
}

long NativeReference::NewVdevice(uint32_t viommu, uint32_t device_id, uint64_t virtual_id,
                                 uint32_t& id) {
  if (Find(viommu, ReferenceKind::kViommu) == nullptr) return -ENOENT;
  if (Find(device_id, ReferenceKind::kDevice) == nullptr) return -ENOENT;
  for (const auto& [other, object] : objects_) {
    if (object.kind != ReferenceKind::kVdevice) continue;
    const bool is_taken = object.parent == viommu && object.virtual_id == virtual_id;
    if (object.device == device_id || is_taken) return -EEXIST;
  }
  ReferenceObject vdevice = {};
  vdevice.kind = ReferenceKind::kVdevice;
  vdevice.parent = viommu;
  vdevice.device = device_id;
  vdevice.virtual_id = virtual_id;
  id = Add(vdevice);
  return 0;
}

long NativeReference::Bind(uint32_t device, uint32_t& id) {
  if (bound_[device] != 0) return -EINVAL;
  id = Add({.kind = ReferenceKind::kDevice,
            .mappings = {},
            .allowed = {},
            .ioas = 0,
            .is_auto = false,
            .device = device});
  bound_[device] = id;
  return 0;
}

void NativeReference::Unbind(uint32_t device) {
  if (bound_[device] == 0) return;
  objects_.at(bound_[device]).pasids.clear();
  DetachDevice(bound_[device]);
  for (auto& [id, object] : objects_) {
    if (object.kind != ReferenceKind::kVdevice || object.device != bound_[device]) continue;
    object = {};
    object.kind = ReferenceKind::kTombstone;
  }
  objects_.erase(bound_[device]);
  bound_[device] = 0;
}

uint32_t NativeReference::TableOfGroup(uint32_t device) const {
  for (const auto& [id, object] : objects_) {
    if (object.kind == ReferenceKind::kDevice && object.hwpt != 0 &&
        GroupOf(object.device) == GroupOf(device)) {
      return object.hwpt;
    }
  }
  return 0;
}

long NativeReference::ReserveFor(uint32_t hwpt) const {
  return IsInTheWay(objects_.at(objects_.at(hwpt).ioas), kInterrupts) ? -EADDRINUSE : 0;
}

long NativeReference::AttachFirst(uint32_t id, uint32_t hwpt) {
  const uint32_t current = TableOfGroup(objects_.at(id).device);
  if (current != 0 && current != hwpt) return -EINVAL;
  if (const long reserved = ReserveFor(hwpt); reserved != 0) return reserved;
  const bool is_wrong = HasPasids(objects_.at(id).device) && !objects_.at(hwpt).is_for_pasids;
  if (current == 0 && is_wrong) return -EINVAL;
  objects_.at(id).hwpt = hwpt;
  return 0;
}

long NativeReference::Replace(uint32_t id, uint32_t hwpt) {
  const uint32_t old = objects_.at(id).hwpt;
  if (old == hwpt) return 0;
  if (objects_.at(old).ioas != objects_.at(hwpt).ioas) {
    if (const long reserved = ReserveFor(hwpt); reserved != 0) return reserved;
  }
  const uint32_t device = objects_.at(id).device;
  if (HasPasids(device) && !objects_.at(hwpt).is_for_pasids) return -EINVAL;
  for (auto& [other, object] : objects_) {
    if (object.kind == ReferenceKind::kDevice && object.hwpt != 0 &&
        GroupOf(object.device) == GroupOf(device)) {
      object.hwpt = hwpt;
    }
  }
  if (objects_.at(old).is_auto && Users(old) == 0) objects_.erase(old);
  return 0;
}

long NativeReference::ChangeTable(uint32_t id, uint32_t hwpt) {
  return objects_.at(id).hwpt == 0 ? AttachFirst(id, hwpt) : Replace(id, hwpt);
}

long NativeReference::Attach(uint32_t device, uint32_t& table) {
  const uint32_t id = bound_[device];
  if (id == 0) return -EINVAL;
  if (const long wrong = CheckKind(table); wrong != 0) return wrong;
  if (objects_.at(id).is_pasid_zero) return -EBUSY;
  return AttachDevice(id, table);
}

long NativeReference::AttachDevice(uint32_t id, uint32_t& table) {
  const uint32_t device = objects_.at(id).device;
  if (Find(table, ReferenceKind::kIoas) == nullptr) return ChangeTable(id, table);
  for (const auto& [other, object] : objects_) {
    if (object.kind != ReferenceKind::kHwpt || !object.is_auto || object.ioas != table) continue;
    const uint32_t hwpt = other;
    const long changed = ChangeTable(id, hwpt);
    if (changed == -EINVAL) continue;
    if (changed == 0) table = hwpt;
    return changed;
  }
  if (objects_.at(id).hwpt == 0) {
    // The kernel attaches before it carries out what is mapped.
    if (TableOfGroup(device) != 0) return -EINVAL;
    if (IsInTheWay(objects_.at(table), kInterrupts)) return -EADDRINUSE;
    if (HasPasids(device)) return -EINVAL;
  }
  uint32_t made = 0;
  if (const long added = AddDomain(table, made); added != 0) return added;
  if (const long changed = ChangeTable(id, made); changed != 0) {
    objects_.erase(made);
    return changed;
  }
  objects_.at(made).is_auto = true;
  table = made;
  return 0;
}

long NativeReference::Detach(uint32_t device) {
  const uint32_t id = bound_[device];
  if (id == 0) return -EINVAL;
  if (!objects_.at(id).is_pasid_zero) DetachDevice(id);
  return 0;
}

void NativeReference::DetachDevice(uint32_t id) {
  objects_.at(id).is_pasid_zero = false;
  const uint32_t hwpt = std::exchange(objects_.at(id).hwpt, 0);
  if (hwpt != 0 && objects_.at(hwpt).is_auto && Users(hwpt) == 0) objects_.erase(hwpt);
}

}  // namespace fuzz
