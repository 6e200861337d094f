// An I/O address space: what a device's DMA addresses mean.
//
// Apertures say what can be translated, reserved ranges (each with its owner) what is kept out of
// them, mappings what leads where. The state lies in the arena; AddressSpace is a view on it, a few
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

class DirtyPageSink;  // dirty_pages.h
struct DomainState;   // domain.h

inline constexpr uint32_t kMaxApertures = 64;
inline constexpr uint32_t kMaxReservedRanges = 128;
inline constexpr uint32_t kMaxLimitRanges = 16;
// Enough for what apertures minus reserved ranges can leave.
inline constexpr uint32_t kMaxUnreservedRanges = kMaxApertures + kMaxReservedRanges;
// Enough for what limits allow of that.
inline constexpr uint32_t kMaxUsableRanges = kMaxUnreservedRanges + kMaxLimitRanges;

// What new mappings may not exceed, besides what the address space has of itself.
struct MappingLimits {
  uint64_t bytes;                     // mapped in all; 0: no limit
  uint32_t mappings;                  // as live_mappings() counts them; 0: no limit
  uint32_t range_count;               // 0: mappings may lie anywhere
  IovaRange ranges[kMaxLimitRanges];  // where they may lie; ascending, and none touches the next
};

// A range that somebody is going to need.
struct RangeRequest {
  uint64_t size;                  // bytes
  uint64_t alignment = 1;         // of its first address: a power of two
  uint64_t lowest = 0;            // the first address is not below
  uint64_t highest = UINT64_MAX;  // the last one not above
};

// A range that no mapping may touch, and who needs it so.
struct ReservedRange {
  IovaRange range;
  uint32_t owner;  // kIommuOwner, or a device's number
};
inline constexpr uint32_t kIommuOwner = ~0u;

// A page table of an IOMMU that holds what is mapped.
struct AddressSpaceDomain {
  uint64_t page_sizes;          // as in IommuProperties
  uint32_t owner;               // whose it is: no other domain's, nor that of a reserved range
  ArenaRef<DomainState> state;  // 0: it has none
};
inline constexpr uint32_t kMaxDomains = 64;

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
  // What the two leave, ascending: computed when they change.
  uint32_t unreserved_count;
  IovaRange unreserved[kMaxUnreservedRanges];
  WindowState window[kMaxWindows];
  AddressSpaceStatistics statistics;
  uint32_t has_limits;
  MappingLimits limits;
  // Mappings are the backend's, too. Without domains they only say what shall be where.
  uint32_t is_carried_out;
  uint32_t small_pages_only;
  uint32_t domain_count;
  AddressSpaceDomain domains[kMaxDomains];
  // What Allow was given; none: everything.
  uint32_t allowed_count;
  ArenaRef<IovaRange> allowed;

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
  uint64_t iova;        // the address in the address space, of which this is the translation
};

class AddressSpace {
 public:
  // Makes an empty address space with the apertures and reserved ranges of `iommu`. At most
  // `mapping_limit` mappings fit. ENOMEM if the arena is full.
  static Result<ArenaRef<AddressSpaceState>> Create(Arena& arena, const IommuProperties& iommu,
                                                    uint32_t mapping_limit);

  // A view for those who translate and look; what maps and unmaps needs the backend as well, and
  // where that finds the address space: `handle` outlives the view.
  AddressSpace(Arena& arena, ArenaRef<AddressSpaceState> state, Backend* backend = nullptr,
               const IoasHandle* handle = &kArenaOnly)
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
  // Whether all that is mapped, and the ends of all windows, would be in reach of `iommu`.
  bool Fits(const IommuProperties& iommu);

  // What is mapped already stays, whatever it exceeds. Configure changes nothing about it.
  void SetLimits(const MappingLimits& limits);
  // How many more mappings fit.
  uint32_t MappingsLeft() const;

  // Frees all of it; nothing is unmapped: call UnmapAll before. The view is dead afterwards.
  void Destroy();

  const AddressSpaceState& state() const { return *state_; }
  AddressSpaceStatistics& statistics() { return state_->statistics; }
  MappingIndex mappings() { return MappingIndex(*arena_, &state_->mappings); }

