#include "ioas/page_table.h"

#include <algorithm>
#include <atomic>

#include "ioas/base/radix_tree.h"

namespace ioas {
namespace {

constexpr uint32_t kLeafBits = 9;
constexpr uint64_t kLeafPages = uint64_t{1} << kLeafBits;

struct Leaf {
  uint64_t entry[kLeafPages];  // user address and access; 0: nothing
};

// Entries change by single stores, in the order of the program: another process may find what a
// death left.
uint64_t Load(const uint64_t& entry) {
  return std::atomic_ref(const_cast<uint64_t&>(entry)).load(std::memory_order_acquire);
}
void Store(uint64_t& entry, uint64_t value) {
  std::atomic_ref(entry).store(value, std::memory_order_release);
}

}  // namespace

class PageTable::Tree : public RadixTree<Leaf, kLeafBits, 10> {
 public:
  Tree(Arena arena, PageTableState& state) : RadixTree(arena, state.root, state.height) {}
};

// Joins entries to runs.
class PageTable::Runs {
 public:
  Runs(PageRunSink& sink, uint32_t page_shift) : sink_(sink), page_shift_(page_shift) {}

  void Add(uint64_t entry) {
    const uint64_t address = entry & ~kAccessMask;
    if (pages_ != 0 && address == first_ + (pages_ << page_shift_)) {
      ++pages_;
      return;
    }
    Flush();
    first_ = address;
    pages_ = 1;
  }
  // To be called at the end. Returns how many entries there were.
  uint64_t Flush() {
    if (pages_ != 0) sink_.OnRun(first_, pages_);
    total_ += pages_;
    pages_ = 0;
    return total_;
  }

 private:
  PageRunSink& sink_;
  uint32_t page_shift_;
  uint64_t first_ = 0;
  uint64_t pages_ = 0;
  uint64_t total_ = 0;
};

void PageTable::Initialize(uint64_t pages, uint32_t page_shift) {
  *state_ = {.pages = pages,
             .mapped = 0,
             .page_shift = page_shift,
             .height = Tree::HeightFor(pages - 1),
             .root = 0};
}

void PageTable::Destroy() {
  Tree(arena_, *state_).Free(0, UINT64_MAX, [](uint64_t, uint64_t) { return false; });
  *state_ = {};
}

Status PageTable::Reserve(uint64_t first, uint64_t count) {
  Tree tree(arena_, *state_);
  const uint64_t end = first + count;
  for (uint64_t page = first; page < end; page = (page / kLeafPages + 1) * kLeafPages) {
    if (tree.FindOrMake(page) == nullptr)
      return Error{ENOMEM, "no memory for the window's page table"};
  }
  return {};
}

uint64_t PageTable::Set(uint64_t first, uint64_t count, const PageEntry& entry, PageRunSink& gone) {
  Tree tree(arena_, *state_);
  Runs runs(gone, state_->page_shift);
  uint64_t value = entry.user_address | entry.access;
  const uint64_t page_size = uint64_t{1} << state_->page_shift;
  const uint64_t end = first + count;
  for (uint64_t page = first; page < end;) {
    uint64_t* const entries = tree.FindOrMake(page)->entry;
    const uint64_t leaf_end = std::min(end, (page / kLeafPages + 1) * kLeafPages);
    for (; page < leaf_end; ++page, value += page_size) {
      uint64_t& here = entries[page % kLeafPages];
      const uint64_t before = Load(here);
      Store(here, value);
      if (before != 0) runs.Add(before);
    }
  }
  const uint64_t replaced = runs.Flush();
  state_->mapped += count - replaced;
  return replaced;
}

// Calls `visit` with each entry of `count` pages from `first` on that leads somewhere.
template <typename Visit>
void PageTable::ForEachMapped(uint64_t first, uint64_t count, Visit visit) const {
  const Tree tree(arena_, *state_);
  const uint64_t end = first + count;
  for (uint64_t page = first; page < end;) {
    uint64_t reach = 0;
    Leaf* const leaf = tree.Find(page, &reach);
    if (leaf == nullptr) {
      page += std::min(reach, end - page);
      continue;
    }
    const uint64_t leaf_end = std::min(end, (page / kLeafPages + 1) * kLeafPages);
    for (; page < leaf_end; ++page) {
      uint64_t& entry = leaf->entry[page % kLeafPages];
      if (Load(entry) != 0) visit(entry);
    }
  }
}

uint64_t PageTable::Clear(uint64_t first, uint64_t count, PageRunSink& gone) {
  Runs runs(gone, state_->page_shift);
  ForEachMapped(first, count, [&](uint64_t& entry) {
    runs.Add(entry);
    Store(entry, 0);
  });
  const uint64_t cleared = runs.Flush();
  state_->mapped -= cleared;
  return cleared;
}

PageEntry PageTable::At(uint64_t page) const {
  uint64_t reach = 0;
  const Leaf* const leaf = Tree(arena_, *state_).Find(page, &reach);
  if (leaf == nullptr) return {0, 0};
  const uint64_t entry = Load(leaf->entry[page % kLeafPages]);
  return {entry & ~kAccessMask, static_cast<uint32_t>(entry & kAccessMask)};
}

uint64_t PageTable::NextMapped(uint64_t page) const {
  const Tree tree(arena_, *state_);
  while (page < state_->pages) {
    uint64_t reach = 0;
    const Leaf* const leaf = tree.Find(page, &reach);
    if (leaf == nullptr) {
      page += reach;
      continue;
    }
    const uint64_t leaf_end = std::min(state_->pages, (page / kLeafPages + 1) * kLeafPages);
    for (; page < leaf_end; ++page) {
      if (Load(leaf->entry[page % kLeafPages]) != 0) return page;
    }
  }
  return state_->pages;
}

uint64_t PageTable::Walk(uint64_t first, uint64_t count, PageRunSink& sink) const {
  Runs runs(sink, state_->page_shift);
  ForEachMapped(first, count, [&](const uint64_t& entry) { runs.Add(entry); });
  return runs.Flush();
}

void PageTable::Recount() {
  state_->mapped = 0;
  ForEachMapped(0, state_->pages, [&](const uint64_t& /*entry*/) { ++state_->mapped; });
}

}  // namespace ioas
