// The commands of I/O queues: the NVM command set (6).
#ifndef IOAS_SOFT_NVME_IO_COMMANDS_H_
#define IOAS_SOFT_NVME_IO_COMMANDS_H_

#include <cstddef>
#include <cstdint>

#include "ioas/soft/nvme/context.h"
#include "ioas/soft/nvme/nvme_spec.h"

namespace ioas::soft::nvme {

class IoCommands {
 public:
  explicit IoCommands(const Context& context) : context_(context) {}
  ~IoCommands();
  IoCommands(const IoCommands&) = delete;
  IoCommands& operator=(const IoCommands&) = delete;

  // Carries out one command. A transfer that fails in the middle leaves what went before it done.
  CommandStatus Execute(const SubmissionEntry& command);

  // Roughly how many bytes' worth of copying the commands have cost since the last ResetCost; ones
  // that wait for the disk count as much as a large transfer.
  uint64_t cost() const { return cost_; }
  void ResetCost() { cost_ = 0; }

 private:
  // A stretch of the image, in bytes.
  struct Extent {
    uint64_t offset;
    uint64_t length;
  };

  bool EnsureBuffer();
  CommandStatus Locate(uint64_t first_block, uint32_t blocks, Extent* extent) const;
  CommandStatus Read(const SubmissionEntry& command);
  CommandStatus Write(const SubmissionEntry& command);
  CommandStatus Transfer(const SubmissionEntry& command, const Extent& extent, bool to_image);
  CommandStatus WriteZeroes(const SubmissionEntry& command);
  CommandStatus ManageDataset(const SubmissionEntry& command);
  CommandStatus Deallocate(const struct DatasetRange* ranges, uint32_t count);
  // What a write must wait for: the disk, if it is forced or there is no write cache.
  CommandStatus FinishWrite(const SubmissionEntry& command);
  CommandStatus Flush();
  CommandStatus StatusOfWrite(const Error& error);
  CommandStatus StatusOfRead();

  const Context& context_;
  std::byte* buffer_ = nullptr;  // of this process: PrpWalker::kChunk bytes
  uint64_t cost_ = 0;
};

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_IO_COMMANDS_H_
