// The software host: emulated devices, whose state lies in the host's arena.
#ifndef COMPAT_SOFT_SOFT_PLATFORM_H_
#define COMPAT_SOFT_SOFT_PLATFORM_H_

#include <atomic>
#include <cstdint>

#include "compat/vfio/host.h"
#include "compat/vfio/platform.h"
#include "ioas/soft/soft_backend.h"
#include "ioas/soft/soft_device.h"
#include "ioas/soft/soft_host.h"

namespace compat::soft {

class SoftPlatform final : public vfio::Platform {
 public:
  // Gives back the devices that this process holds. To be called while the host is still there.
  ~SoftPlatform() override;

  // A new host gets the devices and faults of `settings`; the images are opened when a device is.
  ioas::Status Create(vfio::Host& host, const settings::Settings& settings) override;
  ioas::Status Join(vfio::Host& host) override;

  ioas::ProcessTable processes() override { return soft().processes(); }
  ioas::Backend& backend() override { return backend_; }

  ioas::Result<int> OpenContainerFile(uint32_t slot, vfio::ContainerState& container,
                                      bool close_on_exec) override;
  ioas::Result<int> OpenGroupFile(uint32_t slot, uint32_t group, bool close_on_exec) override;
  ioas::Result<vfio::NewFile> OpenDeviceFile(uint32_t index,
                                             const vfio::ContainerFile* container) override;
  ioas::Result<int> OpenPlainFile(uint32_t slot, bool close_on_exec) override {
    return host_->files().Open(slot, close_on_exec);
  }
  ioas::Status OpenDevice(uint32_t index) override;
  void CloseBoundDevice(uint32_t index) override;
  void CloseDevice(uint32_t index) override;
  ioas::Result<int> OpenEventFile(uint32_t slot) override;
  bool IsOpen(uint32_t slot) const override;
  ioas::Result<uint32_t> SlotOf(int fd) const override;

  ioas::Result<uint32_t> FindGroup(uint32_t number) override;
  // Emulated devices have no other driver.
  bool IsViable(uint32_t /*group*/) const override { return true; }
  ioas::Result<uint32_t> FindDevice(uint32_t group, std::string_view name) override;

  void NameDevice(uint32_t device, std::span<char> name) const override;

  uint32_t FaultNumberOf(uint32_t device) const override {
    return host_->arena().Get(host_->state().devices[device].soft)->address.number();
  }

  ioas::Status Attach(uint64_t groups, const vfio::ContainerFile& container) override;
  void Detach(uint64_t groups, const vfio::ContainerFile& container) override;
  void MoveGroup(uint32_t group, const ioas::DmaTarget& target) override {
    AttachDevices(uint64_t{1} << group, target);
  }
  ioas::Status MovePasid(uint32_t group, uint32_t pasid, const ioas::DmaTarget& target) override;
  uint32_t NextPasid(uint32_t group, uint32_t pasid) override;
  uint8_t PasidBitsOf(uint32_t device) override {
    return host_->arena().Get(host_->state().devices[device].soft)->pasid_bits;
  }
  ioas::IommuProperties PropertiesOf(uint32_t device) override;
  ioas::Result<ioas::IommuProperties> Properties(const vfio::ContainerFile& container,
                                                 uint64_t groups) override;

  ioas::GroupErrors& ErrorsOf(uint32_t group) override;
  ioas::Status FollowErrors(uint32_t group) override;
  ioas::Status ResetGroup(uint32_t group) override;

  // Nobody else can do anything with an emulated device.
  ioas::Status ShareWithKvm(int /*fd*/, bool /*shared*/, Tell /*tell*/, void* /*state*/) override {
    return {};
  }

  bool PassesThrough() const override { return false; }
  ioas::Result<long> DeviceIoctl(uint32_t index, int fd,
                                 const vfio::CallArguments& arguments) override;
  ioas::Result<long> Read(uint32_t slot, uint64_t address, uint64_t size, const uint64_t* position,
                          decode::CallerMemory& memory) override;
  ioas::Result<long> Write(uint32_t slot, uint64_t address, uint64_t size, const uint64_t* position,
                           decode::CallerMemory& memory) override;
  ioas::Result<uint64_t> FileOffsetFor(uint32_t slot, uint64_t offset, uint64_t size,
                                       bool is_shared) override;
  void OnMapped(uint32_t slot, void* address, uint64_t size) override;
  void OnUnmap(uint32_t slot, void* address, uint64_t size) override;
  void StartDevice(uint32_t device) override;

  // The device itself, in this process, which holds it from then on. Null if that cannot be.
  ioas::soft::SoftDevice* device(uint32_t index);
  ioas::soft::SoftHost& soft() const { return *host_->arena().Get(host_->state().soft); }

 private:
  // The device for a call on a device file: from then on this process carries the device on, also
  // if it inherited the file. ENOMEM, EAGAIN.
  ioas::Result<ioas::soft::SoftDevice*> UseDevice(uint32_t index);
  // The group's index in the software host's table.
  uint32_t SoftIndexOf(uint32_t group) const;
  ioas::Status AddDevice(const settings::DeviceSettings& device);
  // Whether the device is one of `group` that has PASIDs.
  bool HasPasids(uint32_t index, uint32_t group);
  // Attaches the devices of `groups` to `space`; 0 is the blocking domain.
  void AttachDevices(uint64_t groups, const ioas::DmaTarget& target);
  ioas::Result<long> Move(uint32_t slot, uint64_t address, uint64_t size, const uint64_t* position,
                          bool write, decode::CallerMemory& memory);

  vfio::Host* host_ = nullptr;
  ioas::soft::SoftBackend backend_{ioas::ProcessTable(nullptr)};
  std::atomic<ioas::soft::SoftDevice*> devices_[vfio::kMaxDevices] = {};
};

}  // namespace compat::soft

#endif  // COMPAT_SOFT_SOFT_PLATFORM_H_
