// Unmapping for an operator.
#include <algorithm>

#include "compat/events/events.h"
#include "ppc/page_release.h"
#include "ppc/spapr_container.h"

namespace ppc {

using compat::vfio::Removed;
using ioas::Error;
using ioas::IovaRange;

namespace {

// What window `number` maps of a range.
struct Part {
  IovaRange iovas;  // whole pages
  Removed mapped;
};

// EINVAL if the range cuts a page that leads somewhere.
ioas::Result<Part> FindPart(const ioas::AddressSpace& space, uint32_t number,
                            const IovaRange& range) {
  const ioas::WindowState& window = space.window(number);
  Part part = {};
  uint64_t next = range.first;
  for (auto run = space.FindRun(number, next, range.last); run;
       run = space.FindRun(number, next, range.last)) {
    if (!range.Contains(IovaRange{run->first, run->last})) {
      return Error{EINVAL, "the range cuts a page of a window"};
    }
    if (part.mapped.mappings == 0) part.iovas.first = run->first;
    part.iovas.last = run->last;
    part.mapped.bytes += run->last - run->first + 1;
    part.mapped.mappings = part.mapped.bytes >> window.table.page_shift;
    if (run->last == range.last) break;
    next = run->last + 1;
  }
  return part;
}

}  // namespace

ioas::Result<Removed> SpaprContainer::Remove(const IovaRange& range, bool dry_run) {
  Part parts[ioas::kMaxWindows] = {};
  Removed removed = {};
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
    if (!space_.HasWindow(number)) continue;
    const ioas::Result<Part> part = FindPart(space_, number, range);
    if (!part.ok()) return part.error();
    parts[number] = *part;
    removed.mappings += part->mapped.mappings;
    removed.bytes += part->mapped.bytes;
  }
  for (uint32_t number = 0; number < ioas::kMaxWindows && !dry_run; ++number) {
    if (parts[number].mapped.mappings == 0) continue;
    PageRelease release(*this, space_.window(number).table.page_shift);
    IOAS_RETURN_IF_ERROR(space_.UnmapRun(number, parts[number].iovas, release));
    compat::events::Emit(compat::session::EventKind::kUnmapped, context_.container->number,
                         {.first = parts[number].iovas.first, .last = parts[number].iovas.last});
  }
  return removed;
}

}  // namespace ppc
