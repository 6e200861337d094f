// The windows of a SPAPR TCE container.
#include <bit>
#include <utility>

#include "compat/abi/vfio_spapr.h"
#include "compat/events/events.h"
#include "ppc/page_release.h"
#include "ppc/spapr_container.h"
#include "ppc/window_place.h"

namespace ppc {

using compat::decode::DecodedCall;
using compat::session::EventKind;
using ioas::Error;
namespace abi = compat::abi;

ioas::Status SpaprContainer::MakeDefaultWindow() {
  if (state_.is_default_pending == 0) return {};
  const ioas::Result<uint64_t> made =
      MakeWindow(kDefaultPageShift, state_.platform.default_size, /*levels=*/1, /*may_move=*/false);
  if (!made.ok()) return made.error();
  state_.is_default_pending = 0;
  return {};
}

ioas::Result<uint64_t> SpaprContainer::MakeWindow(uint32_t page_shift, uint64_t size,
                                                  uint32_t levels, bool may_move) {
  const PlatformProfile& platform = state_.platform;
  WindowRequest request = {.number = 0,
                           .other = OtherWindow::kNone,
                           .page_shift = page_shift,
                           .size = size,
                           .levels = levels};
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) {
    if (!space_.HasWindow(number)) continue;
    if (request.number == number) ++request.number;
    const ioas::WindowState& window = space_.window(number);
    request.other = number == 0 && IsDefaultWindow(platform, window.table.page_shift,
                                                   window.table.pages << window.table.page_shift)
                        ? OtherWindow::kDefault
                        : OtherWindow::kDynamic;
  }
  if (request.number >= platform.windows) return Error{ENOSPC, "the container has its windows"};
  if (page_shift >= 64 || (platform.page_sizes >> page_shift & 1) == 0) {
    return Error{EINVAL, "no window has such pages"};
  }
  const uint64_t table_bytes = TableBytes(platform, request);
  if (table_bytes == 0) return Error{EINVAL, "there are no such windows"};
  IOAS_RETURN_IF_ERROR(processes().LockMemory(table_bytes, nullptr));
  const ioas::Result<uint64_t> placed = PlaceWindow(request, may_move);
  if (placed.ok()) {
    state_.table_bytes[request.number] = table_bytes;
    const ioas::IovaRange& range = space_.window(request.number).range;
    compat::events::Emit(EventKind::kWindowCreated, context_.container->number,
                         {.first = range.first, .last = range.last});
  } else {
    processes().UnlockMemory(state_.process, table_bytes);
  }
  return placed;
}

ioas::Result<uint64_t> SpaprContainer::PlaceWindow(const WindowRequest& request, bool may_move) {
  const ioas::Result<WindowPlan> plan = PlanWindow(state_.platform, request);
  if (!plan.ok()) return plan.error();
  if (!CanShareWindows(state_.platform) && std::popcount(context_.container->groups) > 1) {
    return Error{EPERM, "the container's groups cannot share a window"};
  }
  return ppc::PlaceWindow(space_, request, *plan, state_.process, may_move);
}

void SpaprContainer::DropWindow(uint32_t number, ioas::PageRunSink& gone) {
  if (space_.HasWindow(number)) {
    const ioas::IovaRange& range = space_.window(number).range;
    compat::events::Emit(EventKind::kWindowRemoved, context_.container->number,
                         {.first = range.first, .last = range.last});
  }
  space_.RemoveWindow(number, gone);
  processes().UnlockMemory(state_.process, std::exchange(state_.table_bytes[number], 0));
}

ioas::Result<long> SpaprContainer::CreateWindow(const DecodedCall& call) {
  TakeOver();
  ioas::Result<abi::SpaprTceCreate> create = call.CopyIn<abi::SpaprTceCreate>();
  if (!create.ok()) return create.error();
  IOAS_RETURN_IF_ERROR(MakeDefaultWindow());
  const ioas::Result<uint64_t> start =
      MakeWindow(create->page_shift, create->window_size, create->levels, /*may_move=*/true);
  if (!start.ok()) return start.error();
  create->start_addr = *start;
  IOAS_RETURN_IF_ERROR(call.CopyOut(*create));
  return 0L;
}

ioas::Result<long> SpaprContainer::RemoveWindow(const DecodedCall& call) {
  TakeOver();
  const ioas::Result<abi::SpaprTceRemove> remove = call.CopyIn<abi::SpaprTceRemove>();
  if (!remove.ok()) return remove.error();
  if (state_.is_default_pending != 0 && remove->start_addr == 0) {
    state_.is_default_pending = 0;
    return 0L;
  }
  const auto number = space_.FindWindow(remove->start_addr);
  if (!number) return Error{EINVAL, "no window is there"};
  PageRelease release(*this, space_.window(*number).table.page_shift);
  DropWindow(*number, release);
  return 0L;
}

}  // namespace ppc
