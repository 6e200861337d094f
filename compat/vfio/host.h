// A host: emulated devices, their groups, and the containers, groups and devices that programs have
// open. This is a process's view on it; the state lies in the arena (host_state.h).
//
// Holds what drivers/vfio/container.c and group.c hold: who may do what in which order, and what
// happens when a file ends.
#ifndef COMPAT_VFIO_HOST_H_
#define COMPAT_VFIO_HOST_H_

#include <atomic>
#include <cstdint>
#include <span>

#include "compat/decode/decode.h"
#include "compat/settings/settings.h"
#include "compat/vfio/descriptors.h"
#include "compat/vfio/file_table.h"
#include "compat/vfio/host_state.h"
#include "compat/vfio/personality.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/soft/soft_backend.h"
#include "ioas/soft/soft_device.h"

namespace compat::vfio {

// How a host is put together; all of it outlives the host.
struct HostParts {
  // What SET_IOMMU can choose from.
  const Personality* personality;
  Descriptors* descriptors;
};

class Host {
 public:
  // Makes a host in the empty file `fd`, or maps the one that is there. A new one gets the devices
  // and faults of `settings`; the images are opened when a device is. EPROTO if the file is no
  // host's or another version's, ENOMEM.
  static ioas::Result<Host*> Open(int fd, const settings::Settings& settings,
                                  const HostParts& parts);

  // Ends this process's view; the host stays as it is. Nothing of it is open here any more.
  // Programs keep the view as long as they run.
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // --- Files ---

  // open() of /dev/vfio/vfio and of /dev/vfio/NUMBER. Return a descriptor. ENOENT if there is no
  // such group, EBUSY if it is open already (vfio_group_fops_open), EMFILE, ENOMEM.
  ioas::Result<int> OpenContainer(bool close_on_exec);
  ioas::Result<int> OpenGroup(uint32_t number, bool close_on_exec);

  // To be called after a descriptor of `slot` was closed, or memory mapped through it unmapped. If
  // that was the last, the file ends.
  void OnClosed(uint32_t slot);

  // ioctl() on a descriptor of `slot`. Returns what it returns.
  ioas::Result<long> Ioctl(uint32_t slot, uint64_t request, uint64_t argument,
                           decode::CallerMemory& memory);

  // read() and write() on a device's descriptor; `position` is the offset, and null stands for the
  // file's own. Other kinds: EINVAL.
  ioas::Result<long> Read(uint32_t slot, uint64_t address, uint64_t size, const uint64_t* position,
                          decode::CallerMemory& memory);
  ioas::Result<long> Write(uint32_t slot, uint64_t address, uint64_t size, const uint64_t* position,
                           decode::CallerMemory& memory);

  // Where mmap() of `size` bytes at `offset` of the descriptor is to go in the arena's file. EINVAL
  // if that may not be mapped (vfio_pci_core_mmap), ENODEV for other kinds.
  ioas::Result<uint64_t> FileOffsetFor(uint32_t slot, uint64_t offset, uint64_t size,
                                       bool is_shared) const;
  // Memory at `address` was mapped from `slot`, or is about to go.
  void OnMapped(uint32_t slot, void* address, uint64_t size) const;
  void OnUnmap(uint32_t slot, void* address, uint64_t size) const;
  // Has this process carry on the device of the device file `slot`.
  void StartDeviceOf(uint32_t slot) const;

  FileTable files() const { return {arena_, arena_fd_, &state_->files}; }

  // --- For those who look at it ---

  HostState& state() const { return *state_; }
  // A copy: arenas are views.
  ioas::Arena arena() const { return arena_; }
  int arena_fd() const { return arena_fd_; }
  // Whether Open made the host, and did not find it there.
  bool is_new() const { return is_new_; }
  // What is to be said of a container by now. Needs the host's lock.
  ContainerRecord RecordOf(const ContainerState& container) const;
  // The type of the container that device `index` is in; kNone if it is in none.
  decode::ContainerType TypeOfDevice(uint32_t index) const;
  // The device itself, in this process, which holds it from then on. Null if that cannot be.
  ioas::soft::SoftDevice* device(uint32_t index) const;
  // The same for a call on a device file: from then on this process carries the device on, also if
  // it inherited the file. ENOMEM, EAGAIN.
  ioas::Result<ioas::soft::SoftDevice*> UseDevice(uint32_t index) const;

  // Holds the host's lock. If its last holder died in the middle of a change, what can be told from
  // the groups is told again.
  class [[nodiscard]] Lock {
   public:
    explicit Lock(const Host& host);

   private:
    ioas::RobustLock lock_;
  };

  // --- For the calls of this folder; all of these need the host's lock ---

  HostParts& parts() { return parts_; }
  ioas::soft::SoftBackend& backend() { return backend_; }
  // What a personality works on, for a call of this process. ENOMEM if the process table is full.
  ioas::Result<ContainerContext> ContextFor(ContainerState& container);

  // Ends every file whose last descriptor went unnoticed, with its process. Returns whether any
  // did.
  bool EndLostFiles();
  // Puts group `index` into `container`, or takes it out of its container again.
  void AttachGroup(uint32_t index, ioas::ArenaRef<ContainerState> container);
  void DetachGroup(uint32_t index);
  // Attaches the devices of `groups` (a bit each) to `space`; 0 is the blocking domain.
  void AttachDevices(uint64_t groups, ioas::ArenaRef<ioas::AddressSpaceState> space);
  // A device file of device `index` was opened.
  ioas::Status BeginDevice(uint32_t index);

 private:
  Host(ioas::Arena arena, int arena_fd, const HostParts& parts, HostState* state);
  static ioas::Result<HostState*> Create(ioas::Arena& arena, const settings::Settings& settings);

  // Makes containers agree with the groups that name them.
  void Repair() const;
  void EndFile(uint32_t slot);
  ioas::Result<ioas::ArenaRef<ContainerState>> NewContainer();
  void EndContainerIfUnused(ContainerState& container);
  void EndGroupIfUnused(uint32_t index);
  void EndDevice(uint32_t index);
  // The container has lost its last group: it loses its IOMMU.
  void CloseIommu(ContainerState& container);

  mutable ioas::Arena arena_;
  int arena_fd_;
  HostParts parts_;
  HostState* state_;
  bool is_new_ = false;
  ioas::soft::SoftBackend backend_;
  mutable std::atomic<ioas::soft::SoftDevice*> devices_[kMaxDevices] = {};
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_HOST_H_
