// A host: groups and their devices, and the containers, groups and devices that programs have
// open. What they are made of is the Platform's business. This is a process's view on it; the state
// lies in the arena (host_state.h).
//
// Holds what drivers/vfio/container.c and group.c hold: who may do what in which order, and what
// happens when a file ends.
#ifndef COMPAT_VFIO_HOST_H_
#define COMPAT_VFIO_HOST_H_

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <span>

#include "compat/decode/decode.h"
#include "compat/session/channel.h"
#include "compat/settings/settings.h"
#include "compat/vfio/descriptors.h"
#include "compat/vfio/file_table.h"
#include "compat/vfio/host_state.h"
#include "compat/vfio/native.h"
#include "compat/vfio/personality.h"
#include "compat/vfio/platform.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/base/robust_mutex.h"

namespace compat::vfio {

// How a host is put together; all of it outlives the host.
struct HostParts {
  // What SET_IOMMU can choose from.
  const Personality* personality;
  Descriptors* descriptors;
  Platform* platform;
  const Native* native = nullptr;  // null: there is no /dev/iommu, and devices have no cdevs
};

class Host {
 public:
  // Makes a host in the empty file `fd`, or maps the one that is there. A new one gets what
  // `settings` ask for. EPROTO if the file is no host's, or another version's or platform's,
  // ENOMEM.
  static ioas::Result<Host*> Open(int fd, const settings::Settings& settings,
                                  const HostParts& parts);

  // Ends this process's view; the host stays as it is. Nothing of it is open here any more.
  // Programs keep the view as long as they run.
  ~Host();
  Host(const Host&) = delete;
  Host& operator=(const Host&) = delete;

  // --- Files ---
  //
  // What returns an error says EDEADLK, and changes nothing, in a signal handler that interrupted
  // its own thread inside the host, for there would be no end to waiting. Locks keep handlers out,
  // but for those that a raw system call installed in a program without others (RobustLock).

  // open() of /dev/vfio/vfio and of /dev/vfio/NUMBER. Return a descriptor. ENOENT if there is no
  // such group, EBUSY if it is open already (vfio_group_fops_open), EACCES, EMFILE, ENOMEM.
  ioas::Result<int> OpenContainer(bool close_on_exec);
  ioas::Result<int> OpenGroup(uint32_t number, bool close_on_exec);

  // open() of /dev/iommu and of /dev/vfio/devices/vfioN, N being an index of the host's devices.
  // Return a descriptor. ENOENT if the host has nothing like it, EMFILE, ENOMEM.
  ioas::Result<int> OpenIommufd(bool close_on_exec);
  ioas::Result<int> OpenCdev(uint32_t device, bool close_on_exec);

  // To be called after a descriptor of `slot` was closed, or memory mapped through it unmapped. If
  // that was the last, the file ends. In a handler as above it ends unnoticed, as with SIGKILL.
  void OnClosed(uint32_t slot);

  // The slot that `fd` stands for, made sure of by looking at it; 0 if it is none of this host's.
  // EBADF if it is not open.
  ioas::Result<uint32_t> SlotOf(int fd) const { return parts_.platform->SlotOf(fd); }
  // `fd`, which stands for `slot`, is new to this process: received over a socket, or inherited.
  void OnAdopted(uint32_t slot);
  // To be called in a forked child: it holds what its parent held.
  void OnFork();

  // ioctl() on `fd`, a descriptor of `slot`. Returns what it returns.
  ioas::Result<long> Ioctl(int fd, uint32_t slot, const CallArguments& call);

  // read() and write() on a device's descriptor; `position` is the offset, and null stands for the
  // file's own. Also on one for events, which has no offsets (ESPIPE). Other kinds: EINVAL.
  ioas::Result<long> Read(uint32_t slot, uint64_t address, uint64_t size, const uint64_t* position,
                          decode::CallerMemory& memory);
  ioas::Result<long> Write(uint32_t slot, uint64_t address, uint64_t size, const uint64_t* position,
                           decode::CallerMemory& memory);

