// Which pages devices wrote: a bit for each page of a page table, in the shared arena.
//
// A radix tree whose leaves are bitmaps. They are there for what is mapped and for nothing else:
// Reserve makes them before something is mapped, so that a device's write needs no memory and
// always finds its bit. It takes no lock: whoever holds the lock of the address space uses it.
//
// Nodes are linked when they are ready and freed when they are not linked any more, so that a
// process that dies in the middle leaves a tree that can be used.
#ifndef IOAS_DIRTY_PAGES_H_
#define IOAS_DIRTY_PAGES_H_

#include <cstdint>

#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/mapping_index.h"
#include "ioas/range.h"

namespace ioas {

// As it lies in the arena. All zero it tracks nothing.
struct DirtyPagesState {
  uint32_t is_tracking;
  uint32_t page_shift;  // a page's size is 1 << page_shift
  uint32_t height;      // levels of branches above the leaves
  uint32_t root;        // arena unit of the topmost node; 0: nothing is reserved
};

// Is told of ranges that were written: whole pages, ascending.
class DirtyPageSink {
 public:
  virtual void OnWritten(const IovaRange& pages) = 0;

 protected:
  ~DirtyPageSink() = default;
};

// A view: an arena and a pointer. Ranges that are given end at Initialize's `last`.
class DirtyPages {
 public:
  DirtyPages(Arena arena, DirtyPagesState* state) : arena_(arena), state_(state) {}

  bool is_tracking() const { return state_->is_tracking != 0; }

  // For addresses up to `last`, and pages of `page_size` bytes, a power of two. Tracks nothing yet.
  void Initialize(uint64_t last, uint64_t page_size);
  // From now on what is reserved is what is mapped, and what is marked is what was written.
  void Start() { state_->is_tracking = 1; }
  // Frees everything: nothing is reserved any more.
  void Clear();
  // Undoes Start, and clears.
  void Stop();

  // Makes room for the bits of `range`, which are clear then. ENOMEM if the arena is full; what was
  // reserved before is unharmed, what is new stays until Release.
  Status Reserve(const IovaRange& range);
  // Clears the bits of `range`, and frees the room where `mappings` has nothing.
  void Release(const IovaRange& range, MappingIndex mappings);

  // All pages that `range` touches were written. What is not reserved is left out.
  void Mark(const IovaRange& range);
  // Tells `sink` of the pages of `range` that were written, and clears their bits if `clear`.
  void Read(const IovaRange& range, bool clear, DirtyPageSink& sink);

 private:
  class Tree;

  // Calls `visit` with each word of the bitmap that has bits of `range`, with their mask, and the
  // address of the word's first page.
  template <typename Visit>
  void ForEachWord(const IovaRange& range, Visit visit) const;

  Arena arena_;
  DirtyPagesState* state_;
};

}  // namespace ioas

#endif  // IOAS_DIRTY_PAGES_H_
