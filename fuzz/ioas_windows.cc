// Steps of the target `ioas` that are about windows and their pages.
#include <cerrno>

#include "fuzz/ioas_comparison.h"
#include "fuzz/ioas_input.h"

namespace fuzz {

using ioas::kMaxWindows;

namespace {

// A run's pages, so that looking at each of them stays cheap.
constexpr uint32_t kMaxRun = 96;

}  // namespace

void IoasComparison::AddWindow() {
  const uint32_t number = input_.TakeBelow(kMaxWindows);
  if (reference_.windows[number]) return;
  const uint64_t first = TakePlace(input_);
  const uint32_t page_shift = 12 + input_.TakeBelow(8);
  uint64_t pages = 1 + uint64_t{input_.Take<uint8_t>()};
  const uint32_t shift = input_.TakeBelow(45);
  pages <<= shift;
  const uint32_t process = input_.TakeBelow(8);
  if (pages > uint64_t{1} << 52) return;
  const int expected = reference_.AddWindowErrno(first, pages, page_shift);
  const ioas::Status added = space_.AddWindow(number, first, pages, page_shift, process);
  FUZZ_REQUIRE(added.error().code == expected);
  if (expected != 0) return;
  const uint64_t bytes = pages << page_shift;
  reference_.windows[number] = {{first, first + (bytes - 1)}, page_shift, process, {}};
}

void IoasComparison::RemoveWindow(uint32_t number) {
  auto& window = reference_.windows[number];
  // A window goes whatever the backend says.
  backend_.RefuseNext(0);
  Gone gone(window ? window->page_shift : 12);
  space_.RemoveWindow(number, gone);
  if (!window) {
    FUZZ_REQUIRE(gone.addresses.empty());
    return;
  }
  reference_.unmaps += window->pages.size();
  FUZZ_REQUIRE(gone.addresses == ReferenceSpace::TakePages(*window, window->range));
  window.reset();
}

ReferenceWindow* IoasComparison::TakePages(uint32_t& number, IovaRange& iovas) {
  number = input_.TakeBelow(kMaxWindows);
  if (!reference_.windows[number]) number = 1 - number;
  if (!reference_.windows[number]) return nullptr;
  ReferenceWindow& window = *reference_.windows[number];
  const uint64_t pages = ((window.range.last - window.range.first) >> window.page_shift) + 1;
  // From its start, or up to its end.
  uint64_t first = input_.Take<uint16_t>() % pages;
  const uint64_t count = 1 + input_.TakeBelow(kMaxRun) % (pages - first);
  if (input_.TakeBelow(2) != 0) first = pages - count;
  iovas.first = window.range.first + (first << window.page_shift);
  iovas.last = iovas.first + ((count << window.page_shift) - 1);
  return &window;
}

void IoasComparison::MapRun() {
  uint32_t number = 0;
  IovaRange iovas{};
  ReferenceWindow* const window = TakePages(number, iovas);
  if (window == nullptr) return;
  const ioas::PageRun run = {.iovas = iovas,
                             .user_address = uint64_t{input_.Take<uint16_t>()} * kPage,
                             .access = 1 + input_.TakeBelow(3),
                             .pin = std::nullopt};
  Gone gone(window->page_shift);
  const int expected = reference_.MapRunErrno(*window, run);
  const size_t calls_before = backend_.calls();
  const ioas::Status mapped = space_.MapRun(number, run, gone);
  if (!Agrees(mapped, expected)) {
    // The backend's own refusals are two kinds; what came before it is neither.
    const bool was_asked = backend_.calls() != calls_before;
    const bool is_lost = was_asked && mapped.error().code != EFAULT;
    std::vector<uint64_t> lost;
    const size_t before = window->pages.size();
    if (is_lost) lost = ReferenceSpace::TakePages(*window, iovas);
    FUZZ_REQUIRE(gone.addresses == lost);
    reference_.unmaps += before - window->pages.size();
    return;
  }
  const size_t before = window->pages.size();
  FUZZ_REQUIRE(gone.addresses == ReferenceSpace::TakePages(*window, iovas));
  reference_.unmaps += before - window->pages.size();
  for (uint64_t at = 0; at <= iovas.last - iovas.first; at += window->page_size()) {
    window->pages[iovas.first + at] = {run.user_address + at, run.access};
    ++reference_.maps;
  }
}

void IoasComparison::UnmapRun() {
  uint32_t number = 0;
  IovaRange iovas{};
  ReferenceWindow* const window = TakePages(number, iovas);
  if (window == nullptr) return;
  Gone gone(window->page_shift);
  const size_t before = window->pages.size();
  if (Agrees(space_.UnmapRun(number, iovas, gone), 0)) {
    FUZZ_REQUIRE(gone.addresses == ReferenceSpace::TakePages(*window, iovas));
  } else {
    FUZZ_REQUIRE(gone.addresses.empty());
  }
  reference_.unmaps += before - window->pages.size();
}

void IoasComparison::RequireSameWindows() {
  for (uint32_t number = 0; number < kMaxWindows; ++number) {
    const auto& window = reference_.windows[number];
    FUZZ_REQUIRE(space_.HasWindow(number) == window.has_value());
    if (!window) continue;
    FUZZ_REQUIRE(space_.window(number).range == window->range);
    FUZZ_REQUIRE(space_.window(number).table.mapped == window->pages.size());
    for (uint64_t iova = window->range.first;;) {
      const auto run = space_.FindRun(number, iova, window->range.last);
      FUZZ_REQUIRE(run == ReferenceSpace::FindRun(*window, iova, window->range.last));
      if (!run || run->last == UINT64_MAX) break;
      iova = run->last + 1;
    }
  }
}

}  // namespace fuzz
