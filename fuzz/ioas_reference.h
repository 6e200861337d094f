// What an address space is, without regard to speed: pages in maps, ranges in lists. The target
// `ioas` holds ioas::AddressSpace against it.
#ifndef FUZZ_IOAS_REFERENCE_H_
#define FUZZ_IOAS_REFERENCE_H_

#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "ioas/address_space.h"

namespace fuzz {

// Where a page leads.
struct ReferencePage {
  uint64_t user_address;
  uint32_t access;

  bool operator==(const ReferencePage&) const = default;
};
using ReferencePages = std::map<uint64_t, ReferencePage>;  // by IOVA

struct ReferenceWindow {
  ioas::IovaRange range;
  uint32_t page_shift;
  uint32_t process;
  ReferencePages pages;

  uint64_t page_size() const { return uint64_t{1} << page_shift; }
};

// The state, and the questions that are asked of it. Whoever changes it asks them before.
struct ReferenceSpace {
  // The errno that a new mapping has to be refused with before the backend is asked; 0: none.
  int MapErrno(const ioas::Mapping& mapping) const;
  // The same for a run of pages of `window`.
  int MapRunErrno(const ReferenceWindow& window, const ioas::PageRun& run) const;
  // The same for a window.
  int AddWindowErrno(uint64_t first, uint64_t pages, uint32_t page_shift) const;
  // The errno of limits for so many more mappings and bytes in `range`.
  int LimitsErrno(const ioas::IovaRange& range, uint64_t more, uint64_t bytes) const;

  // Whether all of a range lies in one aperture and touches nothing that is reserved.
  bool IsUsable(const ioas::IovaRange& range) const;
  // Whether windows can map there.
  bool IsReachable(const ioas::IovaRange& range) const {
    return has_windows_anywhere || IsUsable(range);
  }
  // The ranges that mappings may lie in, found by asking of each place where anything begins.
  std::vector<ioas::IovaRange> UsableRanges() const;
  // Whether a window of `size` bytes may begin at `first`.
  bool IsPlaceFor(uint64_t first, uint64_t size) const;

  const ioas::Mapping* FindMapping(const ioas::IovaRange& range) const;
  uint32_t FindWindow(uint64_t iova) const;  // kMaxWindows: none
  // Where [iova, last] of `window` leads first, as one mapping.
  static std::optional<ioas::Mapping> FindRun(const ReferenceWindow& window, uint64_t iova,
                                              uint64_t last);
  // Takes pages away; returns where they led, in the order of their IOVAs.
  static std::vector<uint64_t> TakePages(ReferenceWindow& window, const ioas::IovaRange& iovas);

  uint64_t BytesMapped() const;
  uint64_t LiveMappings() const;
  uint32_t MappingsLeft() const;

  uint32_t mapping_limit = 0;
  bool has_windows_anywhere = false;
  std::vector<ioas::IovaRange> apertures;
  std::vector<ioas::ReservedRange> reserved;
  ioas::MappingLimits limits{};
  std::map<uint64_t, ioas::Mapping> mappings;  // by first IOVA
  std::optional<ReferenceWindow> windows[ioas::kMaxWindows];
  uint64_t maps = 0;
  uint64_t unmaps = 0;
};

}  // namespace fuzz

#endif  // FUZZ_IOAS_REFERENCE_H_
