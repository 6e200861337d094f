#include "ioas/dirty_pages.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cerrno>

#include "ioas/base/radix_tree.h"

namespace ioas {
namespace {

constexpr uint32_t kWordBits = 64;
// Small, so that mappings that lie far from each other cost little: 16 MiB of 4 KiB pages in 512
// bytes.
constexpr uint32_t kLeafBits = 12;
constexpr uint64_t kLeafPages = uint64_t{1} << kLeafBits;

struct Leaf {
  uint64_t words[kLeafPages / kWordBits];
};

}  // namespace

class DirtyPages::Tree : public RadixTree<Leaf, kLeafBits, 8> {
 public:
  Tree(Arena arena, DirtyPagesState& state) : RadixTree(arena, state.root, state.height) {}
};

void DirtyPages::Initialize(uint64_t last, uint64_t page_size) {
  const auto shift = static_cast<uint32_t>(std::countr_zero(page_size));
  *state_ = {
      .is_tracking = 0, .page_shift = shift, .height = Tree::HeightFor(last >> shift), .root = 0};
}

void DirtyPages::Clear() {
  Tree(arena_, *state_).Free(0, UINT64_MAX, [](uint64_t, uint64_t) { return false; });
}

void DirtyPages::Stop() {
  state_->is_tracking = 0;
  std::atomic_signal_fence(std::memory_order_release);
  Clear();
}

template <typename Visit>
void DirtyPages::ForEachWord(const IovaRange& range, Visit visit) const {
  const Tree tree(arena_, *state_);
  const uint64_t last = range.last >> state_->page_shift;
  for (uint64_t page = range.first >> state_->page_shift; page <= last;) {
    uint64_t reach = 0;
    Leaf* const leaf = tree.Find(page, &reach);
    if (leaf == nullptr) {
      if (last - page < reach) return;
      page += reach;
      continue;
    }
    const uint64_t leaf_last = std::min(last, page | (kLeafPages - 1));
    while (page <= leaf_last) {
      const uint64_t first = page & -uint64_t{kWordBits};
      const uint64_t word_last = std::min(leaf_last, first + (kWordBits - 1));
      const uint64_t mask =
          ~uint64_t{0} << (page - first) & ~uint64_t{0} >> (kWordBits - 1 - (word_last - first));
      visit(leaf->words[page % kLeafPages / kWordBits], mask, first << state_->page_shift);
      page = word_last + 1;
    }
  }
}

Status DirtyPages::Reserve(const IovaRange& range) {
  Tree tree(arena_, *state_);
  const uint64_t last = range.last >> state_->page_shift;
  for (uint64_t page = range.first >> state_->page_shift; page <= last;
       page = (page | (kLeafPages - 1)) + 1) {
    if (tree.FindOrMake(page) == nullptr) return Error{ENOMEM, "no memory for what devices write"};
  }
  ForEachWord(range, [](uint64_t& word, uint64_t mask, uint64_t) { word &= ~mask; });
  return {};
}

void DirtyPages::Release(const IovaRange& range, MappingIndex mappings) {
  ForEachWord(range, [](uint64_t& word, uint64_t mask, uint64_t) { word &= ~mask; });
  const uint32_t shift = state_->page_shift;
  Tree(arena_, *state_)
      .Free(range.first >> shift, range.last >> shift, [&](uint64_t first, uint64_t last) {
        const uint64_t end = last << shift | ((uint64_t{1} << shift) - 1);
        return mappings.FindFirstOverlapping(first << shift, end).has_value();
      });
}

void DirtyPages::Mark(const IovaRange& range) {
  ForEachWord(range, [](uint64_t& word, uint64_t mask, uint64_t) { word |= mask; });
}

void DirtyPages::Read(const IovaRange& range, bool clear, DirtyPageSink& sink) {
  ForEachWord(range, [&](uint64_t& word, uint64_t mask, uint64_t first) {
    uint64_t left = word & mask;
    if (clear) word &= ~mask;
    while (left != 0) {
      const int bit = std::countr_zero(left);
      const int count = std::countr_one(left >> bit);
      const uint64_t run_first = first + (static_cast<uint64_t>(bit) << state_->page_shift);
      const uint64_t size = static_cast<uint64_t>(count) << state_->page_shift;
      sink.OnWritten({run_first, run_first + (size - 1)});
      // Adding to the lowest bit of a run carries over all of it.
      left &= left + (left & -left);
    }
  });
}

}  // namespace ioas
