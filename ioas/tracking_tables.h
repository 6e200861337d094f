// The page tables of an address space that record what devices write.
#ifndef IOAS_TRACKING_TABLES_H_
#define IOAS_TRACKING_TABLES_H_

#include <cstdint>

namespace ioas {

// The kernel's page tables of one IOAS that were made to record dirty pages. Plain data, for the
// arena; all zero it is that of an IOAS that nothing was attached to.
struct TrackingTables {
  static constexpr uint32_t kMax = 16;  // one for each kind of IOMMU, mostly one in all

  uint32_t count;
  uint32_t has_untracked;  // 1: a device was attached that writes without a record
  uint32_t hwpts[kMax];
};

}  // namespace ioas

#endif  // IOAS_TRACKING_TABLES_H_
