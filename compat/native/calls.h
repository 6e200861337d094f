// The calls of /dev/iommu. Internal to this folder.
#ifndef COMPAT_NATIVE_CALLS_H_
#define COMPAT_NATIVE_CALLS_H_

#include <algorithm>
#include <cstdint>

#include "compat/decode/decode.h"
#include "compat/native/context.h"
#include "ioas/base/result.h"

namespace compat::native {

// Copies `structure` back, as much of it as the caller knows (iommufd_ucmd_respond). EFAULT.
template <typename Structure>
ioas::Status Respond(const decode::DecodedCall& call, const Structure& structure) {
  return call.CopyOut(structure, std::min<size_t>(structure.size, sizeof(structure)));
}

// Each carries one call out. Errors and their order are those
// of the function of the same name in drivers/iommu/iommufd/.
ioas::Status Destroy(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasIovaRanges(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasAllowIovas(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasMap(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasCopy(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasUnmap(const Caller& caller, const decode::DecodedCall& call);
ioas::Status Option(const Caller& caller, const decode::DecodedCall& call);
ioas::Status VfioIoas(const Caller& caller, const decode::DecodedCall& call);
ioas::Status HwptAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status GetHwInfo(const Caller& caller, const decode::DecodedCall& call);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_CALLS_H_
