// What would have done where a call was refused for its IOVAs: for logs.
#ifndef COMPAT_VFIO_RANGE_ADVICE_H_
#define COMPAT_VFIO_RANGE_ADVICE_H_

#include <cstdint>
#include <optional>

#include "compat/vfio/host.h"
#include "compat/vfio/platform.h"
#include "ioas/range.h"

namespace compat::vfio {

struct RangeAdvice {
  // Where the call was to map, which devices do not reach as one range; nothing for a window, which
  // has no place of its own.
  std::optional<ioas::IovaRange> refused;
  // What would do: as large as was asked for, at or above that if there is such a range, or else
  // the largest there is. Nothing if there is none.
  std::optional<ioas::IovaRange> instead;
  bool is_as_large;
};

// Looks at a call on a descriptor of `slot` that was refused with `error`: a MAP_DMA outside the
// usable ranges (or a container's windows), or a SPAPR window for which there is no place. Nothing
// for any other. Takes the lock of the address space.
std::optional<RangeAdvice> AdviseOn(const Host& host, uint32_t slot, const CallArguments& call,
                                    int error);

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_RANGE_ADVICE_H_
