// Unmapping for an operator.
#include "compat/events/events.h"
#include "compat/type1/calls.h"
#include "compat/type1/dirty_bitmap.h"

namespace compat::type1 {
namespace {

bool IsCut(const std::optional<ioas::Mapping>& mapping, const ioas::IovaRange& range) {
  return mapping && !range.Contains(ioas::IovaRange{mapping->first, mapping->last});
}

ioas::Status RemoveOne(const vfio::ContainerContext& context, ioas::AddressSpace& space,
                       const ioas::Mapping& mapping) {
  IOAS_RETURN_IF_ERROR(space.Unmap(mapping));
  if ((mapping.flags & kAddressInvalid) != 0) --context.container->invalid_addresses;
  FreeBitmap(*context.arena, mapping, space.page_size());
  events::Emit(session::EventKind::kUnmapped, context.container->number,
               {.first = mapping.first, .last = mapping.last});
  return {};
}

}  // namespace

ioas::Result<vfio::Removed> Remove(const vfio::ContainerContext& context,
                                   const ioas::IovaRange& range, bool dry_run) {
  ioas::AddressSpace space = context.space();
  ioas::MappingIndex index = space.mappings();
  if (IsCut(index.FindContaining(range.first), range) ||
      IsCut(index.FindContaining(range.last), range)) {
    return ioas::Error{EINVAL, "the range cuts a mapping"};
  }
  vfio::Removed removed = {};
  for (auto mapping = index.FindFirstOverlapping(range.first, range.last);
       mapping && mapping->first <= range.last; mapping = index.Next(mapping->first)) {
    if (!dry_run) IOAS_RETURN_IF_ERROR(RemoveOne(context, space, *mapping));
    ++removed.mappings;
    removed.bytes += mapping->last - mapping->first + 1;
  }
  return removed;
}

}  // namespace compat::type1
