// An NVM Express 1.4 controller with one namespace on a raw image.
#ifndef IOAS_SOFT_NVME_CONTROLLER_H_
#define IOAS_SOFT_NVME_CONTROLLER_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ioas/soft/device_model.h"
#include "ioas/soft/nvme/block_image.h"
#include "ioas/soft/nvme/config.h"
#include "ioas/soft/nvme/context.h"
#include "ioas/soft/nvme/io_commands.h"
#include "ioas/soft/nvme/queues.h"
#include "ioas/soft/nvme/registers.h"
#include "ioas/soft/nvme/state.h"

namespace ioas::soft {

// BAR 0 is 16 KiB: registers, doorbells (both of which programs may map), the MSI-X table, its
// pending bits.
class NvmeController : public DeviceModel {
 public:
  // `state` and `registers` (kRegisterPagesSize bytes, page aligned) lie in memory that is shared
  // with all who run the device, `registers` also with the programs that map the BAR. Of zeroes at
  // first; whoever made them calls Reset once. Everything must outlive the controller.
  NvmeController(const NvmeConfig& config, NvmeState* state, std::byte* registers, DmaPort& dma,
                 InterruptSink& interrupts);
  NvmeController(const NvmeController&) = delete;
  NvmeController& operator=(const NvmeController&) = delete;

  const DeviceIdentity& identity() const override;
  std::span<const BarLayout> bars() const override;
  // The namespace takes the size that the image has by then. If it has none to be read, it keeps
  // its size, and commands fail.
  void Reset() override;
  bool Poll() override;
  void ReadBar(uint8_t bar, uint32_t offset, std::span<std::byte> data) override;
  void WriteBar(uint8_t bar, uint32_t offset, std::span<const std::byte> data) override;

  BlockImage& image() { return image_; }

 private:
  // Registers (controller_registers.cc).
  uint32_t ReadRegister(uint32_t offset) const;
  void WriteRegister(uint32_t offset, uint32_t value, uint32_t mask);
  void WriteDoorbell(uint32_t offset, uint32_t value, uint32_t mask);
  // Notices what was written to the register page, and puts right what cannot be written.
  bool FollowRegisters();
  bool FollowInterruptMask();
  void FollowConfiguration(uint32_t cc);
  void RestoreReadOnlyRegisters();
  void SetStatus(uint32_t csts);
  void Enable(uint32_t cc);
  void Shutdown();
  void ResetSession();

  // Work (controller.cc).
  bool IsRunning() const;
  void Fail();
  bool PostUnposted();
  bool ServeAdminQueue();
  bool ServeIoQueues();
  bool ServeIoQueue(uint32_t id);
  bool ReportEvents();
  void Complete(uint32_t queue, const nvme::SubmissionEntry& command,
                const nvme::CommandOutcome& outcome);

  const NvmeConfig config_;
  NvmeState& state_;
  nvme::RegisterPages registers_;
  InterruptSink& interrupts_;
  BlockImage image_;
  const nvme::Context context_;
  nvme::Queues queues_;
  nvme::IoCommands io_commands_;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_NVME_CONTROLLER_H_
