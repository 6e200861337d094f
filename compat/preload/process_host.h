// The host that this process uses, and how a descriptor finds it.
#ifndef COMPAT_PRELOAD_PROCESS_HOST_H_
#define COMPAT_PRELOAD_PROCESS_HOST_H_

#include <atomic>
#include <cstdint>

#include "compat/vfio/host.h"

namespace compat::preload {

namespace internal {

extern std::atomic<vfio::Host*> host;

}  // namespace internal

// The host, if this process has one open by now. Cheap.
inline vfio::Host* OpenedHost() { return internal::host.load(std::memory_order_acquire); }
// The host that the environment asks for, opened at the first call. Null if it asks for none, or it
// could not be had, which is logged once.
vfio::Host* ConfiguredHost();

// Around a fork, so that no child is left with a host that a thread of its parent was opening.
void HoldOpening();
void ReleaseOpening();

// Whether the environment asks for the machine's own devices and IOMMU. Cheap after the first call.
bool UsesKernel();

// The slot that `fd` stands for, made sure of by looking at the descriptor itself; 0 if it is not
// the library's (any more).
uint32_t VerifiedSlotOf(int fd);
// Whether `fd`, which the table does not know, is a descriptor of a host's file: inherited through
// exec, received over a socket, duplicated by a raw system call. If so the table knows it
// afterwards.
bool Adopt(int fd);

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PROCESS_HOST_H_