  // Where mmap() of `size` bytes at `offset` of the descriptor is to go in the arena's file. EINVAL
  // if that may not be mapped (vfio_pci_core_mmap), ENODEV for other kinds.
  ioas::Result<uint64_t> FileOffsetFor(uint32_t slot, uint64_t offset, uint64_t size,
                                       bool is_shared) const {
    if (CallerIsInside()) return Inside();
    return parts_.platform->FileOffsetFor(slot, offset, size, is_shared);
  }
  // Memory at `address` was mapped from `slot`, or is about to go.
  void OnMapped(uint32_t slot, void* address, uint64_t size) const {
    parts_.platform->OnMapped(slot, address, size);
  }
  void OnUnmap(uint32_t slot, void* address, uint64_t size) const {
    parts_.platform->OnUnmap(slot, address, size);
  }
  // Has this process carry on the device of the device file `slot`.
  void StartDeviceOf(uint32_t slot) const {
    parts_.platform->StartDevice(files().slot(slot).Load().object);
  }

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
  // The cdev file that has bound device `index`; 0: none has. Takes no lock.
  uint32_t BoundSlotOf(uint32_t index) const {
    return std::atomic_ref(state_->devices[index].bound_slot).load(std::memory_order_acquire);
  }
  // Whether a cdev file, and not a group, has bound device `index`. Takes no lock.
  bool IsBoundByCdev(uint32_t index) const {
    const uint32_t slot = BoundSlotOf(index);
    return slot != 0 && slot != kBoundByGroup;
  }
  // A context that has bound a device of group `index`: its arena unit; 0: none has. Needs the
  // host's lock.
  uint32_t ContextOfGroup(uint32_t index) const;
  // The device that a descriptor of `slot` stands for: of a file that GET_DEVICE_FD made, or of a
  // cdev that has bound it. EINVAL for other files. Takes no lock.
  ioas::Result<uint32_t> DeviceOf(uint32_t slot) const;
  // What a call on a descriptor of `slot` is; null if it is none. For logs: takes no lock.
  const decode::CallRow* RowOf(uint32_t slot, uint64_t request) const;
  // Holds the host's lock. If its last holder died in the middle of a change, what can be told from
  // the groups is told again.
  class [[nodiscard]] Lock {
   public:
    explicit Lock(const Host& host);

   private:
    ioas::RobustLock lock_;
  };

  // The same, but gives up after about `milliseconds`.
  class [[nodiscard]] TimedLock {
   public:
    TimedLock(const Host& host, uint32_t milliseconds);
    bool held() const { return lock_.held(); }

   private:
    ioas::TimedRobustLock lock_;
  };

  // --- For the calls of this folder; all of these need the host's lock ---

  const HostParts& parts() const { return parts_; }
  Platform& platform() const { return *parts_.platform; }
  // What a personality works on, for a call of this process. Needs no lock. ENOMEM if the process
  // table is full.
  ioas::Result<ContainerContext> ContextFor(const ContainerFile& container) {
    const ioas::Result<uint32_t> process = OwnProcess();
    if (!process.ok()) return process.error();
    return ContextFor(container, *process);
  }
  // The same for one who knows what OwnProcess returned.
  ContainerContext ContextFor(const ContainerFile& container, uint32_t process) {
    return {&arena_, backend_, &container.state, HandleOf(container), process, this};
  }
  // This process's index in the process table. ENOMEM if that is full.
  ioas::Result<uint32_t> OwnProcess() {
    const uint32_t process = KnownProcess();
    return process != kUnknownProcess ? process : RegisterProcess();
  }
  // The same, or kUnknownProcess before the first call of OwnProcess.
  static constexpr uint32_t kUnknownProcess = UINT32_MAX;
  uint32_t KnownProcess() const { return process_.load(std::memory_order_relaxed); }

