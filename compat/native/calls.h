// The calls of /dev/iommu. Internal to this folder.
#ifndef COMPAT_NATIVE_CALLS_H_
#define COMPAT_NATIVE_CALLS_H_

#include <algorithm>
#include <cerrno>
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

// What mappings have in common, however they are asked for (iopt_alloc_pages, iopt_map_pages):
// EINVAL for no bytes or far too many, EOVERFLOW for memory that wraps around.
inline ioas::Status CheckMemory(uint64_t user_address, uint64_t length) {
  constexpr uint64_t kPageSize = 4096;
  if (length == 0 || length > UINT64_MAX - kPageSize) {
    return ioas::Error{EINVAL, "the length is 0 or too large"};
  }
  if (user_address + length < user_address) {
    return ioas::Error{EOVERFLOW, "the memory wraps around"};
  }
  return {};
}
// The range of `length` bytes from `first` on: EINVAL if it is empty, EOVERFLOW if it wraps around.
inline ioas::Result<ioas::IovaRange> RangeOf(uint64_t first, uint64_t length) {
  if (length == 0) return ioas::Error{EINVAL, "the range is empty"};
  const uint64_t last = first + (length - 1);
  if (last < first) return ioas::Error{EOVERFLOW, "the range wraps around"};
  return ioas::IovaRange{first, last};
}
// EINVAL for a length that is not a multiple of the page size, or 0.
inline ioas::Status CheckLength(const ioas::AddressSpace& space, uint64_t length) {
  if (length != 0 && (length & (space.page_size() - 1)) == 0) return {};
  return ioas::Error{EINVAL, "the length is 0, or not a multiple of the page size"};
}

// Each carries one call out. Errors and their order are those
// of the function of the same name in drivers/iommu/iommufd/.
ioas::Status Destroy(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasIovaRanges(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasAllowIovas(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasMap(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasMapFile(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasChangeProcess(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasCopy(const Caller& caller, const decode::DecodedCall& call);
ioas::Status IoasUnmap(const Caller& caller, const decode::DecodedCall& call);
ioas::Status Option(const Caller& caller, const decode::DecodedCall& call);
ioas::Status VfioIoas(const Caller& caller, const decode::DecodedCall& call);
ioas::Status HwptAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status HwptInvalidate(const Caller& caller, const decode::DecodedCall& call);
ioas::Status HwptSetDirtyTracking(const Caller& caller, const decode::DecodedCall& call);
ioas::Status HwptGetDirtyBitmap(const Caller& caller, const decode::DecodedCall& call);
ioas::Status FaultQueueAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status ViommuAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status VdeviceAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status VeventqAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status HwQueueAlloc(const Caller& caller, const decode::DecodedCall& call);
ioas::Status GetHwInfo(const Caller& caller, const decode::DecodedCall& call);

// Legacy calls on /dev/iommu, on the context's compatibility address space; ENODEV if it has none.
// Returns what ioctl() returns (drivers/iommu/iommufd/vfio_compat.c).
ioas::Result<long> LegacyCall(const Caller& caller, const decode::DecodedCall& call);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_CALLS_H_