  // The size of the smallest page, in bytes; 1 where there is no domain that would need one.
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

  // --- Domains: address spaces that are there before any device is (domains.cc, places.cc) ---
  //
  // Source: drivers/iommu/iommufd/io_pagetable.c, whose order of errors these keep.

  // Makes an address space of 64 bits that has no domain: what is mapped may begin at any byte, and
  // its memory need not be there before AddDomain.
  static Result<ArenaRef<AddressSpaceState>> CreateWithoutDomain(Arena& arena);
  // Adds a domain of `iommu`: what its apertures leave out is reserved for `owner`, mappings are
  // aligned to its smallest page from now on. What the IOMMU reserves is to be reserved for each
  // device. With the first domain all mappings are carried out. EINVAL if its smallest page exceeds
  // 4096, EADDRINUSE if mappings are not aligned or lie outside its apertures, or a range that
  // Allow was given does, ENOMEM for too many, and as Backend::Map fails. Then nothing has changed.
  // `state` is what goes beyond that, if anything does; it stays until RemoveDomain.
  Status AddDomain(uint32_t owner, const IommuProperties& iommu, ArenaRef<DomainState> state = {});
  // Removes the domain of `owner`, and what is reserved for it.
  void RemoveDomain(uint32_t owner);
  // Has domains use the smallest pages only, so that mappings can be cut, or all. EINVAL if domains
  // may hold large pages, EADDRINUSE if mappings are not aligned to 4096.
  Status SetSmallPagesOnly(bool small);
  // Takes `ranges`, `count` of them, ascending and apart, for those that FindRoom is to choose from
  // and that stay free of reserved ranges; none is all. Owns them from then on. EADDRINUSE if one
  // is reserved: nothing has changed then.
  Status Allow(ArenaRef<IovaRange> ranges, uint32_t count);

  // A free place for a mapping of `length` bytes that leads to `user_address`, never 0. EOVERFLOW
  // if `length` is 0 or half of the space, EINVAL if `user_address` is not aligned to page_size(),
  // ENOSPC if there is none (iopt_alloc_iova).
  Result<uint64_t> FindRoom(uint64_t length, uint64_t user_address);
  // Whether a mapping of `length` bytes, at least 1, may lie at `first`: EINVAL if that is not
  // aligned or a reserved range meets it, EOVERFLOW if it wraps, EEXIST if something is mapped
  // there (iopt_check_iova).
  Status CheckRoom(uint64_t first, uint64_t length);
  // Maps all of `pieces`, which CheckRoom has passed as one range and which follow each other in
  // it. EPERM if one may not permit writing and shall, EINVAL if its memory is not aligned, what
  // SetLimits forbids, and as Backend::Map fails, or ENOMEM: then none is mapped.
  Status MapAll(std::span<const Mapping> pieces);
  // Makes two mappings of the one that `last` lies in, of which the first ends there; none is fine,
  // and so is one that begins or ends there. EINVAL if the second would not be aligned, or domains
  // may hold large pages, ENOMEM; then nothing has changed (iopt_cut_iova).
  Status CutAt(uint64_t last);
  // Unmaps, lowest first, the mappings that touch `range`. Returns how many bytes these were; adds
  // to `bytes` how many were unmapped also if it fails: ENOENT at the first that does not lie
  // inside as a whole.
  Status UnmapWhole(const IovaRange& range, uint64_t& bytes);

  // --- What devices write through a domain (dirty_tracking.cc) ---
  //
  // Pages are of the domain's smallest size. Source: iopt_set_dirty_tracking and
  // __iommu_read_and_clear_dirty in drivers/iommu/iommufd/io_pagetable.c.

  // Begins to record what is written, with nothing written so far, or ends it. Meanwhile mapping
  // takes memory for the record. ENOMEM, and it does not begin.
  Status TrackDirtyPages(ArenaRef<DomainState> domain, bool enable);
  // A device wrote to `range`, which is mapped.
  void MarkDirty(ArenaRef<DomainState> domain, const IovaRange& range);
  // Tells `sink` what of `range` was written, as far as mappings follow each other from its
  // beginning on, and forgets it if `clear`. Nothing while it is not recorded. After the death of a
  // process with the lock, what devices may write counts as written.
  void ReadDirtyPages(ArenaRef<DomainState> domain, const IovaRange& range, bool clear,
                      DirtyPageSink& sink);