  // Opens a file for events of `context`, an arena unit, of which the descriptors are not told yet.
  // EMFILE, ENFILE, ENOMEM.
  ioas::Result<NewFile> OpenEventFile(uint32_t context);
  // Closes what OpenEventFile has opened.
  void CloseEventFile(const NewFile& file) const;
  // Ends every file whose last descriptor went unnoticed, with its process. Returns whether any
  // did.
  bool EndLostFiles();
  // Puts group `index` into `container`, or takes it out of its container again. Fails as
  // Platform::Attach does, and then changes nothing.
  ioas::Status AttachGroup(uint32_t index, const ContainerFile& container);
  void DetachGroup(uint32_t index);
  // Puts group `index` into an iommufd (an arena unit) instead of a container, as the kernel
  // allows, or takes it out if it is in one. ENOMEM.
  ioas::Status JoinIommufd(uint32_t index, uint32_t context);
  void LeaveIommufd(uint32_t index);
  // Writes the indices of the groups of `container` to `groups`, in the order in which the kernel
  // goes through them, and returns what was written.
  std::span<const uint32_t> GroupsInTurn(const ContainerState& container,
                                         std::span<uint32_t, kMaxDevices> groups) const;
  // Sets and clears GroupErrorBits of group `index`, and has its devices follow. Fails as
  // Platform::FollowErrors does, and then changes nothing.
  ioas::Status ChangeErrors(uint32_t index, uint32_t set, uint32_t cleared) const;
  // Devices of group `index` were attached: they are cut off again if an operator froze the group.
  // EIO if that cannot be.
  ioas::Status FollowHold(uint32_t index) const;
  // A device of group `index` is new to its user, or was given up: a group that an error froze
  // works again (eeh_dev_open, eeh_dev_release in arch/powerpc/kernel/eeh.c). What cannot be thawed
  // stays frozen.
  void Thaw(uint32_t index) const;
  // Says which cdev file has bound device `index`, or kBoundByGroup.
  void SetBoundSlot(uint32_t index, uint32_t slot) const {
    std::atomic_ref(state_->devices[index].bound_slot).store(slot, std::memory_order_release);
  }
  // The container, which has no group attached any more, loses its IOMMU.
  void CloseIommu(const ContainerFile& container);
  // Tells those who watch of something that has happened in `container`: see events::Emit. Takes
  // the address space's lock.
  void Tell(session::EventKind kind, const ContainerState& container, uint64_t value = 0) const;
  // `container` with a descriptor of this process's, if it has one.
  ContainerFile WithDescriptor(ContainerState& container) const;

 private:
  // Has the container's address space be what the IOMMUs of `groups` are like together. EINVAL, and
  // nothing has changed, if what is mapped would be out of reach.
  ioas::Status FollowGroups(const ContainerFile& container, uint64_t groups) const;

  Host(ioas::Arena arena, int arena_fd, const HostParts& parts)
      : arena_(arena), arena_fd_(arena_fd), parts_(parts), backend_(&parts.platform->backend()) {}
  ioas::Status Create(const settings::Settings& settings);
  // Ioctl on what is no container.
  ioas::Result<long> OtherIoctl(int fd, uint32_t slot, FileMeaning file, const CallArguments& call);

  // Enters this process in the process table, for process_.
  ioas::Result<uint32_t> RegisterProcess();

  // Whether the thread is inside already: the caller is a signal handler.
  static bool CallerIsInside() { return ioas::RobustLock::IsHeldByThisThread(); }
  static ioas::Error Inside() {
    return {EDEADLK, "a signal handler calls that interrupted its thread inside the host"};
  }

  // Makes containers agree with the groups that name them.
  void Repair() const;
  // Takes a slot for `object` and has `opener(slot)` open its file.
  template <typename Opener>
  ioas::Result<NewFile> OpenFile(decode::DescriptorKind kind, uint32_t object, Opener opener);
  void EndFile(uint32_t slot);
  ioas::Result<ioas::ArenaRef<ContainerState>> NewContainer();
  void EndContainerIfUnused(ContainerState& container) const;
  void EndGroupIfUnused(uint32_t index);
  // Whether a device of group `index` is bound by a cdev file.
  bool HasOpenCdev(uint32_t index) const;
  void EndDevice(uint32_t index);
  ioas::Arena arena_;
  int arena_fd_;
  HostParts parts_;
  ioas::Backend* backend_;  // the platform's
  HostState* state_ = nullptr;
  bool is_new_ = false;
  std::atomic<uint32_t> process_{kUnknownProcess};  // this process's index in the process table
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_HOST_H_
