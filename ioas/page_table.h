// The page table of a window: where each of its pages leads, 8 bytes a page.
//
// A radix tree whose nodes lie in the shared arena and are allocated when a page of theirs is first
// mapped, so that a window costs what is used of it. Nodes stay until Destroy. The table takes no
// lock: whoever holds the lock of the address space uses it.
//
// An entry changes by one store, and a node is linked when it is ready, so that a process that dies
// in the middle of a change leaves a table that can be used: only how many pages are mapped has to
// be counted again.
#ifndef IOAS_PAGE_TABLE_H_
#define IOAS_PAGE_TABLE_H_

#include <cstdint>

#include "ioas/base/arena.h"
#include "ioas/base/result.h"

namespace ioas {

// A table, as it lies in the arena. All zero it has no pages.
struct PageTableState {
  uint64_t pages;       // how many it has
  uint64_t mapped;      // how many of them lead somewhere
  uint32_t page_shift;  // a page's size is 1 << page_shift
  uint32_t height;      // levels of branches above the leaves
  uint32_t root;        // arena unit of the topmost node; 0: no page was ever mapped
};

// Where a page leads: `access` is 0 if nowhere.
struct PageEntry {
  uint64_t user_address;
  uint32_t access;
};

// Is told of pages of a table: `pages` of them, whose memory is consecutive from `user_address` on.
class PageRunSink {
 public:
  virtual void OnRun(uint64_t user_address, uint64_t pages) = 0;

 protected:
  ~PageRunSink() = default;
};

// A view on a table: an arena and a pointer. Pages are counted from 0; ranges of them lie inside
// the table.
class PageTable {
 public:
  // What of an entry is not the address: user addresses are multiples of at least 4096.
  static constexpr uint64_t kAccessMask = 0xfff;

  PageTable(Arena arena, PageTableState* state) : arena_(arena), state_(state) {}

  // Gives the table, which is all zero, `pages` (1 to 1 << 52) pages of 1 << `page_shift` (12 to
  // 63) bytes.
  void Initialize(uint64_t pages, uint32_t page_shift);
  // Frees all nodes; the table is all zero again. If it was begun before by a process that died, it
  // goes on there.
  void Destroy();

  // Allocates what Set needs for `count` pages from `first` on. ENOMEM if the arena is full; no
  // entry has changed then.
  Status Reserve(uint64_t first, uint64_t count);
  // Makes `count` pages from `first` on, which are reserved, lead to consecutive memory from
  // entry.user_address on, a multiple of 4096, with entry.access (not 0, within kAccessMask).
  // `gone` is told where they led before. Returns how many led somewhere.
  uint64_t Set(uint64_t first, uint64_t count, const PageEntry& entry, PageRunSink& gone);
  // Makes `count` pages from `first` on lead nowhere. `gone` and the result are as with Set. What
  // was never mapped costs next to nothing.
  uint64_t Clear(uint64_t first, uint64_t count, PageRunSink& gone);

  // Where a page leads.
  PageEntry At(uint64_t page) const;
  // The first page from `page` on that leads somewhere; the number of pages if none does.
  uint64_t NextMapped(uint64_t page) const;
  // Tells `sink` of all that is mapped of `count` pages from `first` on, in order. Returns how many
  // pages that are.
  uint64_t Walk(uint64_t first, uint64_t count, PageRunSink& sink) const;
  // Puts `mapped` right after a process died in the middle of a change.
  void Recount();

 private:
  class Tree;
  class Runs;

  template <typename Visit>
  void ForEachMapped(uint64_t first, uint64_t count, Visit visit) const;

  Arena arena_;
  PageTableState* state_;
};

}  // namespace ioas

#endif  // IOAS_PAGE_TABLE_H_
