// An I/O address space: what a device's DMA addresses mean.
//
// Apertures say what can be translated, reserved ranges (each with its owner) what is kept out of
// them, mappings what leads where. The state lies in the arena; AddressSpace is a view on it, two
// pointers, made wherever it is needed.
//
// A window is an aperture of another kind: its pages lie in a page table and are mapped, replaced
// and unmapped one by one, without regard to how they came to be (SPAPR TCE containers). All memory
// behind a window is one process's.
#ifndef IOAS_ADDRESS_SPACE_H_
#define IOAS_ADDRESS_SPACE_H_

#include <cstdint>
#include <optional>
#include <span>

#include "ioas/backend.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/mapping_index.h"
#include "ioas/page_table.h"
#include "ioas/range.h"

namespace ioas {

inline constexpr uint32_t kMaxApertures = 64;
inline constexpr uint32_t kMaxReservedRanges = 32;
inline constexpr uint32_t kMaxLimitRanges = 16;
// Enough for what apertures minus reserved ranges can leave, and limits allow of that.
inline constexpr uint32_t kMaxUsableRanges = kMaxApertures + kMaxReservedRanges + kMaxLimitRanges;

// What new mappings may not exceed, besides what the address space has of itself.
struct MappingLimits {
  uint64_t bytes;                     // mapped in all; 0: no limit
  uint32_t mappings;                  // as live_mappings() counts them; 0: no limit
  uint32_t range_count;               // 0: mappings may lie anywhere
  IovaRange ranges[kMaxLimitRanges];  // where they may lie; ascending, and none touches the next
};

// A range that no mapping may touch, and who needs it so.
struct ReservedRange {
  IovaRange range;
  uint32_t owner;  // kIommuOwner, or a device's number
};
inline constexpr uint32_t kIommuOwner = ~0u;

inline constexpr uint32_t kMaxWindows = 2;

struct WindowState {
  IovaRange range;
  uint32_t process;  // whose memory is behind it: an index in the ProcessTable
  PageTableState table;
};

// What happened in an address space since it was made. A page of a window counts as a mapping.
struct AddressSpaceStatistics {
  uint64_t maps;          // mappings made
  uint64_t unmaps;        // mappings removed, those that were replaced included
  uint64_t bytes_mapped;  // live
  uint64_t dma_read;      // bytes that devices read
  uint64_t dma_written;   // bytes that devices wrote
  uint64_t faults;
};

struct AddressSpaceState {
  RobustMutex mutex;
  MappingIndexState mappings;
  uint64_t page_sizes;
  uint32_t mapping_limit;
  uint32_t aperture_count;
  uint32_t reserved_count;
  // A mapping is being made or removed there: whoever finds this after a death does not know
  // whether it is.
  uint32_t is_changing;
  IovaRange changing;
  uint32_t windows;               // a bit for each of `window` that is there
  uint32_t has_windows_anywhere;  // as in IommuProperties
  IovaRange apertures[kMaxApertures];
  ReservedRange reserved[kMaxReservedRanges];
  WindowState window[kMaxWindows];
  AddressSpaceStatistics statistics;
  uint32_t has_limits;
  MappingLimits limits;

  // How many mappings there are, pages of windows included.
  uint64_t live_mappings() const {
    uint64_t live = mappings.size;
    for (const WindowState& each : window) live += each.table.mapped;
    return live;
  }
};

// Where an IOVA leads.
struct Translation {
  uint64_t user_address;
  uint64_t contiguous;  // bytes from there that the same mapping covers, at least 1
  uint32_t process;     // whose memory it is: an index in the ProcessTable
};

class AddressSpace {
 public:
  // Makes an empty address space with the apertures and reserved ranges of `iommu`. At most
  // `mapping_limit` mappings fit. ENOMEM if the arena is full.
  static Result<ArenaRef<AddressSpaceState>> Create(Arena& arena, const IommuProperties& iommu,
                                                    uint32_t mapping_limit);

  // A view for those who translate and look; what maps and unmaps needs the backend as well, and
  // where that finds the address space.
  AddressSpace(Arena& arena, ArenaRef<AddressSpaceState> state, Backend* backend = nullptr,
               IoasHandle handle = {})
      : arena_(&arena), state_(arena.Get(state)), backend_(backend), handle_(handle) {}

  // Holds the address space's lock. Everything below needs it held, by the caller.
  class [[nodiscard]] Lock {
   public:
    // Takes the lock. If its last holder died in the middle of a change, the mapping or the pages
    // that it was about are dropped, and all mappings where that cannot be told apart: DMA then
    // faults, which is better than what a half-made change could lead to.
    explicit Lock(AddressSpace& space) : lock_(space.state_->mutex) {
      if (lock_.owner_died()) [[unlikely]]
        space.Recover();
    }

   private:
    RobustLock lock_;
  };

  // The same, but gives up after about `milliseconds`.
  class [[nodiscard]] TimedLock {
   public:
    TimedLock(AddressSpace& space, uint32_t milliseconds)
        : lock_(space.state_->mutex, milliseconds) {
      if (lock_.owner_died()) space.Recover();
    }
    bool held() const { return lock_.held(); }

   private:
    TimedRobustLock lock_;
  };

  // Makes it as Create would: the properties of `iommu`, no statistics. It holds no mappings.
  void Configure(const IommuProperties& iommu, uint32_t mapping_limit);
  // Takes over the properties of `iommu`, which changed with the devices. Mappings stay.
  void SetProperties(const IommuProperties& iommu);

  // What is mapped already stays, whatever it exceeds. Configure changes nothing about it.
  void SetLimits(const MappingLimits& limits);
  // How many more mappings fit.
  uint32_t MappingsLeft() const;

