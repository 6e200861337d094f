// Legacy container calls on /dev/iommu. Behaviour: drivers/iommu/iommufd/vfio_compat.c.
#include <algorithm>
#include <cerrno>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/native/calls.h"

namespace compat::native {

using ioas::AddressSpace;
using ioas::Error;
using ioas::Mapping;
using ioas::Result;
using ioas::Status;

namespace {

constexpr uint64_t kPageSize = 4096;
constexpr Error kNoSpace = {ENODEV, "legacy calls have no address space"};

// The compatibility address space, with its lock, for as long as this lives.
class LegacySpace {
 public:
  explicit LegacySpace(const Caller& caller) : context_(caller) {
    const IoasState* const ioas = context_.FindIoas(context_.state().vfio_ioas);
    if (ioas == nullptr) return;
    space_.emplace(context_.SpaceOf(*ioas));
    lock_.emplace(*space_);
  }
  explicit operator bool() const { return space_.has_value(); }
  AddressSpace& operator*() { return *space_; }
  AddressSpace* operator->() { return &*space_; }

 private:
  Context context_;
  std::optional<AddressSpace> space_;
  std::optional<AddressSpace::Lock> lock_;
};

Result<long> CheckExtension(const Caller& caller, uint64_t extension) {
  switch (extension) {
    case abi::kType1Iommu:
    case abi::kType1v2Iommu:
    case abi::kUnmapAll:
      return 1L;
    case abi::kDmaCcIommu: {
      LegacySpace space(caller);
      if (!space) return kNoSpace;
      // No page table keeps devices from going past the caches; without any, all of none do.
      return space->state().domain_count == 0 ? 1L : 0L;
    }
    default:
      return 0L;
  }
}

Result<long> SetIommu(const Caller& caller, uint64_t type) {
  if (type != abi::kType1Iommu && type != abi::kType1v2Iommu) {
    return Error{EINVAL, "the kernel's compatibility code has type 1 only"};
  }
  LegacySpace space(caller);
  if (!space) return kNoSpace;
  if (type == abi::kType1Iommu) IOAS_RETURN_IF_ERROR(space->SetSmallPagesOnly(true));
  return 0L;
}

Result<long> MapDma(const Caller& caller, const decode::DecodedCall& call) {
  const auto map = call.CopyIn<abi::DmaMap>();
  if (!map.ok()) return map.error();
  const Result<uint32_t> process = caller.host.OwnProcess();
  if (!process.ok()) return process.error();
  const bool writable = (map->flags & abi::kDmaMapFlagWrite) != 0;
  const uint32_t readable = (map->flags & abi::kDmaMapFlagRead) != 0 ? ioas::kAccessRead : 0u;
  LegacySpace space(caller);
  if (!space) return kNoSpace;
  IOAS_RETURN_IF_ERROR(CheckMemory(map->vaddr, map->size));
  Mapping piece = {
      .first = map->iova,
      .last = map->iova + (map->size - 1),
      .user_address = map->vaddr,
      .owner = *process,
      .flags = readable | (writable ? ioas::kAccessWrite | ioas::kMayPermitWriting : 0u)};
  IOAS_RETURN_IF_ERROR(CheckLength(*space, map->size));
  IOAS_RETURN_IF_ERROR(space->CheckRoom(map->iova, map->size));
  IOAS_RETURN_IF_ERROR(space->MapAll({&piece, 1}));
  return 0L;
}

// Unmaps what `unmap` says, and writes there how much that was.
Status Unmap(AddressSpace& space, abi::DmaUnmap& unmap) {
  const uint64_t size = unmap.size;
  unmap.size = 0;
  if ((unmap.flags & abi::kDmaUnmapFlagAll) != 0) {
    return space.UnmapWhole({0, UINT64_MAX}, unmap.size);
  }
  const Result<ioas::IovaRange> range = RangeOf(unmap.iova, size);
  return range.ok() ? space.UnmapWhole(*range, unmap.size) : range.error();
}

Result<long> UnmapDma(const Caller& caller, const decode::DecodedCall& call) {
  auto unmap = call.CopyIn<abi::DmaUnmap>();
  if (!unmap.ok()) return unmap.error();
  Status status;
  {
    LegacySpace space(caller);
    if (!space) return kNoSpace;
    const bool is_all = (unmap->flags & abi::kDmaUnmapFlagAll) != 0;
    if (is_all && (unmap->iova != 0 || unmap->size != 0)) {
      return Error{EINVAL, "all is without a range"};
    }
    if (!is_all && space->state().small_pages_only != 0) {
      IOAS_RETURN_IF_ERROR(space->CutAt(unmap->iova + unmap->size - 1));
      if (unmap->iova != 0) IOAS_RETURN_IF_ERROR(space->CutAt(unmap->iova - 1));
    }
    status = Unmap(*space, *unmap);
  }
  IOAS_RETURN_IF_ERROR(call.CopyOut(*unmap));
  if (!status.ok()) return status.error();
  return 0L;
}

// Capabilities as they are written behind the structure, as far as the caller has room.
class Capabilities {
 public:
  Capabilities(const decode::DecodedCall& call, uint32_t argsz) : call_(call), argsz_(argsz) {}

