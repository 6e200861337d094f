// A group's file: an end of a socket pair, in whose queue a message waits that is never taken, only
// looked at. It carries descriptors: the group's bound cdevs, so that whoever has the group's
// descriptor has its devices, and nobody else needs to hold them, and the container's /dev/iommu,
// which the group keeps as in legacy VFIO when the container's own descriptors are closed.
#ifndef COMPAT_KERNEL_GROUP_FILE_H_
#define COMPAT_KERNEL_GROUP_FILE_H_

#include <cstdint>

#include "compat/kernel/fork_gate.h"
#include "ioas/base/result.h"
#include "ioas/kernel/system_calls.h"

namespace compat::kernel {

// How many devices of a group can be carried. The kernel passes 253 descriptors at once; a device
// takes two.
inline constexpr uint32_t kMaxGroupDevices = 64;

// Stands for the container among the bound devices.
inline constexpr uint32_t kContainerEntry = ~0u;
inline constexpr uint32_t kMaxBound = kMaxGroupDevices + 1;

// The part of the message that is no descriptor.
struct GroupHeader {
  uint64_t magic;
  uint64_t host;  // the inode number of the host's file
  uint32_t slot;
  uint32_t bound_count;
  uint32_t guard_count;
  uint32_t bound[kMaxBound];  // devices, as indices of the host's table, or kContainerEntry
};

// What a group's file carries, as descriptors of this process that end with this object. While
// there is one no thread of the process forks.
class GroupContents {
 public:
  explicit GroupContents(ioas::kernel::SystemCalls& calls) : calls_(&calls) {}
  ~GroupContents();
  GroupContents(const GroupContents&) = delete;
  GroupContents& operator=(const GroupContents&) = delete;

  // Looks into the group's file `fd`. EMFILE if its descriptors do not all fit into the process,
  // EBADF if it is no group's file, ENOMEM if the kernel does not tell.
  ioas::Status Read(int fd);

  uint64_t host() const { return header_.host; }
  uint32_t slot() const { return header_.slot; }

  // The descriptor of `device`, bound and attached; -1 if it is not.
  int BoundDescriptor(uint32_t device) const;
  uint32_t bound_count() const { return header_.bound_count; }
  uint32_t bound_device(uint32_t position) const { return header_.bound[position]; }
  int bound_descriptor(uint32_t position) const { return bound_[position]; }
  // A descriptor of the host's file. It becomes the caller's.
  int ReleaseHost();

  // Adds what has been opened for the group. ENOSPC if there is no room; else it is this object's.
  ioas::Status AddBound(uint32_t device, int fd);
  ioas::Status AddGuard(int fd);
  // Takes a device out, and its descriptor with it.
  void DropBound(uint32_t device);
  void DropAllBound();

  // Makes a group's file with these contents: `host_fd` is the host's file, which stays the
  // caller's. Returns a descriptor. EMFILE, ENFILE, ENOMEM; ETOOMANYREFS becomes EMFILE.
  ioas::Result<int> Make(int host_fd, uint64_t host, uint32_t slot, bool close_on_exec);
  // Has the group's file `fd`, whose contents these were, carry them as they are now. If it fails
  // the file is as it was.
  ioas::Status Replace(int fd);

 private:
  ioas::Status Send();

  ForkGuard guard_;
  ioas::kernel::SystemCalls* calls_;
  GroupHeader header_ = {};
  int host_fd_ = -1;
  bool owns_host_fd_ = false;
  int other_end_ = -1;
  int bound_[kMaxBound] = {};
  int guards_[kMaxGroupDevices] = {};
};

// The header of the group's file `fd`. EBADF if it is something else, ENOMEM if the kernel does not
// tell. Makes no descriptors.
ioas::Result<GroupHeader> ReadGroupHeader(ioas::kernel::SystemCalls& calls, int fd);

}  // namespace compat::kernel

#endif  // COMPAT_KERNEL_GROUP_FILE_H_