  // Frees all of it; nothing is unmapped: call UnmapAll before. The view is dead afterwards.
  void Destroy();

  const AddressSpaceState& state() const { return *state_; }
  AddressSpaceStatistics& statistics() { return state_->statistics; }
  MappingIndex mappings() { return MappingIndex(*arena_, &state_->mappings); }

  // The size of the smallest page, in bytes.
  uint64_t page_size() const { return state_->page_sizes & -state_->page_sizes; }

  // Maps. `mapping` is page aligned and does not wrap. In this order: EEXIST if any of it
  // is mapped, ENOSPC at the mapping limit, EINVAL if not inside one usable range, what SetLimits
  // forbids (ENOSPC, EINVAL, ENOMEM for too many bytes), what Backend::Map says, ENOMEM if the
  // arena is full. A call that fails changes nothing.
  Status Map(const Mapping& mapping);
  // Unmaps one mapping, a copy of which is `mapping`; it lies at `place` of mappings(). Fails as
  // Backend::Unmap does, and then changes nothing.
  Status Unmap(const MappingIndex::Place& place, const Mapping& mapping);
  Status Unmap(const Mapping& mapping) { return Unmap(mappings().Find(mapping.first), mapping); }
  // Unmaps all. Returns how many bytes were mapped.
  uint64_t UnmapAll();

  // --- Windows: `number` is below kMaxWindows ---

  // The lowest place for a window of `size` bytes, a power of two, that is a multiple of its size,
  // in a usable range and free of other windows. ENOSPC if there is none.
  Result<uint64_t> FindPlace(uint64_t size) const;
  // Makes window `number`, which is not there, from `first` on, of `pages` pages (at least 1) of
  // 1 << `page_shift` bytes (at least 4096), with memory of `process` to come. Takes hardly any
  // memory. It may have holes, ranges that are not usable, where MapRun maps nothing. EINVAL if
  // pages are smaller than the IOMMU's, or the window wraps, ENOSPC if it meets another window or
  // its ends are not usable.
  Status AddWindow(uint32_t number, uint64_t first, uint64_t pages, uint32_t page_shift,
                   uint32_t process);
  // Removes window `number`, if it is there, with all that it maps; `gone` is told of that.
  void RemoveWindow(uint32_t number, PageRunSink& gone);
  bool HasWindow(uint32_t number) const { return (state_->windows >> number & 1) != 0; }
  // The window that `iova` lies in; nothing if there is none.
  std::optional<uint32_t> FindWindow(uint64_t iova) const;
  const WindowState& window(uint32_t number) const { return state_->window[number]; }

  // Makes pages of window `number` lead to a run of memory; `gone` is told where they led before.
  // EINVAL, and nothing has changed, if a part of the range is not usable; ENOMEM likewise if the
  // arena is full, and what SetLimits forbids; otherwise fails as Backend::MapRun does: after
  // EFAULT nothing has changed, after other errors no page of the run leads anywhere.
  Status MapRun(uint32_t number, const PageRun& run, PageRunSink& gone);
  // Makes pages of window `number` lead nowhere; `gone` is told where they led before. Fails as
  // Backend::UnmapRange does, and then changes nothing.
  Status UnmapRun(uint32_t number, const IovaRange& iovas, PageRunSink& gone);

  // Where window `number` leads, at the first of its pages that touches [iova, last] and leads
  // somewhere, with those behind it that go on there as one mapping, up to the one that has `last`
  // in it. Nothing if there is none.
  std::optional<Mapping> FindRun(uint32_t number, uint64_t iova, uint64_t last) const;

  // --- Devices ---

  // Where `iova` leads for an access of kind `access` (one Access bit): ENOENT if it is not mapped,
  // EACCES if the mapping does not permit it.
  Result<Translation> Translate(uint64_t iova, uint32_t access);

  // Apertures minus reserved ranges, as far as limits allow, ascending, into `ranges`
  // (kMaxUsableRanges of them are always enough). Returns how many there are.
  uint32_t UsableRanges(std::span<IovaRange> ranges) const;
  bool IsUsable(const IovaRange& range) const;

  // Keeps `range` free of mappings for `owner`. EADDRINUSE if something is mapped there, ENOSPC if
  // kMaxReservedRanges are there already.
  Status Reserve(const IovaRange& range, uint32_t owner);
  // Gives back what `owner` reserved.
  void Release(uint32_t owner);

 private:
  // Puts right what a process that died with the lock left behind.
  void Recover();
  // The parts of that about windows: no page of `iovas` leads anywhere any more, and windows that
  // were being removed are.
  void ForgetPages(const IovaRange& iovas);
  void DestroyRemovedWindows();
  // Counts anew what AddressSpaceStatistics::bytes_mapped says.
  uint64_t BytesMapped();

  // Whether limits permit `mappings` more mappings of `bytes` in all, in `range`.
  Status CheckLimits(const IovaRange& range, uint64_t mappings, uint64_t bytes) const;

  // Whether windows can map there.
  bool IsReachable(const IovaRange& range) const {
    return state_->has_windows_anywhere != 0 || IsUsable(range);
  }
  PageTable TableOf(uint32_t number) const {
    return PageTable(*arena_, &state_->window[number].table);
  }
  // Makes the pages of `iovas`, which begins and ends with pages of the window, lead nowhere.
  void ClearPages(uint32_t number, const IovaRange& iovas, PageRunSink& gone);
  Result<Translation> TranslateInWindow(uint32_t number, uint64_t iova, uint32_t access) const;

  Arena* arena_;
  AddressSpaceState* state_;
  Backend* backend_;
  IoasHandle handle_;
};

}  // namespace ioas

#endif  // IOAS_ADDRESS_SPACE_H_