  // Adds one of `size` bytes, of which `write(address, room)` writes what fits.
  template <typename Write>
  Status Add(size_t size, Write write) {
    const uint32_t at = total_;
    if (last_ != 0 && argsz_ >= at) {
      IOAS_RETURN_IF_ERROR(decode::Write(
          *call_.memory, call_.argument + last_ + offsetof(abi::InfoCapHeader, next), at));
    }
    const size_t room = argsz_ > at ? argsz_ - at : 0;
    IOAS_RETURN_IF_ERROR(write(call_.argument + at, room));
    last_ = at;
    total_ += static_cast<uint32_t>((size + 7) & ~size_t{7});
    return {};
  }
  uint32_t total() const { return total_; }

 private:
  const decode::DecodedCall& call_;
  uint32_t argsz_;
  uint32_t last_ = 0;
  uint32_t total_ = sizeof(abi::Type1Info);
};

Status AddDmaAvail(const decode::DecodedCall& call, Capabilities& capabilities) {
  const abi::Type1InfoDmaAvail avail = {
      .header = {.id = abi::kIommuType1InfoDmaAvail, .version = 1, .next = 0}, .avail = UINT32_MAX};
  return capabilities.Add(sizeof(avail), [&](uint64_t address, size_t room) {
    return room >= sizeof(avail) ? decode::Write(*call.memory, address, avail) : Status();
  });
}

Status AddRanges(const decode::DecodedCall& call, const ioas::AddressSpaceState& state,
                 Capabilities& capabilities) {
  constexpr size_t kHeader = sizeof(abi::Type1InfoCapIovaRange);
  const uint32_t count = state.unreserved_count;
  const size_t size = kHeader + count * sizeof(abi::IovaRange);
  return capabilities.Add(size, [&](uint64_t address, size_t room) -> Status {
    for (uint32_t i = 0; i < count && room >= kHeader + (i + 1) * sizeof(abi::IovaRange); ++i) {
      const abi::IovaRange range = {state.unreserved[i].first, state.unreserved[i].last};
      IOAS_RETURN_IF_ERROR(
          decode::Write(*call.memory, address + kHeader + i * sizeof(range), range));
    }
    if (room < size) return {};
    const abi::Type1InfoCapIovaRange header = {
        .header = {.id = abi::kIommuType1InfoCapIovaRange, .version = 1, .next = 0},
        .nr_iovas = count,
        .reserved = 0};
    return decode::Write(*call.memory, address, header);
  });
}

// As vfio_update_pgsize_bitmap() in vfio_iommu_type1.c: what is smaller than the processor's page
// is not told.
uint64_t PageSizes(const AddressSpace& space) {
  uint64_t sizes = space.state().page_sizes;
  if (space.state().domain_count == 0) sizes = UINT64_MAX;
  if ((sizes & (kPageSize - 1)) != 0) sizes = (sizes & -kPageSize) | kPageSize;
  return std::max(sizes, space.page_size());
}

Result<long> GetInfo(const Caller& caller, const decode::DecodedCall& call) {
  auto info = call.CopyIn<abi::Type1Info>();
  if (!info.ok()) return info.error();
  const uint32_t argsz = info->argsz;
  LegacySpace space(caller);
  if (!space) return kNoSpace;
  Capabilities capabilities(call, argsz);
  IOAS_RETURN_IF_ERROR(AddDmaAvail(call, capabilities));
  IOAS_RETURN_IF_ERROR(AddRanges(call, space->state(), capabilities));
  info->flags = abi::kIommuInfoPgsizes | abi::kIommuInfoCaps;
  info->iova_pgsizes = PageSizes(*space);
  info->cap_offset = argsz >= capabilities.total() ? sizeof(abi::Type1Info) : 0;
  info->argsz = capabilities.total();
  info->pad = 0;
  IOAS_RETURN_IF_ERROR(call.CopyOut(*info, std::min<size_t>(argsz, sizeof(*info))));
  return 0L;
}

}  // namespace

Result<long> LegacyCall(const Caller& caller, const decode::DecodedCall& call) {
  switch (call.row->call) {
    case decode::Call::kGetApiVersion:
      return 0L;
    case decode::Call::kCheckExtension:
      return CheckExtension(caller, call.argument);
    case decode::Call::kSetIommu:
      return SetIommu(caller, call.argument);
    case decode::Call::kIommuGetInfo:
      return GetInfo(caller, call);
    case decode::Call::kIommuMapDma:
      return MapDma(caller, call);
    case decode::Call::kIommuUnmapDma:
      return UnmapDma(caller, call);
    default:
      return Error{ENOTTY, "/dev/iommu has no such call"};
  }
}

}  // namespace compat::native
