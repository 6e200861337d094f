#include "ioas/page_table.h"

#include <algorithm>
#include <atomic>

namespace ioas {
namespace {

constexpr uint32_t kLeafBits = 9;
constexpr uint32_t kBranchBits = 10;
constexpr uint64_t kLeafPages = uint64_t{1} << kLeafBits;
constexpr uint64_t kBranchWidth = uint64_t{1} << kBranchBits;

// How many pages lie below one child of a branch of `height`, which is at least 1.
constexpr uint64_t Span(uint32_t height) { return kLeafPages << (height - 1) * kBranchBits; }

// Entries and links change by single stores, in the order of the program: another process may find
// what a death left.
template <typename Word>
Word Load(const Word& word) {
  return std::atomic_ref<Word>(const_cast<Word&>(word)).load(std::memory_order_acquire);
}
template <typename Word>
void Store(Word& word, Word value) {
  std::atomic_ref<Word>(word).store(value, std::memory_order_release);
}

}  // namespace

struct PageTable::Branch {
  uint32_t child[kBranchWidth];  // arena units
};

struct PageTable::Leaf {
  uint64_t entry[kLeafPages];  // user address and access; 0: nothing
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
  uint32_t height = 0;
  for (uint64_t reach = kLeafPages; reach < pages; reach <<= kBranchBits) ++height;
  *state_ = {.pages = pages, .mapped = 0, .page_shift = page_shift, .height = height, .root = 0};
}

void PageTable::Destroy() {
  Free(state_->root, state_->height);
  *state_ = {};
}

// Children go before their parent and links before what they link, so that whatever is lost by a
// death in the middle is one node.
void PageTable::Free(uint32_t& link, uint32_t height) {
  const uint32_t unit = link;
  if (unit == 0) return;
  if (height > 0) {
    for (uint32_t& child : arena_.Get(ArenaRef<Branch>{unit})->child) Free(child, height - 1);
  }
  Store(link, 0u);
  arena_.Free(unit, height > 0 ? sizeof(Branch) : sizeof(Leaf));
}

PageTable::Leaf* PageTable::Find(uint64_t page, uint64_t* reach) const {
  uint32_t unit = Load(state_->root);
  if (unit == 0) {
    *reach = state_->pages - page;
    return nullptr;
  }
  for (uint32_t height = state_->height; height > 0; --height) {
    const uint64_t index = page / Span(height) % kBranchWidth;
    unit = Load(arena_.Get(ArenaRef<Branch>{unit})->child[index]);
    if (unit == 0) {
      *reach = Span(height) - page % Span(height);
      return nullptr;
    }
  }
  return arena_.Get(ArenaRef<Leaf>{unit});
}

PageTable::Leaf* PageTable::FindOrMake(uint64_t page) {
  uint32_t* link = &state_->root;
  for (uint32_t height = state_->height;; --height) {
    uint32_t unit = Load(*link);
    if (unit == 0) {
      const Result<uint32_t> made = arena_.Allocate(height > 0 ? sizeof(Branch) : sizeof(Leaf));
      if (!made.ok()) return nullptr;
      unit = *made;
      Store(*link, unit);
    }
    if (height == 0) return arena_.Get(ArenaRef<Leaf>{unit});
    link = &arena_.Get(ArenaRef<Branch>{unit})->child[page / Span(height) % kBranchWidth];
  }
}

Status PageTable::Reserve(uint64_t first, uint64_t count) {
  const uint64_t end = first + count;
  for (uint64_t page = first; page < end; page = (page / kLeafPages + 1) * kLeafPages) {
    if (FindOrMake(page) == nullptr) return Error{ENOMEM, "no memory for the window's page table"};
  }
  return {};
}

uint64_t PageTable::Set(uint64_t first, uint64_t count, const PageEntry& entry, PageRunSink& gone) {
  Runs runs(gone, state_->page_shift);
  uint64_t value = entry.user_address | entry.access;
  const uint64_t page_size = uint64_t{1} << state_->page_shift;
  const uint64_t end = first + count;
  for (uint64_t page = first; page < end;) {
    uint64_t* const entries = FindOrMake(page)->entry;
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
  const uint64_t end = first + count;
  for (uint64_t page = first; page < end;) {
    uint64_t reach = 0;
    Leaf* const leaf = Find(page, &reach);
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
    Store(entry, uint64_t{0});
  });
  const uint64_t cleared = runs.Flush();
  state_->mapped -= cleared;
  return cleared;
}

PageEntry PageTable::At(uint64_t page) const {
  uint64_t reach = 0;
  const Leaf* const leaf = Find(page, &reach);
  if (leaf == nullptr) return {0, 0};
  const uint64_t entry = Load(leaf->entry[page % kLeafPages]);
  return {entry & ~kAccessMask, static_cast<uint32_t>(entry & kAccessMask)};
}

uint64_t PageTable::NextMapped(uint64_t page) const {
  while (page < state_->pages) {
    uint64_t reach = 0;
    const Leaf* const leaf = Find(page, &reach);
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
