// Internal to SpaprContainer.
#ifndef PPC_PAGE_RELEASE_H_
#define PPC_PAGE_RELEASE_H_

#include <cstdint>

#include "ioas/page_table.h"
#include "ppc/spapr_container.h"

namespace ppc {

// Takes pages that lead nowhere any more off the pins that they led to.
class SpaprContainer::PageRelease final : public ioas::PageRunSink {
 public:
  // The pages are of 1 << `page_shift` bytes.
  PageRelease(SpaprContainer& container, uint32_t page_shift)
      : container_(container), page_shift_(page_shift) {}
  void OnRun(uint64_t user_address, uint64_t pages) override;

 private:
  SpaprContainer& container_;
  uint32_t page_shift_;
};

}  // namespace ppc

#endif  // PPC_PAGE_RELEASE_H_
