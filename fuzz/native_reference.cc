#include "fuzz/native_reference.h"

#include <algorithm>
#include <cerrno>
#include <utility>

namespace fuzz {

ReferenceObject* NativeReference::Find(uint32_t id, ReferenceKind kind) {
  const auto found = objects_.find(id);
  return found != objects_.end() && found->second.kind == kind ? &found->second : nullptr;
}

uint32_t NativeReference::Add(ReferenceObject object) {
  uint32_t id = 1;
  while (objects_.count(id) != 0) ++id;
  objects_.emplace(id, std::move(object));
  return id;
}

uint32_t NativeReference::NewIoas() {
  return Add({.kind = ReferenceKind::kIoas, .mappings = {}, .allowed = {}});
}

uint32_t NativeReference::Users(uint32_t id) const {
  uint32_t users = 0;
  for (const auto& [other, object] : objects_) {
    if (object.kind == ReferenceKind::kHwpt && object.ioas == id) ++users;
    if (object.parent == id) ++users;
    if (object.kind == ReferenceKind::kDevice && (object.hwpt == id || other == id)) ++users;
    for (const auto& [pasid, hwpt] : object.pasids) {
      if (hwpt == id) ++users;
    }
  }
  return users;
}

long NativeReference::Destroy(uint32_t id) {
  if (objects_.count(id) == 0 || Find(id, ReferenceKind::kTombstone) != nullptr) return -ENOENT;
  if (Users(id) != 0) return -EBUSY;
  objects_.erase(id);
  return 0;
}

uint32_t NativeReference::Domains(uint32_t ioas) const {
  return static_cast<uint32_t>(
      std::count_if(objects_.begin(), objects_.end(), [ioas](const auto& each) {
        return each.second.kind == ReferenceKind::kHwpt && each.second.ioas == ioas;
      }));
}

std::vector<ReferenceRange> NativeReference::Reserved(uint32_t ioas) const {
  std::vector<ReferenceRange> reserved;
  for (const auto& [id, object] : objects_) {
    if (object.kind == ReferenceKind::kHwpt && object.ioas == ioas) reserved.push_back(kBeyond);
    if (object.kind == ReferenceKind::kDevice && object.hwpt != 0 &&
        objects_.at(object.hwpt).ioas == ioas) {
      reserved.push_back(kInterrupts);
    }
  }
  return reserved;
}

bool NativeReference::IsUsable(uint32_t ioas, const ReferenceRange& range) const {
  for (const ReferenceRange& reserved : Reserved(ioas)) {
    if (reserved.Meets(range)) return false;
  }
  return true;
}

long NativeReference::Missing(const ReferenceMapping& mapping, uint64_t first) const {
  const uint64_t last = mapping.address + (mapping.last - first);
  if (mapping.address >= kFile) return last < kFile + kFileSize ? 0 : -EINVAL;
  return mapping.address >= memory_.first && last <= memory_.last ? 0 : -EFAULT;
}

// Pieces are by where they begin in the whole, with `last` likewise.
long NativeReference::Place(uint32_t ioas, uint64_t iova,
                            std::vector<std::pair<uint64_t, ReferenceMapping>> pieces,
                            bool writable) {
  const bool has_domain = Domains(ioas) != 0;
  const uint64_t size = pieces.back().second.last + 1;
  if (has_domain && size % kPage != 0) return -EINVAL;
  if (has_domain && iova % kPage != 0) return -EINVAL;
  const ReferenceRange range = {iova, iova + (size - 1)};
  if (range.last < range.first) return -EOVERFLOW;
  if (!IsUsable(ioas, range)) return -EINVAL;
  auto& mappings = objects_.at(ioas).mappings;
  for (const auto& [first, mapping] : mappings) {
    if (range.Meets({first, mapping.last})) return -EEXIST;
  }
  for (const auto& [offset, piece] : pieces) {
    if (writable && !piece.may_permit_writing) return -EPERM;
    if (has_domain && piece.address % kPage != 0) return -EINVAL;
  }
  for (const auto& [offset, piece] : pieces) {
    const long missing = has_domain ? Missing(piece, offset) : 0;
    if (missing != 0) return missing;
  }
  for (const auto& [offset, piece] : pieces) {
    mappings[iova + offset] = {iova + piece.last, piece.address, piece.may_permit_writing};
  }
  return 0;
}

long NativeReference::Map(uint32_t ioas, uint64_t address, uint64_t length,
                          std::optional<uint64_t> iova, bool writable, uint64_t place) {
  if (iova.value_or(place) == UINT64_MAX || length == UINT64_MAX) return -EOVERFLOW;
  if (Find(ioas, ReferenceKind::kIoas) == nullptr) return -ENOENT;
  if (length == 0 || length > UINT64_MAX - kPage) return -EINVAL;
  if (address + length < address) return -EOVERFLOW;
  return Place(ioas, iova.value_or(place), {{0, {length - 1, address, writable}}}, writable);
}

long NativeReference::Unmap(uint32_t ioas, uint64_t iova, uint64_t length, uint64_t& unmapped) {
  ReferenceObject* const object = Find(ioas, ReferenceKind::kIoas);
  if (object == nullptr) return -ENOENT;
  const bool is_all = iova == 0 && length == UINT64_MAX;
  ReferenceRange range = {0, UINT64_MAX};
  if (!is_all) {
    if (iova == UINT64_MAX || length == UINT64_MAX) return -EOVERFLOW;
    if (length == 0) return -EINVAL;
    range = {iova, iova + (length - 1)};
    if (range.last < range.first) return -EOVERFLOW;
  }
  unmapped = 0;
  for (auto each = object->mappings.begin(); each != object->mappings.end();) {
    const ReferenceRange own = {each->first, each->second.last};
    if (!range.Meets(own)) {
      ++each;
      continue;
    }
    if (own.first < range.first || own.last > range.last) return -ENOENT;
    unmapped += own.last - own.first + 1;
    each = object->mappings.erase(each);
  }
  return unmapped == 0 && !is_all ? -ENOENT : 0;
}

long NativeReference::Copy(uint32_t to, uint32_t from, uint64_t iova, uint64_t length,
                           uint64_t from_iova, bool writable) {
  if (length == UINT64_MAX || iova == UINT64_MAX || from_iova == UINT64_MAX) return -EOVERFLOW;
  ReferenceObject* const source = Find(from, ReferenceKind::kIoas);
  if (source == nullptr) return -ENOENT;
  if (length == 0) return -EINVAL;
  const uint64_t last = from_iova + (length - 1);
  if (last < from_iova) return -EOVERFLOW;
  std::vector<std::pair<uint64_t, ReferenceMapping>> pieces;
  uint64_t next = from_iova;
  for (const auto& [first, mapping] : source->mappings) {
    if (first > next || mapping.last < next) continue;
    const uint64_t end = std::min(mapping.last, last);
    pieces.push_back(
        {next - from_iova,
         {end - from_iova, mapping.address + (next - first), mapping.may_permit_writing}});
    next = end + 1;
    if (end == last) break;
  }
  if (pieces.empty() || pieces.back().second.last != length - 1) return -ENOENT;
  if (Find(to, ReferenceKind::kIoas) == nullptr) return -ENOENT;
  return Place(to, iova, std::move(pieces), writable);
}

long NativeReference::Allow(uint32_t ioas, const std::vector<ReferenceRange>& ranges) {
  ReferenceObject* const object = Find(ioas, ReferenceKind::kIoas);
  if (object == nullptr) return -ENOENT;
  for (size_t i = 0; i < ranges.size(); ++i) {
    if (ranges[i].first >= ranges[i].last) return -EINVAL;
    for (size_t j = 0; j < i; ++j) {
      if (ranges[i].Meets(ranges[j])) return -EINVAL;
    }
  }
  for (const ReferenceRange& range : ranges) {
    if (!IsUsable(ioas, range)) return -EADDRINUSE;
  }
  object->allowed = ranges;
  return 0;
}

}  // namespace fuzz
