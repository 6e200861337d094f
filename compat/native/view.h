// Address spaces of contexts, for those who look at them from outside.
#ifndef COMPAT_NATIVE_VIEW_H_
#define COMPAT_NATIVE_VIEW_H_

#include <cstdint>

#include "compat/native/state.h"
#include "compat/vfio/host.h"
#include "compat/vfio/native.h"
#include "ioas/base/result.h"

namespace compat::native {

// Gives a context that this process has opened a number that no other one has. Needs the host's
// lock.
void NumberContext(vfio::Host& host, ContextState& context);

// As vfio::Native::VisitIoases.
ioas::Status VisitIoases(vfio::Host& host, uint32_t first, uint32_t patience,
                         vfio::IoasVisitor& visitor);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_VIEW_H_
