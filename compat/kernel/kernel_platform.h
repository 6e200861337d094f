// The kernel's iommufd and VFIO cdevs, used as legacy containers, groups and devices.
#ifndef COMPAT_KERNEL_KERNEL_PLATFORM_H_
#define COMPAT_KERNEL_KERNEL_PLATFORM_H_

#include <cstdint>
#include <string_view>

#include "compat/kernel/bar_memory.h"
#include "compat/kernel/group_file.h"
#include "compat/kernel/identity.h"
#include "compat/kernel/shared_memory.h"
#include "compat/sysfs/groups.h"
#include "compat/vfio/host.h"
#include "compat/vfio/platform.h"
#include "ioas/kernel/dirty_tracking.h"
#include "ioas/kernel/kernel_backend.h"
#include "ioas/kernel/system_calls.h"
#include "ioas/process_table.h"

namespace compat::kernel {

class KernelPlatform final : public vfio::Platform {
 public:
  // `calls` and `sysfs_root` (see sysfs::Groups) outlive the platform.
  explicit KernelPlatform(ioas::kernel::SystemCalls& calls, const char* sysfs_root = "")
      : calls_(calls),
        groups_(sysfs_root),
        sysfs_root_(sysfs_root),
        bars_(calls, sysfs_root),
        shared_(calls),
        backend_(calls, {.bars = &bars_, .shared = &shared_}) {}

  ioas::Status Create(vfio::Host& host, const settings::Settings& settings) override;
  ioas::Status Join(vfio::Host& host) override;

  ioas::ProcessTable processes() override;
  ioas::Backend& backend() override { return backend_; }

  ioas::Result<int> OpenContainerFile(uint32_t slot, vfio::ContainerState& container,
                                      bool close_on_exec) override;
  ioas::Result<int> OpenGroupFile(uint32_t slot, uint32_t group, bool close_on_exec) override;
  ioas::Result<vfio::NewFile> OpenDeviceFile(uint32_t device,
                                             const vfio::ContainerFile* container) override;
  void CloseDevice(uint32_t device) override;
  bool IsOpen(uint32_t slot) const override;
  ioas::Result<uint32_t> SlotOf(int fd) const override;
  void OnAdopted(uint32_t slot) override;

  ioas::Result<uint32_t> FindGroup(uint32_t number) override;
  bool IsViable(uint32_t group) const override;
  ioas::Result<uint32_t> FindDevice(uint32_t group, std::string_view name) override;

  void NameDevice(uint32_t device, std::span<char> name) const override;

  ioas::Status Attach(uint64_t groups, const vfio::ContainerFile& container) override;
  void Detach(uint64_t groups, const vfio::ContainerFile& container) override;
  ioas::Result<ioas::IommuProperties> Properties(const vfio::ContainerFile& container,
                                                 uint64_t groups) override;
  ioas::GroupErrors& ErrorsOf(uint32_t group) override;
  ioas::Status FollowErrors(uint32_t group) override;
  ioas::Status ResetGroup(uint32_t group) override;

  ioas::Status ShareWithKvm(int fd, bool shared, Tell tell, void* state) override;

  bool PassesThrough() const override { return true; }
  ioas::Result<long> DeviceIoctl(uint32_t device, int fd,
                                 const vfio::CallArguments& arguments) override;

 private:
  // Enters the group's devices that have a cdev into the host's table.
  ioas::Status EnterDevices(uint32_t group, const sysfs::Group& found);
  ioas::Result<uint32_t> EnterDevice(uint32_t group, const sysfs::GroupDevice& found);
  // The group's entry, free for another group from now on.
  void ForgetGroup(uint32_t group);
  // Opens and locks the cdevs of the group, so that no other program can.
  ioas::Status AddGuards(uint32_t slot, uint32_t group, GroupContents& contents);
  bool IsGroupHeld(uint32_t slot, uint32_t group) const;
  bool IsDeviceHeld(uint32_t device) const;

  // Binds and attaches those devices of the group that are not.
  ioas::Status AttachGroup(uint32_t group, const vfio::ContainerFile& container);
  ioas::Status BindDevice(uint32_t device, const vfio::ContainerFile& container,
                          GroupContents& contents);
  void DetachGroup(uint32_t group);
  // Detaches a bound device, or attaches it again.
  ioas::Status SetBlocked(uint32_t device, bool blocked, GroupContents& contents,
                          vfio::ContainerState& container);
  // The container's page tables that record, by `iommufd`, a descriptor of its /dev/iommu.
  ioas::kernel::DirtyTracking TrackingOf(int iommufd, vfio::ContainerState& container) const;
  // A new descriptor of the bound cdev that the device's group carries; binds it if it has none.
  ioas::Result<int> DuplicateBound(uint32_t device, const vfio::ContainerFile& container);
  // Adds the caller to those who hold the device.
  void AddHolder(uint32_t device);

  ioas::Result<long> GetHotResetInfo(int fd, const decode::DecodedCall& call);
  ioas::Result<long> HotReset(int fd, const decode::DecodedCall& call);

  Identity IdentityOfSlot(uint32_t slot) const { return {inode_, slot}; }
  Identity IdentityOfDevice(uint32_t device) const;
  vfio::KernelDevice& detail(uint32_t device) const;
  // A descriptor of cdev number `cdev`, or a negated errno.
  long OpenCdev(uint32_t cdev) const;

  ioas::kernel::SystemCalls& calls_;
  sysfs::Groups groups_;
  const char* sysfs_root_;
  BarMemory bars_;
  SharedMemory shared_;
  ioas::kernel::KernelBackend backend_;
  vfio::Host* host_ = nullptr;
  uint64_t inode_ = 0;  // of the host's file
  ioas::IovaRange apertures_[ioas::kMaxApertures] = {};
};

}  // namespace compat::kernel

namespace compat::vfio {

// What the platform keeps of a device, and of a host.
struct KernelDevice {
  char name[sysfs::kMaxName];
  uint32_t cdev;       // N of /dev/vfio/devices/vfioN
  uint32_t slot;       // the file slot of the device's descriptors; 0: none is open
  uint32_t bound_as;   // its object number in the container's iommufd, while it is bound
  uint8_t is_blocked;  // it is bound and attached to nothing, by an error of its group
  uint32_t kvm_users;  // how often KVM was told of it: each holds the cdev open
  // Processes that have a descriptor of it, as far as they are known.
  ioas::ProcessIdentity holders[16];
};

struct KernelHost {
  ioas::ProcessTableState processes;
  ioas::GroupErrors errors[kMaxDevices];  // of each group
};

}  // namespace compat::vfio

#endif  // COMPAT_KERNEL_KERNEL_PLATFORM_H_
