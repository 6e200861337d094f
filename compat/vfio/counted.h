// Calls as counters see them. Internal to this folder.
#ifndef COMPAT_VFIO_COUNTED_H_
#define COMPAT_VFIO_COUNTED_H_

#include <cstdint>

#include "compat/decode/call.h"
#include "compat/events/counters.h"
#include "ioas/base/result.h"

namespace compat::vfio {

// Carries a call out and counts it, if somebody counts: only then `find_row()` is asked for its
// row, which is null for a call that nobody knows.
template <typename FindRow, typename Carry>
ioas::Result<long> Counted(FindRow find_row, Carry carry) {
  if (!events::IsCounting()) [[likely]]
    return carry();
  const decode::CallRow* const row = find_row();
  const events::CountedCall counted(row != nullptr ? static_cast<uint32_t>(row->call)
                                                   : events::kUnknownCall);
  ioas::Result<long> result = carry();
  counted.End(result.error().code);
  return result;
}

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_COUNTED_H_
