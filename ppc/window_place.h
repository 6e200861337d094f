// Where windows come to lie.
#ifndef PPC_WINDOW_PLACE_H_
#define PPC_WINDOW_PLACE_H_

#include <cstdint>

#include "ioas/address_space.h"
#include "ioas/base/result.h"
#include "ppc/platform.h"

namespace ppc {

// Makes the window that is planned for a request, with memory of `process` to come. Returns where
// it starts: where the plan has it, or, if the host's IOMMU does not reach there and it `may_move`,
// at the lowest multiple of its size where it does. Fails as AddressSpace::AddWindow and FindPlace
// do, and then changes nothing. Needs the address space's lock.
ioas::Result<uint64_t> PlaceWindow(ioas::AddressSpace& space, const WindowRequest& request,
                                   const WindowPlan& plan, uint32_t process, bool may_move);

// Which windows containers can have.
struct WindowSurvey {
  uint64_t default_size;   // of the default window, in bytes from 0 on; 0: there can be none
  uint64_t largest_size;   // of the largest beside it, in bytes; 0: there can be none
  uint64_t largest_start;  // where that would lie
  uint64_t planned_start;  // where the platform has it
};

// Finds that out for an IOMMU, by PlaceWindow. ENOMEM.
ioas::Result<WindowSurvey> SurveyWindows(const PlatformProfile& platform,
                                         const ioas::IommuProperties& iommu);

}  // namespace ppc

#endif  // PPC_WINDOW_PLACE_H_
