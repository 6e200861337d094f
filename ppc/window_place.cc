#include "ppc/window_place.h"

#include <algorithm>
#include <cerrno>

namespace ppc {

ioas::Result<uint64_t> PlaceWindow(ioas::AddressSpace& space, const WindowRequest& request,
                                   const WindowPlan& plan, uint32_t process, bool may_move) {
  const auto add = [&](uint64_t start) {
    return space.AddWindow(request.number, start, plan.pages, request.page_shift, process);
  };
  ioas::Status added = add(plan.start);
  if (added.ok()) return plan.start;
  if (!may_move || added.error().code != ENOSPC) return added.error();
  const ioas::Result<uint64_t> place = space.FindPlace(plan.pages << request.page_shift);
  if (!place.ok()) return place;
  added = add(*place);
  return added.ok() ? place : added.error();
}

namespace {

// No platform's table resolves more.
constexpr int kMaxSizeShift = 54;
// Room for an address space.
constexpr size_t kArenaSize = size_t{1} << 20;

ioas::Result<uint64_t> Place(ioas::AddressSpace& space, const PlatformProfile& platform,
                             const WindowRequest& request, bool may_move) {
  const ioas::Result<WindowPlan> plan = PlanWindow(platform, request);
  if (!plan.ok()) return plan.error();
  return PlaceWindow(space, request, *plan, /*process=*/0, may_move);
}

WindowSurvey Survey(ioas::AddressSpace& space, const PlatformProfile& platform) {
  WindowSurvey survey = {.default_size = platform.default_size,
                         .largest_size = 0,
                         .largest_start = 0,
                         .planned_start = platform.dynamic_start};
  WindowRequest request = {.number = 0,
                           .other = OtherWindow::kNone,
                           .page_shift = kDefaultPageShift,
                           .size = platform.default_size,
                           .levels = 1};
  if (!Place(space, platform, request, /*may_move=*/false).ok()) survey.default_size = 0;
  request.number = 1;
  request.other = OtherWindow::kDefault;
  // A single level of a large table is more than can be allocated.
  request.levels = std::min(platform.levels, 2U);
  for (int shift = kMaxSizeShift; shift >= static_cast<int>(kDefaultPageShift); --shift) {
    request.size = uint64_t{1} << shift;
    const ioas::Result<uint64_t> start = Place(space, platform, request, /*may_move=*/true);
    if (!start.ok()) continue;
    survey.largest_size = request.size;
    survey.largest_start = *start;
    break;
  }
  return survey;
}

}  // namespace

ioas::Result<WindowSurvey> SurveyWindows(const PlatformProfile& platform,
                                         const ioas::IommuProperties& iommu) {
  ioas::Result<ioas::Arena> arena = ioas::Arena::CreatePrivate(kArenaSize);
  if (!arena.ok()) return arena.error();
  const auto state = ioas::AddressSpace::Create(*arena, iommu, /*mapping_limit=*/0);
  ioas::Result<WindowSurvey> survey = WindowSurvey{};
  if (state.ok()) {
    ioas::AddressSpace space(*arena, *state);
    survey = Survey(space, platform);
  } else {
    survey = state.error();
  }
  arena->Unmap();
  return survey;
}

}  // namespace ppc
