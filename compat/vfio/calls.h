// The calls on each kind of file. Internal to this folder.
#ifndef COMPAT_VFIO_CALLS_H_
#define COMPAT_VFIO_CALLS_H_

#include <cerrno>
#include <cstdint>

#include "compat/decode/decode.h"
#include "compat/vfio/platform.h"
#include "ioas/base/result.h"

namespace compat::vfio {

class Host;

// A group's file. Its last descriptor may be closed while a call on it is under way.
struct GroupFile {
  uint32_t group;  // the host's index
  uint32_t slot;
};

// Each returns what ioctl() returns, or the errno.
// `slot` is the file's: a container or group that is no longer that file's is EBADF.
ioas::Result<long> ContainerIoctl(Host& host, ContainerState& container, int fd, uint32_t slot,
                                  const CallArguments& arguments);
ioas::Result<long> GroupIoctl(Host& host, const GroupFile& file, const CallArguments& arguments);

inline constexpr ioas::Error kIsClosed = {EBADF, "the descriptor was closed meanwhile"};
inline constexpr ioas::Error kIsRevoked = {ENODEV, "an operator has revoked the container"};

// Counts a call that nobody knows, for the summary, and tells those who watch.
void CountUnknown(const Host& host, ContainerState& container, uint64_t request);

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_CALLS_H_
