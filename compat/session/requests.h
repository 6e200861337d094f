// What the functions that answer requests have in common. Internal to this folder.
#ifndef COMPAT_SESSION_REQUESTS_H_
#define COMPAT_SESSION_REQUESTS_H_

#include <cerrno>
#include <span>

#include "compat/session/channel.h"
#include "compat/vfio/host.h"
#include "compat/vfio/native.h"
#include "ioas/base/result.h"

namespace compat::session {

// How long to wait for a lock, in milliseconds: the daemon gives an answer a second.
inline constexpr uint32_t kPatience = 200;

inline constexpr ioas::Error kHostIsHeld = {EBUSY, "the host's lock is held"};
inline constexpr ioas::Error kSpaceIsHeld = {EBUSY, "the lock of the address space is held"};
// No answer: the connection ends.
inline constexpr ioas::Error kNotRight = {EPROTO, "the message is not right"};

// Shows `visitor` the address spaces of iommufd's contexts from that of number `first` on, where
// the host has any. EBUSY. Needs the host's lock.
inline ioas::Status VisitIoases(vfio::Host& host, uint32_t first, vfio::IoasVisitor& visitor) {
  const vfio::Native* const native = host.parts().native;
  return native != nullptr ? native->VisitIoases(host, first, kPatience, visitor) : ioas::Status();
}

// The body of a request that is nothing but a Body; otherwise null.
template <typename Body>
const Body* WholeBody(std::span<const std::byte> packet) {
  return packet.size() == sizeof(MessageHeader) + sizeof(Body) ? BodyOf<Body>(packet) : nullptr;
}

}  // namespace compat::session

#endif  // COMPAT_SESSION_REQUESTS_H_
