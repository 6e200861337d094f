// Devices and page tables.
#include <algorithm>
#include <cerrno>
#include <utility>

#include "fuzz/native_reference.h"

namespace fuzz {
namespace {

constexpr uint64_t kPage = 4096;
constexpr ReferenceRange kInterrupts = {0xfee00000, 0xfeefffff};
constexpr ReferenceRange kBeyond = {0x8000000000, UINT64_MAX};

uint32_t GroupOf(uint32_t device) { return device == 0 ? 0 : 1; }

// Whether something in the address space keeps the range from being reserved.
bool IsInTheWay(const ReferenceObject& ioas, const ReferenceRange& range) {
  for (const auto& [first, mapping] : ioas.mappings) {
    if (range.Meets({first, mapping.last})) return true;
  }
  return std::any_of(ioas.allowed.begin(), ioas.allowed.end(),
                     [&](const ReferenceRange& allowed) { return range.Meets(allowed); });
}

}  // namespace

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
      if (!IsThere(mapping, first)) return -EFAULT;
    }
  }
  id = Add({.kind = ReferenceKind::kHwpt, .mappings = {}, .allowed = {}, .ioas = ioas});
  return 0;
}

long NativeReference::NewHwpt(uint32_t device_id, uint32_t ioas, uint32_t& id) {
  if (Find(device_id, ReferenceKind::kDevice) == nullptr) return -ENOENT;
  if (Find(ioas, ReferenceKind::kHwpt) != nullptr) return -EOPNOTSUPP;
  if (Find(ioas, ReferenceKind::kIoas) == nullptr) return -EINVAL;
  return AddDomain(ioas, id);
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
  Detach(device);
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
  if (Find(table, ReferenceKind::kHwpt) != nullptr) return ChangeTable(id, table);
  if (objects_.count(table) == 0) return -ENOENT;
  if (Find(table, ReferenceKind::kIoas) == nullptr) return -EINVAL;
  for (const auto& [other, object] : objects_) {
    if (object.kind != ReferenceKind::kHwpt || !object.is_auto || object.ioas != table) continue;
    const uint32_t hwpt = other;
    const long changed = ChangeTable(id, hwpt);
    if (changed == -EINVAL) continue;
    if (changed == 0) table = hwpt;
    return changed;
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
  const uint32_t hwpt = std::exchange(objects_.at(id).hwpt, 0);
  if (hwpt != 0 && objects_.at(hwpt).is_auto && Users(hwpt) == 0) objects_.erase(hwpt);
  return 0;
}

}  // namespace fuzz
