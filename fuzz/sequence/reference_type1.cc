// What containers of type 1 answer: drivers/vfio/vfio_iommu_type1.c as programs see it.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <iterator>

#include "compat/abi/vfio_container.h"
#include "fuzz/sequence/reference.h"

namespace fuzz::sequence {
namespace {

namespace abi = compat::abi;

using Mappings = std::map<uint64_t, ReferenceMapping>;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kPageSizes = 0x40201000;
constexpr uint32_t kMappingLimit = 65535;
constexpr uint64_t kMaxBitmapBytes = 1 << 28;
constexpr abi::IovaRange kUsable[] = {{0, 0xfedf'ffff}, {0xfef0'0000, 0x7f'ffff'ffff}};

// The first mapping that has anything in common with [iova, last].
Mappings::iterator FirstTouching(Mappings& mappings, uint64_t iova, uint64_t last) {
  auto found = mappings.upper_bound(iova);
  if (found != mappings.begin()) {
    const auto before = std::prev(found);
    if (iova - before->first < before->second.size) return before;
  }
  return found != mappings.end() && found->first <= last ? found : mappings.end();
}

// Whether a mapping lies on both sides of an end of the range.
bool IsCut(Mappings& mappings, uint64_t iova, uint64_t last) {
  const auto first = FirstTouching(mappings, iova, iova);
  if (first != mappings.end() && first->first != iova) return true;
  const auto end = FirstTouching(mappings, last, last);
  return end != mappings.end() && end->first + end->second.size - 1 != last;
}

// The kernel's own arithmetic, on words: a mapping's bits, all of which are set, are moved in place
// to where they lie in the caller's words and stay there, even if these turn out not to be there.
long CopyBitmap(ReferenceMapping& mapping, uint64_t offset, std::vector<uint64_t>& out) {
  const uint64_t pages = mapping.size / kPage;
  const uint64_t shift = offset % 64;
  std::vector<uint64_t>& words = mapping.dirty;
  for (uint64_t i = 0; i < pages; ++i) words[i / 64] |= uint64_t{1} << i % 64;
  const uint64_t count = (pages + shift + 63) / 64;
  for (uint64_t k = shift != 0 ? count : 0; k-- > 0;) {
    words[k] = words[k] << shift | (k > 0 ? words[k - 1] >> (64 - shift) : 0);
  }
  if (out.empty()) return -EFAULT;
  if (shift != 0) words[0] |= out[offset / 64];
  std::copy_n(words.begin(), count, out.begin() + static_cast<ptrdiff_t>(offset / 64));
  return 0;
}

// Afterwards the mapping's own bits are clear, and what was moved behind them is not.
void ClearBitmap(ReferenceMapping& mapping) {
  for (uint64_t i = 0; i < mapping.size / kPage; ++i) {
    mapping.dirty[i / 64] &= ~(uint64_t{1} << i % 64);
  }
}

void AddBitmap(ReferenceMapping& mapping) {
  mapping.dirty.assign((mapping.size / kPage + 63) / 64 + 1, 0);
}

long CheckBitmap(const abi::Bitmap& bitmap, uint64_t size) {
  constexpr uint64_t kUserEnd = uint64_t{1} << 47;
  if (bitmap.data >= kUserEnd || bitmap.size > kUserEnd - bitmap.data) return -EINVAL;
  const uint64_t pages = size >> std::countr_zero(bitmap.pgsize);
  const uint64_t bytes = (pages + 63) / 64 * 8;
  const bool fits = pages != 0 && bitmap.size != 0 && bitmap.size <= kMaxBitmapBytes;
  return fits && bitmap.size >= bytes ? 0 : -EINVAL;
}

}  // namespace

long Reference::Type1Call(ReferenceContainer& container, Request& request) {
  const bool is_dirty_call = request.number == 17;
  if (is_dirty_call && container.type == kType1V1) return -EACCES;
  const bool is_known = (request.number >= 12 && request.number <= 14) || is_dirty_call;
  if (!is_known) return -ENOTTY;
  if (request.structure.empty()) return -EFAULT;
  switch (request.number) {
    case 12:
      return GetInfo(container, request);
    case 13:
      return Map(container, request);
    case 14:
      return Unmap(container, request);
    default:
      return DirtyPages(container, request);
  }
}

long Reference::GetInfo(const ReferenceContainer& container, Request& request) {
  struct {
    abi::Type1Info info;
    abi::Type1InfoCapMigration migration;
    abi::Type1InfoDmaAvail available;
    uint32_t pad;
    abi::Type1InfoCapIovaRange ranges;
    abi::IovaRange range[2];
  } answer = {};
  const auto argsz = request.As<uint32_t>();
  if (argsz < 16) return -EINVAL;
  answer.info = {argsz, abi::kIommuInfoPgsizes | abi::kIommuInfoCaps, kPageSizes, 0, 0};
  answer.migration = {{2, 1, 56}, 0, 0, kPage, kMaxBitmapBytes};
  const auto mappings = static_cast<uint32_t>(container.mappings.size());
  answer.available = {{3, 1, 72}, kMappingLimit - mappings};
  answer.ranges = {{1, 1, 0}, 2, 0};
  std::copy(std::begin(kUsable), std::end(kUsable), answer.range);
  static_assert(sizeof(answer) == 120);
  if (argsz < sizeof(answer)) {
    answer.info.argsz = sizeof(answer);
    request.Put(answer, std::min<size_t>(argsz, sizeof(answer.info)));
    return 0;
  }
  answer.info.cap_offset = sizeof(answer.info);
  request.Put(answer);
  return 0;
}

long Reference::Map(ReferenceContainer& container, const Request& request) {
  const auto map = request.As<abi::DmaMap>();
  if (map.argsz < sizeof(map) || (map.flags & ~7u) != 0) return -EINVAL;
  const uint32_t access = map.flags & 3;
  const bool gives_address = (map.flags & abi::kDmaMapFlagVaddr) != 0;
  if (gives_address == (access != 0)) return -EINVAL;
  if (map.size == 0 || ((map.size | map.iova | map.vaddr) & (kPage - 1)) != 0) return -EINVAL;
  const uint64_t last = map.iova + map.size - 1;
  if (last < map.iova || map.vaddr + map.size - 1 < map.vaddr) return -EINVAL;
  Mappings& mappings = container.mappings;
  const auto there = FirstTouching(mappings, map.iova, last);
  if (gives_address) {
    if (there == mappings.end()) return -ENOENT;
    ReferenceMapping& mapping = there->second;
    if (!mapping.has_lost_address || there->first != map.iova || mapping.size != map.size) {
      return -EINVAL;
    }
    mapping.address = map.vaddr;
    mapping.has_lost_address = false;
    return 0;
  }
  if (there != mappings.end()) return -EEXIST;
  const bool is_usable = std::any_of(
      std::begin(kUsable), std::end(kUsable),
      [&](const abi::IovaRange& range) { return range.start <= map.iova && last <= range.end; });
  if (!is_usable) return -EINVAL;
  const bool writes = (access & abi::kDmaMapFlagWrite) != 0;
  if (!Memory::Of().Contains(map.vaddr, map.size, writes)) return -EFAULT;
  ReferenceMapping& mapping = mappings[map.iova] = {map.size, map.vaddr, access, false, {}};
  if (container.is_tracking) AddBitmap(mapping);
  return 0;
}

long Reference::Unmap(ReferenceContainer& container, Request& request) {
  const auto unmap = request.As<abi::DmaUnmap>();
  if (unmap.argsz < sizeof(unmap) || (unmap.flags & ~7u) != 0) return -EINVAL;
  const bool wants_bitmap = (unmap.flags & abi::kDmaUnmapFlagGetDirtyBitmap) != 0;
  if (!wants_bitmap) return UnmapRange(container, request);
  if (unmap.flags != abi::kDmaUnmapFlagGetDirtyBitmap) return -EINVAL;
  if (unmap.argsz < sizeof(unmap) + sizeof(abi::Bitmap)) return -EINVAL;
  if (request.structure.size() < sizeof(unmap) + sizeof(abi::Bitmap)) return -EFAULT;
  abi::Bitmap bitmap;
  std::memcpy(&bitmap, request.structure.data() + sizeof(unmap), sizeof(bitmap));
  if (const long wrong = CheckBitmap(bitmap, unmap.size); wrong != 0) return wrong;
  if (!container.is_tracking || bitmap.pgsize != kPage) return -EINVAL;
  return UnmapRange(container, request);
}

long Reference::UnmapRange(ReferenceContainer& container, Request& request) {
  auto unmap = request.As<abi::DmaUnmap>();
  const bool all = (unmap.flags & abi::kDmaUnmapFlagAll) != 0;
  const bool wants_bitmap = (unmap.flags & abi::kDmaUnmapFlagGetDirtyBitmap) != 0;
  if (unmap.iova % kPage != 0) return -EINVAL;
  if (all ? (unmap.iova | unmap.size) != 0 : unmap.size == 0 || unmap.size % kPage != 0) {
    return -EINVAL;
  }
  const uint64_t last = all ? ~uint64_t{0} : unmap.iova + unmap.size - 1;
  if (last < unmap.iova) return -EINVAL;
  Mappings& mappings = container.mappings;
  if (container.type == kType1V2 && !all && IsCut(mappings, unmap.iova, last)) return -EINVAL;
  std::vector<uint64_t> found;
  uint64_t size = 0;
  for (auto at = FirstTouching(mappings, unmap.iova, last);
       at != mappings.end() && at->first <= last; ++at) {
    // Version 1 stops where a mapping begins before the range.
    if (container.type == kType1V1 && at->first < unmap.iova) break;
    if ((unmap.flags & abi::kDmaUnmapFlagVaddr) != 0 && at->second.has_lost_address) return -EINVAL;
    found.push_back(at->first);
    size += at->second.size;
  }
  for (const uint64_t iova : found) {
    if ((unmap.flags & abi::kDmaUnmapFlagVaddr) != 0) {
      mappings.at(iova).has_lost_address = true;
      continue;
    }
    if (wants_bitmap &&
        CopyBitmap(mappings.at(iova), (iova - unmap.iova) / kPage, request.bitmap) != 0) {
      return -EFAULT;
    }
    mappings.erase(iova);
  }
  unmap.size = size;
  request.Put(unmap);
  return 0;
}

long Reference::DirtyPages(ReferenceContainer& container, Request& request) {
  const auto dirty = request.As<abi::DirtyBitmap>();
  if (dirty.argsz < sizeof(dirty) || (dirty.flags & ~7u) != 0) return -EINVAL;
  if (std::popcount(dirty.flags) != 1) return -EINVAL;
  if (dirty.flags == abi::kIommuDirtyPagesFlagGetBitmap) return DirtyGet(container, request);
  const bool start = dirty.flags == abi::kIommuDirtyPagesFlagStart;
  if (start == container.is_tracking) return 0;
  container.is_tracking = start;
  for (auto& [iova, mapping] : container.mappings) {
    mapping.dirty.clear();
    if (start) AddBitmap(mapping);
  }
  return 0;
}

long Reference::DirtyGet(ReferenceContainer& container, Request& request) {
  constexpr size_t kHead = sizeof(abi::DirtyBitmap);
  abi::DirtyBitmapGet get;
  if (request.As<uint32_t>() - kHead < sizeof(get)) return -EINVAL;
  if (request.structure.size() < kHead + sizeof(get)) return -EFAULT;
  std::memcpy(&get, request.structure.data() + kHead, sizeof(get));
  if (get.iova + get.size < get.iova) return -EINVAL;
  if (const long wrong = CheckBitmap(get.bitmap, get.size); wrong != 0) return wrong;
  if (get.bitmap.pgsize != kPage || get.iova % kPage != 0 || get.size % kPage != 0) return -EINVAL;
  if (!container.is_tracking) return -EINVAL;
  const uint64_t last = get.iova + get.size - 1;
  Mappings& mappings = container.mappings;
  if (IsCut(mappings, get.iova, last)) return -EINVAL;
  for (auto at = mappings.lower_bound(get.iova); at != mappings.end() && at->first <= last; ++at) {
    if (CopyBitmap(at->second, (at->first - get.iova) / kPage, request.bitmap) != 0) return -EFAULT;
    ClearBitmap(at->second);
  }
  return 0;
}

}  // namespace fuzz::sequence
