// An I/O address space: what a device's DMA addresses mean.
//
// Apertures say what can be translated, reserved ranges (each with its owner) what is kept out of
// them, mappings what leads where. The state lies in the arena; AddressSpace is a view on it, two
// pointers, made wherever it is needed.
#ifndef IOAS_ADDRESS_SPACE_H_
#define IOAS_ADDRESS_SPACE_H_

#include <cstdint>
#include <span>

#include "ioas/backend.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/mapping_index.h"
#include "ioas/range.h"

namespace ioas {

inline constexpr uint32_t kMaxApertures = 64;
inline constexpr uint32_t kMaxReservedRanges = 32;
// Enough for what apertures minus reserved ranges can leave.
inline constexpr uint32_t kMaxUsableRanges = kMaxApertures + kMaxReservedRanges;

// A range that no mapping may touch, and who needs it so.
struct ReservedRange {
  IovaRange range;
  uint32_t owner;  // kIommuOwner, or a device's number
};
inline constexpr uint32_t kIommuOwner = ~0u;

// What happened in an address space since it was made.
struct AddressSpaceStatistics {
  uint64_t maps;          // mappings made
  uint64_t unmaps;        // mappings removed
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
  IovaRange apertures[kMaxApertures];
  ReservedRange reserved[kMaxReservedRanges];
  AddressSpaceStatistics statistics;
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
    // Takes the lock. If its last holder died in the middle of a change, the mapping that it was
    // about is dropped, and all of them where that cannot be told apart: DMA then faults, which is
    // better than what a half-made change could lead to.
    explicit Lock(AddressSpace& space);

   private:
    RobustLock lock_;
  };

  // Makes it as Create would: the properties of `iommu`, no statistics. It holds no mappings.
  void Configure(const IommuProperties& iommu, uint32_t mapping_limit);
  // Takes over the properties of `iommu`, which changed with the devices. Mappings stay.
  void SetProperties(const IommuProperties& iommu);

  // Frees all of it; nothing is unmapped: call UnmapAll before. The view is dead afterwards.
  void Destroy();

  const AddressSpaceState& state() const { return *state_; }
  AddressSpaceStatistics& statistics() { return state_->statistics; }
  MappingIndex mappings() { return MappingIndex(*arena_, &state_->mappings); }

  // The size of the smallest page, in bytes.
  uint64_t page_size() const { return state_->page_sizes & -state_->page_sizes; }

  // Maps. `mapping` is page aligned and does not wrap. In this order: EEXIST if any of it
  // is mapped, ENOSPC at the mapping limit, EINVAL if not inside one usable range, what
  // Backend::Map says, ENOMEM if the arena is full. A call that fails changes nothing.
  Status Map(const Mapping& mapping);
  // Unmaps one mapping, a copy of which is `mapping`; it lies at `place` of mappings(). Fails as
  // Backend::Unmap does, and then changes nothing.
  Status Unmap(const MappingIndex::Place& place, const Mapping& mapping);
  Status Unmap(const Mapping& mapping) { return Unmap(mappings().Find(mapping.first), mapping); }
  // Unmaps all. Returns how many bytes were mapped.
  uint64_t UnmapAll();

  // Where `iova` leads for an access of kind `access` (one Access bit): ENOENT if it is not mapped,
  // EACCES if the mapping does not permit it.
  Result<Translation> Translate(uint64_t iova, uint32_t access);

  // Apertures minus reserved ranges, ascending, into `ranges` (kMaxUsableRanges of them are always
  // enough). Returns how many there are.
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

  Arena* arena_;
  AddressSpaceState* state_;
  Backend* backend_;
  IoasHandle handle_;
};

}  // namespace ioas

#endif  // IOAS_ADDRESS_SPACE_H_
