// What is mapped, and where it leads.
#include <algorithm>
#include <optional>

#include "compat/session/requests.h"
#include "compat/session/responder.h"
#include "compat/session/writer.h"

namespace compat::session {

using ioas::Error;
using ioas::Mapping;
using vfio::ContainerState;

namespace {

// The lowest mapping that touches [first, last].
std::optional<Mapping> FindMapping(ioas::AddressSpace& space, uint64_t first, uint64_t last) {
  std::optional<Mapping> found = space.mappings().FindFirstOverlapping(first, last);
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
    if (!space.HasWindow(number)) continue;
    const std::optional<Mapping> run = space.FindRun(number, first, last);
    if (run && (!found || run->first < found->first)) found = run;
  }
  return found;
}

void AddRange(Writer& answer, AddressSpaceInfo& info, RangeKind kind, const ioas::IovaRange& range,
              uint32_t owner = 0) {
  auto* const added = answer.Add<RangeInfo>();
  added->first = range.first;
  added->last = range.last;
  added->kind = static_cast<uint32_t>(kind);
  added->owner = owner;
  ++info.count;
}

void AddWindow(Writer& answer, AddressSpaceInfo& info, const ioas::WindowState& window) {
  auto* const added = answer.Add<RangeInfo>();
  added->first = window.range.first;
  added->last = window.range.last;
  added->kind = static_cast<uint32_t>(RangeKind::kWindow);
  added->detail = uint64_t{1} << window.table.page_shift;
  added->mapped_pages = window.table.mapped;
  // An entry a page, as the hardware's tables have.
  added->table_bytes = window.table.pages * sizeof(uint64_t);
  ++info.count;
}

void DescribeSpace(ioas::AddressSpace& space, Writer& answer) {
  const ioas::AddressSpaceState& state = space.state();
  auto* const info = answer.Add<AddressSpaceInfo>();
  info->page_sizes = state.page_sizes;
  info->maps = state.statistics.maps;
  info->unmaps = state.statistics.unmaps;
  info->live_mappings = state.live_mappings();
  info->bytes_mapped = state.statistics.bytes_mapped;
  info->dma_read = state.statistics.dma_read;
  info->dma_written = state.statistics.dma_written;
  info->faults = state.statistics.faults;
  for (uint32_t i = 0; i < state.aperture_count; ++i) {
    AddRange(answer, *info, RangeKind::kAperture, state.apertures[i]);
  }
  for (uint32_t i = 0; i < state.reserved_count; ++i) {
    AddRange(answer, *info, RangeKind::kReserved, state.reserved[i].range, state.reserved[i].owner);
  }
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
    if (space.HasWindow(number)) AddWindow(answer, *info, space.window(number));
  }
}

}  // namespace

MappingInfo Responder::InfoOf(const Mapping& mapping) const {
  return {.first = mapping.first,
          .last = mapping.last,
          .user_address = mapping.user_address,
          .pid = host_.platform().processes().identity(mapping.owner).pid,
          .access = mapping.flags & (ioas::kAccessRead | ioas::kAccessWrite)};
}

template <typename Function>
ioas::Status Responder::WithSpace(uint32_t number, Function function) {
  const vfio::Host::TimedLock lock(host_, kPatience);
  if (!lock.held()) return kHostIsHeld;
  const ioas::Result<ContainerState*> container = FindContainerWithIommu(number);
  if (!container.ok()) return container.error();
  ioas::Arena arena = host_.arena();
  ioas::AddressSpace space(arena, (*container)->space);
  const ioas::AddressSpace::TimedLock space_lock(space, kPatience);
  if (!space_lock.held()) return kSpaceIsHeld;
  return function(space);
}

ioas::Status Responder::GetAddressSpace(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<ContainerRef>(packet);
  if (request == nullptr) return kNotRight;
  return WithSpace(request->container, [&answer](ioas::AddressSpace& space) -> ioas::Status {
    DescribeSpace(space, answer);
    return {};
  });
}

ioas::Status Responder::ListMappings(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<session::ListMappings>(packet);
  if (request == nullptr) return kNotRight;
  if (request->first > request->last) return Error{EINVAL, "the range ends before it begins"};
  return WithSpace(request->container, [&](ioas::AddressSpace& space) -> ioas::Status {
    auto* const list = answer.Add<MappingList>();
    const bool has_windows = space.state().windows != 0;
    auto mapping = FindMapping(space, request->first, request->last);
    while (mapping && mapping->first <= request->last) {
      auto* const info = answer.Add<MappingInfo>();
      if (info == nullptr) {
        list->more = 1;
        list->next = mapping->first;
        break;
      }
      *info = InfoOf(*mapping);
      ++list->count;
      if (mapping->last >= request->last) break;
      mapping = has_windows ? FindMapping(space, mapping->last + 1, request->last)
                            : space.mappings().Next(mapping->first);
    }
    return {};
  });
}

ioas::Status Responder::Translate(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<session::Translate>(packet);
  if (request == nullptr) return kNotRight;
  return WithSpace(request->container, [&](ioas::AddressSpace& space) -> ioas::Status {
    const auto mapping = FindMapping(space, request->iova, request->iova);
    if (!mapping) return Error{ENODATA, "nothing is mapped at the IOVA"};
    auto* const translated = answer.Add<Translated>();
    translated->mapping = InfoOf(*mapping);
    translated->user_address = mapping->user_address + (request->iova - mapping->first);
    translated->contiguous = mapping->last - request->iova + 1;
    return {};
  });
}

}  // namespace compat::session
