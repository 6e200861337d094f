// MAP_DMA and UNMAP_DMA of SPAPR TCE containers.
#include <algorithm>

#include "compat/events/events.h"
#include "ppc/page_release.h"
#include "ppc/spapr_container.h"

namespace ppc {

using compat::decode::DecodedCall;
using compat::session::EventKind;
using ioas::Error;
namespace abi = compat::abi;

namespace {

constexpr Error kNotEnabled = {EPERM, "the container is not enabled, nothing is registered"};

// The hardware has no pages that can be written alone (tce_build of both platforms). 0 if `flags`
// ask for nothing.
uint32_t AccessOf(uint32_t flags) {
  uint32_t access = 0;
  if ((flags & (abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite)) != 0) access |= ioas::kAccessRead;
  if ((flags & abi::kDmaMapFlagWrite) != 0) access |= ioas::kAccessWrite;
  return access;
}

}  // namespace

ioas::Status SpaprContainer::CheckRange(const ioas::WindowState& window, uint64_t iova,
                                        uint64_t size) {
  const uint64_t page_size = uint64_t{1} << window.table.page_shift;
  if (((iova | size) & (page_size - 1)) != 0) {
    return Error{EINVAL, "IOVA and size must be multiples of the window's page size"};
  }
  // The kernel writes on behind the table's end.
  if (size != 0 && window.range.last - iova < size - 1) {
    return Error{EINVAL, "the range runs past the window's end"};
  }
  return {};
}

ioas::Result<uint32_t> SpaprContainer::FindWindow(uint64_t iova, uint64_t size) {
  IOAS_RETURN_IF_ERROR(MakeDefaultWindow());
  const auto number = space_.FindWindow(iova);
  if (!number) return Error{ENXIO, "no window is there"};
  IOAS_RETURN_IF_ERROR(CheckRange(space_.window(*number), iova, size));
  return *number;
}

ioas::Result<long> SpaprContainer::MapDma(const DecodedCall& call) {
  if (state_.is_enabled == 0) return kNotEnabled;
  const ioas::Result<abi::DmaMap> map = call.CopyIn<abi::DmaMap>();
  if (!map.ok()) return map.error();
  const ioas::Result<uint32_t> number = FindWindow(map->iova, map->size);
  if (!number.ok()) return number.error();
  const uint32_t page_shift = space_.window(*number).table.page_shift;
  if ((map->vaddr & ((uint64_t{1} << page_shift) - 1)) != 0) {
    return Error{EINVAL, "the address must be a multiple of the window's page size"};
  }
  const uint32_t access = AccessOf(map->flags);
  if (access == 0) return Error{EINVAL, "READ or WRITE is needed"};
  if (map->size == 0) return 0L;
  const ioas::IovaRange iovas = {map->iova, map->iova + (map->size - 1)};
  const compat::events::Details mapped = {
      .first = iovas.first, .last = iovas.last, .value = map->vaddr, .access = access};
  if (IsV2()) {
    IOAS_RETURN_IF_ERROR(MapRegistered(*number, *map, access));
    compat::events::Emit(EventKind::kMapped, context_.container->number, mapped);
    return 0L;
  }
  PageRelease release(*this, page_shift);
  IOAS_RETURN_IF_ERROR(space_.MapRun(
      *number, {.iovas = iovas, .user_address = map->vaddr, .access = access, .pin = {}}, release));
  compat::events::Emit(EventKind::kMapped, context_.container->number, mapped);
  return 0L;
}

// A run for each region. What was mapped before the first page that cannot be leads nowhere
// afterwards, whatever it led to before.
ioas::Status SpaprContainer::MapRegistered(uint32_t number, const abi::DmaMap& map,
                                           uint32_t access) {
  const uint32_t page_shift = space_.window(number).table.page_shift;
  const uint64_t page_size = uint64_t{1} << page_shift;
  PageRelease release(*this, page_shift);
  ioas::Status status;
  uint64_t done = 0;
  while (status.ok() && done < map.size) {
    const uint64_t address = map.vaddr + done;
    const ioas::Result<ioas::PinnedMemory> pin = FindPin(address, page_size);
    if (!pin.ok()) {
      status = pin.error();
      break;
    }
    const uint64_t bytes = std::min(map.size - done, (pin->memory.last - address + 1) & -page_size);
    AddPages(pin->memory.first, bytes >> page_shift);
    const uint64_t iova = map.iova + done;
    status = space_.MapRun(number,
                           {.iovas = {iova, iova + (bytes - 1)},
                            .user_address = address,
                            .access = access,
                            .pin = *pin},
                           release);
    if (!status.ok()) RemovePages(pin->memory.first, bytes >> page_shift);
    if (status.ok()) done += bytes;
  }
  if (!status.ok() && done != 0) {
    (void)space_.UnmapRun(number, {map.iova, map.iova + (done - 1)}, release);
    compat::events::Emit(EventKind::kUnmapped, context_.container->number,
                         {.first = map.iova, .last = map.iova + (done - 1)});
  }
  return status;
}

ioas::Result<long> SpaprContainer::UnmapDma(const DecodedCall& call) {
  if (state_.is_enabled == 0) return kNotEnabled;
  const ioas::Result<abi::DmaUnmap> unmap = call.CopyIn<abi::DmaUnmap>();
  if (!unmap.ok()) return unmap.error();
  const ioas::Result<uint32_t> number = FindWindow(unmap->iova, unmap->size);
  if (!number.ok()) return number.error();
  if (unmap->size == 0) return 0L;
  PageRelease release(*this, space_.window(*number).table.page_shift);
  const ioas::IovaRange iovas = {unmap->iova, unmap->iova + (unmap->size - 1)};
  IOAS_RETURN_IF_ERROR(space_.UnmapRun(*number, iovas, release));
  compat::events::Emit(EventKind::kUnmapped, context_.container->number,
                       {.first = iovas.first, .last = iovas.last});
  return 0L;
}

}  // namespace ppc
