#include "ioas/soft/nvme/io_commands.h"

#include <sys/mman.h>
#include <sys/syscall.h>

#include <bit>

#include "ioas/base/system_call.h"
#include "ioas/soft/nvme/flush.h"
#include "ioas/soft/nvme/prp.h"

namespace ioas::soft::nvme {

// Figure 361: one range of dataset management.
struct DatasetRange {
  uint32_t attributes;
  uint32_t blocks;
  uint64_t first_block;
};
static_assert(sizeof(DatasetRange) == 16);

namespace {

constexpr uint32_t kForceUnitAccess = 1 << 30;  // double word 12
constexpr uint32_t kWriteZeroesDeallocate = 1 << 25;
constexpr uint32_t kDatasetDeallocate = 1 << 2;  // double word 11
constexpr uint32_t kMaximumDatasetRanges = 256;
constexpr uint64_t kCommandCost = 4096;

uint64_t FirstBlockOf(const SubmissionEntry& command) {
  return command.cdw10 | uint64_t{command.cdw11} << 32;
}
uint32_t BlocksOf(const SubmissionEntry& command) { return (command.cdw12 & 0xffff) + 1; }

bool IsKnown(IoOpcode opcode) {
  return opcode == IoOpcode::kFlush || opcode == IoOpcode::kWrite || opcode == IoOpcode::kRead ||
         opcode == IoOpcode::kWriteZeroes || opcode == IoOpcode::kDatasetManagement;
}

bool NamesTheNamespace(const SubmissionEntry& command) {
  const bool flush = static_cast<IoOpcode>(command.opcode) == IoOpcode::kFlush;
  return command.namespace_id == kNamespaceId || (flush && command.namespace_id == kAllNamespaces);
}

}  // namespace

IoCommands::~IoCommands() {
  if (buffer_ != nullptr) SystemCall(SYS_munmap, buffer_, size_t{PrpWalker::kChunk});
}

bool IoCommands::EnsureBuffer() {
  if (buffer_ != nullptr) return true;
  const long address = SystemCall(SYS_mmap, nullptr, size_t{PrpWalker::kChunk},
                                  PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0L);
  if (address < 0 && address > -4096) return false;
  buffer_ = reinterpret_cast<std::byte*>(address);
  return true;
}

CommandStatus IoCommands::Execute(const SubmissionEntry& command) {
  const auto opcode = static_cast<IoOpcode>(command.opcode);
  cost_ += kCommandCost;
  if (!IsKnown(opcode)) return CommandStatus::kInvalidOpcode;
  if (command.flags != 0) return CommandStatus::kInvalidField;  // fused, or with an SGL
  if (!NamesTheNamespace(command)) return CommandStatus::kInvalidNamespaceOrFormat;
  if (opcode == IoOpcode::kFlush) return Flush();
  if (!EnsureBuffer()) return CommandStatus::kInternalError;
  if (opcode == IoOpcode::kRead) return Read(command);
  if (context_.image.read_only()) return CommandStatus::kNamespaceWriteProtected;
  if (opcode == IoOpcode::kWrite) return Write(command);
  if (opcode == IoOpcode::kWriteZeroes) return WriteZeroes(command);
  return ManageDataset(command);
}

CommandStatus IoCommands::Locate(uint64_t first_block, uint32_t blocks, Extent* extent) const {
  const uint64_t block_count = context_.state.block_count;
  if (first_block > block_count || blocks > block_count - first_block) {
    return CommandStatus::kLbaOutOfRange;
  }
  const uint64_t block_size = context_.config.block_size;
  *extent = {first_block * block_size, blocks * block_size};
  return CommandStatus::kSuccess;
}

CommandStatus IoCommands::Read(const SubmissionEntry& command) {
  Extent extent{};
  CommandStatus status = Locate(FirstBlockOf(command), BlocksOf(command), &extent);
  if (status != CommandStatus::kSuccess) return status;
  // What is read must be on the disk by then.
  if ((command.cdw12 & kForceUnitAccess) != 0) status = Flush();
  if (status != CommandStatus::kSuccess) return status;
  status = Transfer(command, extent, false);
  if (status != CommandStatus::kSuccess) return status;
  ++context_.state.lifetime.host_reads;
  context_.state.lifetime.sectors_read += extent.length / 512;
  return CommandStatus::kSuccess;
}

CommandStatus IoCommands::Write(const SubmissionEntry& command) {
  Extent extent{};
  CommandStatus status = Locate(FirstBlockOf(command), BlocksOf(command), &extent);
  if (status != CommandStatus::kSuccess) return status;
  status = Transfer(command, extent, true);
  if (status != CommandStatus::kSuccess) return status;
  ++context_.state.lifetime.host_writes;
  context_.state.lifetime.sectors_written += extent.length / 512;
  return FinishWrite(command);
}

CommandStatus IoCommands::Transfer(const SubmissionEntry& command, const Extent& extent,
                                   bool to_image) {
  if (extent.length > kMaximumTransfer) return CommandStatus::kInvalidField;
  const auto length = static_cast<uint32_t>(extent.length);
  PrpWalker walker(context_.dma, context_.session().page_size, command, length);
  cost_ += length;
  uint64_t offset = extent.offset;
  while (walker.remaining() != 0) {
    const uint32_t before = walker.remaining();
    std::span<const DmaSegment> segments;
    const CommandStatus status = walker.Next(&segments);
    if (status != CommandStatus::kSuccess) return status;
    const std::span<std::byte> chunk(buffer_, before - walker.remaining());
    if (to_image) {
      if (!context_.dma.Read(segments, buffer_).ok()) return CommandStatus::kDataTransferError;
      const ioas::Status written = context_.image.Write(offset, chunk);
      if (!written.ok()) return StatusOfWrite(written.error());
    } else {
      if (!context_.image.Read(offset, chunk).ok()) return StatusOfRead();
      if (!context_.dma.Write(segments, buffer_).ok()) return CommandStatus::kDataTransferError;
    }
    offset += chunk.size();
  }
  return CommandStatus::kSuccess;
}

CommandStatus IoCommands::WriteZeroes(const SubmissionEntry& command) {
  Extent extent{};
  const CommandStatus status = Locate(FirstBlockOf(command), BlocksOf(command), &extent);
  if (status != CommandStatus::kSuccess) return status;
  cost_ += PrpWalker::kChunk;
  const bool deallocate = (command.cdw12 & kWriteZeroesDeallocate) != 0;
  const ioas::Status zeroed = context_.image.WriteZeroes(extent.offset, extent.length, deallocate);
  if (!zeroed.ok()) return StatusOfWrite(zeroed.error());
  return FinishWrite(command);
}

CommandStatus IoCommands::ManageDataset(const SubmissionEntry& command) {
  // The other attributes are hints about the future.
  if ((command.cdw11 & kDatasetDeallocate) == 0) return CommandStatus::kSuccess;
  DatasetRange ranges[kMaximumDatasetRanges];
  const uint32_t count = (command.cdw10 & 0xff) + 1;
  const CommandStatus status = ReadFromHost(context_.dma, context_.session().page_size, command,
                                            std::as_writable_bytes(std::span(ranges, count)));
  if (status != CommandStatus::kSuccess) return status;
  cost_ += PrpWalker::kChunk;
  return Deallocate(ranges, count);
}

CommandStatus IoCommands::Deallocate(const DatasetRange* ranges, uint32_t count) {
  Extent extents[kMaximumDatasetRanges];
  for (uint32_t i = 0; i < count; ++i) {
    const CommandStatus status = Locate(ranges[i].first_block, ranges[i].blocks, &extents[i]);
    if (status != CommandStatus::kSuccess) return status;
  }
  for (uint32_t i = 0; i < count; ++i) {
    if (extents[i].length == 0) continue;
    const ioas::Status discarded = context_.image.Discard(extents[i].offset, extents[i].length);
    if (!discarded.ok()) return StatusOfWrite(discarded.error());
  }
  return CommandStatus::kSuccess;
}

CommandStatus IoCommands::FinishWrite(const SubmissionEntry& command) {
  const bool forced = (command.cdw12 & kForceUnitAccess) != 0;
  const bool cached = context_.session().features.write_cache != 0;
  return forced || !cached ? Flush() : CommandStatus::kSuccess;
}

CommandStatus IoCommands::Flush() {
  cost_ += PrpWalker::kChunk;
  return FlushImage(context_);
}

CommandStatus IoCommands::StatusOfWrite(const Error& error) {
  if (error.code == EROFS) return CommandStatus::kNamespaceWriteProtected;
  ++context_.state.lifetime.media_errors;
  if (error.code == ENOSPC || error.code == EDQUOT) return CommandStatus::kCapacityExceeded;
  return CommandStatus::kWriteFault;
}

CommandStatus IoCommands::StatusOfRead() {
  ++context_.state.lifetime.media_errors;
  return CommandStatus::kUnrecoveredReadError;
}

}  // namespace ioas::soft::nvme
