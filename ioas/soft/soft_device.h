// An emulated PCI device of the software host: configuration space, BARs, interrupts, its
// attachment to an address space, and the thread that carries it on.
//
// SoftDeviceState lies in the arena and is the device. SoftDevice is one process's hold on it: the
// process-local parts (the model's view, eventfds, the thread, what is mapped). Any process that
// holds the device can do its work; the device's lock says which one does at a moment.
#ifndef IOAS_SOFT_SOFT_DEVICE_H_
#define IOAS_SOFT_SOFT_DEVICE_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/domain.h"
#include "ioas/soft/device_model.h"
#include "ioas/soft/device_worker.h"
#include "ioas/soft/dma.h"
#include "ioas/soft/doorbell_watch.h"
#include "ioas/soft/interrupts.h"
#include "ioas/soft/pci_config.h"
#include "ioas/soft/soft_host.h"

namespace ioas::soft {

// A BAR as programs see it.
struct BarInfo {
  uint64_t size;             // 0: no such BAR
  uint64_t mappable_offset;  // in the BAR
  uint64_t mappable_size;    // 0: cannot be mapped
};

// What a model is made of. All of it outlives the model.
struct ModelParts {
  Arena& arena;
  const SoftDeviceState& device;
  std::byte* state;      // DeviceSpec::model_bytes
  std::byte* registers;  // DeviceSpec::registers_bytes
  DmaPort& dma;
  InterruptSink& interrupts;
};

// Makes this process's view of a device's model; null if there is no memory.
using ModelFactory = std::unique_ptr<DeviceModel> (*)(const ModelParts& parts);

class SoftDevice final : private DeviceWorker::Client {
 public:
  // --- Holds on a device ---

  // This process's hold on `device`: one object for all who open it here, until as many Close. The
  // first call makes the model's view with `factory`. ENOMEM if there is no memory, EMFILE if this
  // process holds kMaxDevices already.
  static Result<SoftDevice*> Open(Arena& arena, ArenaRef<SoftDeviceState> device,
                                  ModelFactory factory);
  // Gives the hold back. The last one stops the thread and ends the object; the device stays.
  void Close();

  // To be called after a fork. In the child no thread runs; what was open stays open, and what was
  // mapped is still known: Start makes it work as before.
  static void AfterForkInParent();
  static void AfterForkInChild();

  const SoftDeviceState& state() const { return *state_; }
  const DeviceIdentity& identity() const { return model_->identity(); }
  std::span<const BarLayout> bars() const { return model_->bars(); }

  // --- Configuration space and BARs (read() and write() of the device's regions) ---

  // Bytes of configuration space: 4096, as PCI Express functions have.
  uint32_t config_size() const { return kConfigSize; }
  // Reads or writes `data.size()` bytes at `offset`; the range is inside the space. Writes obey
  // each field's write mask: BAR sizing, command register, capabilities
  // (drivers/vfio/pci/vfio_pci_config.c). While an error of the group freezes I/O, or a reset is
  // asserted, all of it reads as ones and writes are lost.
  void ReadConfig(uint32_t offset, std::span<std::byte> data);
  void WriteConfig(uint32_t offset, std::span<const std::byte> data);

  BarInfo bar(uint8_t index) const;
  // The same for a BAR. EIO while memory decoding is off in the command register. The MSI-X table
  // reads as ones and ignores writes, as in vfio_pci_bar_rw (drivers/vfio/pci/vfio_pci_rdwr.c).
  // While I/O is frozen all reads as ones and writes are lost. The range is inside the BAR.
  Status ReadBar(uint8_t index, uint64_t offset, std::span<std::byte> data);
  Status WriteBar(uint8_t index, uint64_t offset, std::span<const std::byte> data);

  // Where the mappable part of BAR `index` lies in the arena's file, in bytes: what mmap() of the
  // device's descriptor is to map. The BAR has one.
  uint64_t MappableFileOffset(uint8_t index) const;
  // The program has mapped (or is about to unmap) mappable memory at `address`: writes to it must
  // wake the device. Both are page aligned. Only for mappings that can be written.
  void OnMap(void* address, size_t size);
  void OnUnmap(void* address, size_t size);

  // --- Interrupts ---

