// What is mapped, where it leads, and what is free.
#include <algorithm>
#include <cerrno>
#include <optional>
#include <span>

#include "compat/session/requests.h"
#include "compat/session/responder.h"
#include "compat/session/writer.h"
#include "compat/vfio/native.h"
#include "ioas/file_table.h"

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

using Devices = std::span<const vfio::IoasView::BoundDevice>;

// What RangeInfo has of an owner: of a context's those that are no devices are page tables, which
// stand for the IOMMU.
uint32_t NameOfOwner(const vfio::Host& host, uint32_t owner, Devices devices) {
  for (const auto& [object, device] : devices) {
    if (object != owner) continue;
    return host.arena().Get(host.state().devices[device].soft)->address.number();
  }
  return ioas::kIommuOwner;
}

template <typename NameOf>
void DescribeSpace(ioas::AddressSpace& space, Writer& answer, NameOf name_of) {
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
    AddRange(answer, *info, RangeKind::kReserved, state.reserved[i].range,
             name_of(state.reserved[i].owner));
  }
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
    if (space.HasWindow(number)) AddWindow(answer, *info, space.window(number));
  }
}

IovaLimits LimitsOf(const ioas::IovaRange& range) { return {range.first, range.last}; }

ioas::Status AddFreeRanges(ioas::AddressSpace& space, const ioas::RangeRequest& request,
                           Writer& answer) {
  const ioas::Result<ioas::IovaRange> range = space.FindRange(request);
  if (!range.ok() && range.error().code != ENOSPC) return range.error();
  auto* const found = answer.Add<FoundRange>();
  found->alignment = request.alignment;
  found->is_found = range.ok() ? 1 : 0;
  if (range.ok()) found->range = LimitsOf(*range);
  if (const auto largest = space.FindLargestRange(request)) {
    found->has_largest = 1;
    found->largest = LimitsOf(*largest);
  }
  ioas::IovaRange free[kMaxFreeRanges];
  const size_t count = space.FreeRanges({request.lowest, request.highest}, free);
  found->more = count > kMaxFreeRanges ? 1 : 0;
  found->count = static_cast<uint32_t>(std::min<size_t>(count, kMaxFreeRanges));
  for (const ioas::IovaRange& each : std::span(free).first(found->count)) {
    *answer.Add<IovaLimits>() = LimitsOf(each);
  }
  return {};
}

// Has `function(view)` see the address space of that number, and no other.
template <typename Function>
class FirstIoas final : public vfio::IoasVisitor {
 public:
  FirstIoas(uint32_t number, Function function) : number_(number), function_(function) {}

  bool Visit(const vfio::IoasView& view) override {
    if (view.number == number_) status_ = function_(view);
    return false;
  }
  const ioas::Status& status() const { return status_; }

 private:
  uint32_t number_;
  Function function_;
  ioas::Status status_ = Error{ENOENT, "there is no such address space"};
};

}  // namespace

MappingInfo Responder::InfoOf(const Mapping& mapping) const {
  const ioas::ProcessTable processes = host_.platform().processes();
  return {.first = mapping.first,
          .last = mapping.last,
          .user_address = mapping.user_address,
          .pid = processes.identity(ioas::ProcessBehind(processes, mapping.owner)).pid,
          .access = mapping.flags & (ioas::kAccessRead | ioas::kAccessWrite)};
}

template <typename Function>
ioas::Status Responder::WithSpace(uint32_t number, Function function) const {
  const vfio::Host::TimedLock lock(host_, kPatience);
  if (!lock.held()) return kHostIsHeld;
  const auto with_lock = [&](ioas::ArenaRef<ioas::AddressSpaceState> state,
                             Devices devices) -> ioas::Status {
    ioas::Arena arena = host_.arena();
    ioas::AddressSpace space(arena, state);
    const ioas::AddressSpace::TimedLock space_lock(space, kPatience);
    if (!space_lock.held()) return kSpaceIsHeld;
    return function(space, devices);
  };
  if ((number & kIoasBit) != 0) {
    FirstIoas first(
        number, [&](const vfio::IoasView& view) { return with_lock(view.space, view.devices); });
    IOAS_RETURN_IF_ERROR(VisitIoases(host_, number, first));
    return first.status();
  }
  const ioas::Result<ContainerState*> container = FindContainerWithIommu(number);
  if (!container.ok()) return container.error();
  return with_lock((*container)->space, {});
}

ioas::Status Responder::GetAddressSpace(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<ContainerRef>(packet);
  if (request == nullptr) return kNotRight;
  return WithSpace(
      request->container, [&](ioas::AddressSpace& space, Devices devices) -> ioas::Status {
        DescribeSpace(space, answer,
                      [&](uint32_t owner) { return NameOfOwner(host_, owner, devices); });
        return {};
      });
}

ioas::Status Responder::ListMappings(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<session::ListMappings>(packet);
  if (request == nullptr) return kNotRight;
  if (request->first > request->last) return Error{EINVAL, "the range ends before it begins"};
  return WithSpace(request->container, [&](ioas::AddressSpace& space, Devices) -> ioas::Status {
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
  return WithSpace(request->container, [&](ioas::AddressSpace& space, Devices) -> ioas::Status {
    const auto mapping = FindMapping(space, request->iova, request->iova);
    if (!mapping) return Error{ENODATA, "nothing is mapped at the IOVA"};
    auto* const translated = answer.Add<Translated>();
    translated->mapping = InfoOf(*mapping);
    translated->user_address = mapping->user_address + (request->iova - mapping->first);
    translated->contiguous = mapping->last - request->iova + 1;
    return {};
  });
}

ioas::Status Responder::FindRange(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<session::FindRange>(packet);
  if (request == nullptr) return kNotRight;
  if (request->lowest > request->highest) return Error{EINVAL, "the bounds end before they begin"};
  return WithSpace(request->container, [&](ioas::AddressSpace& space, Devices) -> ioas::Status {
    return AddFreeRanges(
        space,
        {.size = request->size,
         .alignment = request->alignment != 0 ? request->alignment
                                              : std::max(space.page_size(), uint64_t{1}),
         .lowest = request->lowest,
         .highest = request->highest},
        answer);
  });
}

}  // namespace compat::session
