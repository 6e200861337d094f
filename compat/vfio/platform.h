// What a host's files, groups and devices are made of: emulated devices, or the kernel's iommufd
// and VFIO cdevs. A Platform is one process's view on it.
#ifndef COMPAT_VFIO_PLATFORM_H_
#define COMPAT_VFIO_PLATFORM_H_

#include <cstdint>
#include <span>
#include <string_view>

#include "compat/decode/decode.h"
#include "compat/settings/settings.h"
#include "compat/vfio/container_state.h"
#include "compat/vfio/file_table.h"
#include "ioas/backend.h"
#include "ioas/base/result.h"
#include "ioas/domain.h"
#include "ioas/group_errors.h"
#include "ioas/pasid_table.h"
#include "ioas/process_table.h"

namespace compat::vfio {

class Host;

// ioctl()'s arguments behind the descriptor.
struct CallArguments {
  uint64_t request;
  uint64_t argument;
  decode::CallerMemory& memory;
};

// A container's call, or what stands for one: its descriptor in this process, or -1 where a group's
// end was noticed without one.
struct ContainerFile {
  ContainerState& state;
  int descriptor;
};

// Where a backend finds the container's address space.
inline ioas::IoasHandle HandleOf(const ContainerFile& container) {
  return {container.descriptor, container.state.ioas, &container.state.tables,
          &container.state.registry,
          container.state.may_change_process.load(std::memory_order_relaxed) != 0};
}

// All functions but those for a device's calls and memory need the host's lock. Groups and devices
// are indices of the host's tables; `groups` has a bit for each.
class Platform {
 public:
  virtual ~Platform() = default;

  // Puts into a new host what `settings` ask for, or finds its way in one that is there already.
  // `host` outlives the platform. ENOMEM, EPROTO if the host is another platform's.
  virtual ioas::Status Create(Host& host, const settings::Settings& settings) = 0;
  virtual ioas::Status Join(Host& host) = 0;

  virtual ioas::ProcessTable processes() = 0;
  virtual ioas::Backend& backend() = 0;

  // --- Files ---

  // Each opens a file that stands for `slot` and returns its descriptor. EMFILE, ENFILE, ENOMEM,
  // and EBUSY for a group that is open elsewhere.
  virtual ioas::Result<int> OpenContainerFile(uint32_t slot, ContainerState& container,
                                              bool close_on_exec) = 0;
  virtual ioas::Result<int> OpenGroupFile(uint32_t slot, uint32_t group, bool close_on_exec) = 0;
  // GET_DEVICE_FD: a close-on-exec descriptor of `device`, whose group is in `container` (null: in
  // an iommufd of the library's own), and the slot that it stands for. The device's count of files
  // is the platform's to keep.
  virtual ioas::Result<NewFile> OpenDeviceFile(uint32_t device, const ContainerFile* container) = 0;
  // A file that is the library's alone: of a context, or of a device that is not bound yet. ENODEV
  // where those are the kernel's own.
  virtual ioas::Result<int> OpenPlainFile(uint32_t slot, bool close_on_exec);
  // A close-on-exec descriptor that programs poll, for `slot`.
  virtual ioas::Result<int> OpenEventFile(uint32_t /*slot*/) { return NoNative(); }
  // A file opens `device`, which the first one resets; a cdev file that has bound it gives it up.
  virtual ioas::Status OpenDevice(uint32_t /*device*/) { return NoNative(); }
  virtual void CloseBoundDevice(uint32_t /*device*/) {}
  // The last file of `device` has ended.
  virtual void CloseDevice(uint32_t device) = 0;
  // Whether any process holds what `slot` stands for.
  virtual bool IsOpen(uint32_t slot) const = 0;
  // The slot that `fd` stands for, 0 if it is none of this host's. EBADF if it is not open, other
  // errors if that cannot be told. Needs no lock.
  virtual ioas::Result<uint32_t> SlotOf(int fd) const = 0;
  // `fd`, which stands for `slot`, was received or inherited.
  virtual void OnAdopted(uint32_t /*slot*/) {}

  // --- Groups and devices ---

  // The group /dev/vfio/NUMBER, which may enter the table with this. ENOENT if there is none.
  virtual ioas::Result<uint32_t> FindGroup(uint32_t number) = 0;
  // Whether no device of the group has a driver that could do DMA beside the program.
  virtual bool IsViable(uint32_t group) const = 0;
  // The device of `group` that GET_DEVICE_FD's `name` means. ENODEV if there is none, EINVAL for an
  // option behind the name that is not known (vfio_pci_core_match).
  virtual ioas::Result<uint32_t> FindDevice(uint32_t group, std::string_view name) = 0;

  // Writes the name of `device` to `name`: a PCI address, or a mediated device's name; cut off
  // where `name` ends, with a zero.
  virtual void NameDevice(uint32_t device, std::span<char> name) const = 0;

  // What faults of the host's IOMMU call `device`.
  virtual uint32_t FaultNumberOf(uint32_t device) const { return device; }

  // --- DMA ---