  // How many vectors `irq` has; 0 if the device lacks it.
  uint32_t irq_count(Irq irq) const;
  // How many are enabled now. Of kError and kRequest: whether an eventfd is set.
  uint32_t irq_enabled(Irq irq) const;
  // Enables vectors [0, count) of MSI or MSI-X (1 for the others), each without an eventfd; 0 turns
  // `irq` off and takes its eventfds away. More can be enabled later, those that are on stay as
  // they are. EINVAL if another of INTx, MSI, MSI-X is on, or `irq` has not so many.
  Status EnableIrq(Irq irq, uint32_t count);
  // Sets the eventfd of one enabled vector (a descriptor of this process, duplicated here), or
  // takes it away (-1). EBADF or EINVAL if it is no eventfd, EINVAL if the vector is not enabled,
  // EMFILE if no number for the duplicate is free.
  Status SetTrigger(Irq irq, uint32_t vector, int eventfd);
  // INTx only: unmask on this eventfd's event. -1 takes it away. EINVAL if INTx is not enabled.
  Status SetUnmaskTrigger(int eventfd);
  void MaskIntx();
  void UnmaskIntx();
  // Fires a vector as the device would (SET_IRQS loopback).
  void Fire(Irq irq, uint32_t vector);

  // --- Address space ---

  // Lets the device's DMA reach `target`. It takes effect at once for all later DMA, and DMA
  // under way is over when it returns. Not to be called with an address space's lock.
  void Attach(const DmaTarget& target);
  // The same for accesses that name `pasid`, from 1 on and below kPasids. ENOMEM, where none was
  // attached and one is to be; then nothing has changed.
  Status AttachPasid(uint32_t pasid, const DmaTarget& target);
  // The lowest PASID from `pasid` on that is attached; kPasids: none.
  uint32_t NextPasid(uint32_t pasid);
  // Attaches it to the blocking domain: all DMA faults. Never fails. So it begins.
  void Block() { Attach({}); }

  // --- Life ---

  // A program opens the device for the first time, in any process: the function is reset,
  // interrupts are off and configuration space is as new, as vfio-pci does
  // (drivers/vfio/pci/vfio_pci_core.c, vfio_pci_core_enable). The attachment stays.
  void Reset();
  // VFIO_DEVICE_RESET: the function is reset; configuration space and interrupts stay as they are
  // (pci_try_reset_function saves and restores them).
  void ResetFunction();

  // The errors of the device's group have changed for the better: the device goes on with what it
  // has to do.
  void Resume() { Kick(); }

  // Starts or stops this process's thread for the device; nothing happens if it runs, or does not.
  // Start is also called in a forked child that uses the device. ENOMEM or EMFILE if no thread is
  // to be had.
  Status Start();
  void Stop();

 private:
  SoftDevice(Arena& arena, ArenaRef<SoftDeviceState> device);
  ~SoftDevice() override { worker_.Stop(); }

  bool Poll() override;
  int WakeDescriptor() override;
  void OnWakeDescriptor() override;

  GroupErrors& errors() const { return arena_.Get(state_->host)->errors_of(*state_); }
  // Has the model do a part of its work, unless an error froze the group's I/O. The device's lock
  // is held. Returns whether there was anything to do.
  // `froze`: whether the group was frozen meanwhile, as by a fault of this device; the group is
  // then to follow, without the lock.
  bool PollModel(bool& froze);
  void FollowErrorsOfGroup();
  // The device has something to do: this process's thread does it, or else the caller.
  void Kick();
  // Resets the model, also behind ones. The device's lock is held.
  void ResetModel();
  const BarLayout* FindBar(uint8_t index) const;
  // How many bytes from `offset` on, at most `size`, lie in one piece: all inside or all outside of
  // the MSI-X table and PBA. `special`: which of them it is.
  enum class BarPart { kModel, kMsixTable, kMsixPba };
  uint32_t PieceAt(uint8_t index, uint32_t offset, size_t size, BarPart& part) const;

  Arena arena_;
  ArenaRef<SoftDeviceState> ref_;
  SoftDeviceState* state_;
  uint32_t holds_ = 0;  // guarded by the registry's lock
  PciConfig config_;
  Interrupts interrupts_;
  DoorbellWatch watch_;
  SoftDmaPort dma_;
  std::unique_ptr<DeviceModel> model_;
  DeviceWorker worker_;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_SOFT_DEVICE_H_
