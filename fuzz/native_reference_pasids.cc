// PASIDs of devices. The rules are those of Documentation/userspace-api/iommufd.rst (PASID) and of
// IOMMU_HWPT_ALLOC_PASID in include/uapi/linux/iommufd.h.
#include <algorithm>
#include <cerrno>

#include "fuzz/native_reference.h"

namespace fuzz {
namespace {

constexpr uint32_t kBits[NativeReference::kDevices] = {0, 0, 0, 20, 4, 20};
// Looks attached to the kernel, whatever is.
constexpr auto kLooksAttached = static_cast<uint32_t>(-EINVAL);

}  // namespace

uint32_t NativeReference::PasidBits(uint32_t device_id) const {
  return kBits[objects_.at(device_id).device];
}

bool NativeReference::HasPasids(uint32_t device) const {
  return std::any_of(objects_.begin(), objects_.end(), [&](const auto& each) {
    return !each.second.pasids.empty() && GroupOf(each.second.device) == GroupOf(device);
  });
}

uint32_t NativeReference::TableOfPasid(uint32_t device, uint32_t pasid) const {
  for (const auto& [id, object] : objects_) {
    const auto found = object.pasids.find(pasid);
    if (found != object.pasids.end() && GroupOf(object.device) == GroupOf(device)) {
      return found->second;
    }
  }
  return 0;
}

// What something can be attached to.
long NativeReference::CheckKind(uint32_t table) const {
  const auto found = objects_.find(table);
  if (found == objects_.end() || found->second.kind == ReferenceKind::kTombstone) return -ENOENT;
  const ReferenceKind kind = found->second.kind;
  const bool is_right = kind == ReferenceKind::kIoas || kind == ReferenceKind::kHwpt ||
                        kind == ReferenceKind::kNested;
  return is_right ? 0 : -EINVAL;
}

long NativeReference::CheckPasid(uint32_t device, uint32_t pasid, uint32_t hwpt) const {
  if (!objects_.at(hwpt).is_for_pasids) return -EINVAL;
  const uint32_t own = TableOfGroup(device);
  if (own != 0 && !objects_.at(own).is_for_pasids) return -EINVAL;
  if (pasid >= 1u << 20) return -EINVAL;
  for (uint32_t other = 0; other < kDevices; ++other) {
    const bool is_too_large = kBits[other] != 0 && pasid >= 1u << kBits[other];
    if (GroupOf(other) == GroupOf(device) && is_too_large) return -EINVAL;
  }
  return 0;
}

long NativeReference::ReplacePasid(uint32_t id, uint32_t pasid, uint32_t table) {
  if (Find(table, ReferenceKind::kIoas) != nullptr) {
    // A page table is made, which is not for PASIDs.
    uint32_t made = 0;
    if (const long added = AddDomain(table, made); added != 0) return added;
    objects_.erase(made);
    return -EINVAL;
  }
  const uint32_t device = objects_.at(id).device;
  if (objects_.at(id).pasids.count(pasid) == 0) return -EINVAL;
  if (objects_.at(id).pasids.at(pasid) == table) return 0;
  if (const long wrong = CheckPasid(device, pasid, table); wrong != 0) return wrong;
  for (auto& [other, object] : objects_) {
    const bool is_there = object.pasids.count(pasid) != 0;
    if (is_there && GroupOf(object.device) == GroupOf(device)) object.pasids[pasid] = table;
  }
  return 0;
}

long NativeReference::AttachPasid(uint32_t device, uint32_t pasid, uint32_t& table) {
  const uint32_t id = bound_[device];
  if (id == 0) return -EINVAL;
  ReferenceObject& object = objects_.at(id);
  const bool is_attached = object.pasids.count(pasid) != 0 || pasid == kLooksAttached;
  if (!is_attached && pasid > INT32_MAX) return -ENOSPC;
  if (const long wrong = CheckKind(table); wrong != 0) return wrong;
  if (pasid == 0) {
    if (object.hwpt != 0 && !object.is_pasid_zero) return -EBUSY;
    const long attached = AttachDevice(id, table);
    object.is_pasid_zero |= attached == 0;
    return attached;
  }
  if (is_attached) return ReplacePasid(id, pasid, table);
  const uint32_t current = TableOfPasid(device, pasid);
  if (Find(table, ReferenceKind::kIoas) != nullptr) return -EINVAL;
  if (current != 0 && current != table) return -EINVAL;
  if (current == 0) {
    if (const long wrong = CheckPasid(device, pasid, table); wrong != 0) return wrong;
  }
  object.pasids[pasid] = table;
  return 0;
}

long NativeReference::DetachPasid(uint32_t device, uint32_t pasid) {
  const uint32_t id = bound_[device];
  if (id == 0) return -EINVAL;
  objects_.at(id).pasids.erase(pasid);
  if (pasid == 0 && objects_.at(id).is_pasid_zero) DetachDevice(id);
  return 0;
}

}  // namespace fuzz