  // Attaches the devices of `groups` to the container's address space: all or, if it fails, none.
  virtual ioas::Status Attach(uint64_t groups, const ContainerFile& container) = 0;
  // Has all devices of `group` reach `target`. What of their DMA is under way ends before.
  virtual void MoveGroup(uint32_t /*group*/, const ioas::DmaTarget& /*target*/) {}
  // The same for accesses that name `pasid`, from 1 on, of those devices of `group` that have
  // PASIDs. ENOMEM, unless `target` is nothing or takes another one's place; then nothing changes.
  virtual ioas::Status MovePasid(uint32_t /*group*/, uint32_t /*pasid*/,
                                 const ioas::DmaTarget& /*target*/) {
    return {};
  }
  // The lowest PASID from `pasid` on for which a device of `group` reaches something;
  // ioas::kPasids: none.
  virtual uint32_t NextPasid(uint32_t /*group*/, uint32_t /*pasid*/) { return ioas::kPasids; }
  // What the IOMMU behind `device` is like. Its ranges live as long as the platform.
  virtual ioas::IommuProperties PropertiesOf(uint32_t /*device*/) { return {}; }
  // How many bits the PASIDs of `device` have; 0: it has none. Other than the above, this is the
  // device's own: devices behind one IOMMU may differ.
  virtual uint8_t PasidBitsOf(uint32_t /*device*/) { return 0; }
  // Takes the devices of `groups` out of the container's address space: their DMA is blocked.
  virtual void Detach(uint64_t groups, const ContainerFile& container) = 0;
  // What the IOMMU of the container's devices, those of `groups`, is like. Its ranges live until
  // the next call.
  virtual ioas::Result<ioas::IommuProperties> Properties(const ContainerFile& container,
                                                         uint64_t groups) = 0;

  // --- Errors of a group ---

  // What errors have done to `group`. Of the kernel's devices nobody tells: what is there is what
  // programs injected.
  virtual ioas::GroupErrors& ErrorsOf(uint32_t group) = 0;
  // Has the devices of `group` do as ErrorsOf says; when it returns, they do. The kernel's lose
  // their DMA, but what a program reads and writes of their registers goes to them all the same,
  // for its descriptors are the kernel's own. EIO if that cannot be: nothing has changed then.
  virtual ioas::Status FollowErrors(uint32_t group) = 0;
  // Resets the devices of `group` as VFIO_DEVICE_RESET does. EIO if one cannot be reset.
  virtual ioas::Status ResetGroup(uint32_t group) = 0;

  // KVM is told of the group whose descriptor `fd` is, or, if not `shared`, to forget it: calls
  // `tell` with each descriptor that stands for a device of the group. The first error that `tell`
  // returns ends it and is returned.
  using Tell = ioas::Status (*)(void* state, int device_fd);
  virtual ioas::Status ShareWithKvm(int fd, bool shared, Tell tell, void* state) = 0;

  // --- Devices' calls and memory ---

  // Whether read(), write() and mmap() on devices go to the descriptor itself: the functions below
  // are then not called.
  virtual bool PassesThrough() const = 0;
  // ioctl() on descriptor `fd` of `device`.
  virtual ioas::Result<long> DeviceIoctl(uint32_t device, int fd,
                                         const CallArguments& arguments) = 0;
  // As the functions of Host with these names.
  virtual ioas::Result<long> Read(uint32_t slot, uint64_t address, uint64_t size,
                                  const uint64_t* position, decode::CallerMemory& memory);
  virtual ioas::Result<long> Write(uint32_t slot, uint64_t address, uint64_t size,
                                   const uint64_t* position, decode::CallerMemory& memory);
  virtual ioas::Result<uint64_t> FileOffsetFor(uint32_t slot, uint64_t offset, uint64_t size,
                                               bool is_shared);
  virtual void OnMapped(uint32_t /*slot*/, void* /*address*/, uint64_t /*size*/) {}
  virtual void OnUnmap(uint32_t /*slot*/, void* /*address*/, uint64_t /*size*/) {}
  virtual void StartDevice(uint32_t /*device*/) {}

 protected:
  static ioas::Error NoNative() { return {ENODEV, "iommufd is the kernel's own here"}; }
};

inline ioas::Result<int> Platform::OpenPlainFile(uint32_t /*slot*/, bool /*close_on_exec*/) {
  return NoNative();
}

inline ioas::Result<long> Platform::Read(uint32_t /*slot*/, uint64_t /*address*/, uint64_t /*size*/,
                                         const uint64_t* /*position*/,
                                         decode::CallerMemory& /*memory*/) {
  return ioas::Error{EINVAL, "the file cannot be read"};
}
inline ioas::Result<long> Platform::Write(uint32_t /*slot*/, uint64_t /*address*/,
                                          uint64_t /*size*/, const uint64_t* /*position*/,
                                          decode::CallerMemory& /*memory*/) {
  return ioas::Error{EINVAL, "the file cannot be written"};
}
inline ioas::Result<uint64_t> Platform::FileOffsetFor(uint32_t /*slot*/, uint64_t /*offset*/,
                                                      uint64_t /*size*/, bool /*is_shared*/) {
  return ioas::Error{ENODEV, "the file cannot be mapped"};
}

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_PLATFORM_H_