  // --- What is free (free_ranges.cc) ---

  // The lowest range that is as asked for, inside one usable range, without mappings and windows.
  // EINVAL for no size or an alignment that is no power of two, ENOSPC if there is none.
  Result<IovaRange> FindRange(const RangeRequest& request);
  // The largest that there is whatever request.size, which is at least 1; the lowest of several.
  // Nothing if there is none, or the request is not right.
  std::optional<IovaRange> FindLargestRange(const RangeRequest& request);
  // All that is free inside `limits`, whatever its alignment: writes as many ranges to `ranges`,
  // ascending, as fit. Returns how many, and one more if there are others.
  size_t FreeRanges(const IovaRange& limits, std::span<IovaRange> ranges);

  // --- Windows: `number` is below kMaxWindows ---

  // The lowest place for a window of `size` bytes, a power of two, that is a multiple of its size,
  // in a usable range and free of other windows. ENOSPC if there is none.
  Result<uint64_t> FindPlace(uint64_t size);
  // Makes window `number`, which is not there, from `first` on, of `pages` pages (at least 1) of
  // 1 << `page_shift` bytes (at least 4096), with memory of `process` to come. Takes hardly any
  // memory. It may have holes, ranges that are not usable, where MapRun maps nothing. EINVAL if
  // pages are smaller than the IOMMU's, or the window wraps or is all 1 << 64 bytes, ENOSPC if it
  // meets another window or its ends are not usable.
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

  // Keeps `range` free of mappings for `owner`. EADDRINUSE if something is mapped or allowed there,
  // ENOSPC if
  // kMaxReservedRanges are there already.
  Status Reserve(const IovaRange& range, uint32_t owner);
  // Gives back what `owner` reserved.
  void Release(uint32_t owner);

 private:
  // Puts right what a process that died with the lock left behind.
  void Recover();
  // The parts of AddDomain and RemoveDomain.
  bool IsAligned(uint64_t alignment);
  Status ReserveOutside(std::span<const IovaRange> apertures, uint32_t owner);
  Status CarryOutAll();
  void UndoAll();
  void FindPageSizes();
  // The parts of that about what devices write: `range` is about to be mapped (ENOMEM: nothing has
  // changed), it is not mapped any more, nothing is, and nobody knows what was written.
  Status ReserveDirtyPages(const IovaRange& range);
  void ReleaseDirtyPages(const IovaRange& range);
  void ClearDirtyPages();
  void MarkAllDirty();
  template <typename Visit>
  void ForEachTrackingDomain(Visit visit);
  // Carries `mapping` out, or only keeps it, and undoes that.
  Status CarryOut(const Mapping& mapping);
  Status Undo(const Mapping& mapping);
  bool IsInUsableRange(const IovaRange& range) const;
  // The lowest mapping or window that meets `range`.
  std::optional<IovaRange> FindTaken(const IovaRange& range);
  // Calls `visit` with each gap that `request` could lie in, from its first aligned address on, as
  // far as `reachable`, until it returns true.
  template <typename Visit>
  void ForEachGap(std::span<const IovaRange> reachable, const RangeRequest& request, Visit visit);
  Result<IovaRange> FindRangeIn(std::span<const IovaRange> reachable, const RangeRequest& request);
  // The lowest free place in `range` that is a multiple of `alignment`, with `offset` beside.
  std::optional<uint64_t> FindRoomIn(IovaRange range, uint64_t length, uint64_t alignment,
                                     uint64_t offset);
  // Computes what apertures and reserved ranges leave.
  void FindUnreserved();
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
  const IoasHandle* handle_;
};

}  // namespace ioas

#include "ioas/address_space_map.h"  // IWYU pragma: export

#endif  // IOAS_ADDRESS_SPACE_H_
