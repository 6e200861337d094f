// Physical region pages (4.3): the form in which commands name memory.
#ifndef IOAS_SOFT_NVME_PRP_H_
#define IOAS_SOFT_NVME_PRP_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ioas/soft/device_model.h"
#include "ioas/soft/nvme/nvme_spec.h"

namespace ioas::soft::nvme {

// Walks the memory that a command names, a chunk at a time. Lists are read when they are needed,
// and never more of them than the transfer's length calls for, however they are chained.
class PrpWalker {
 public:
  // How much Next hands out at most.
  static constexpr uint32_t kChunk = 256 << 10;

  // `page_size`: that of CC.MPS. `length`: bytes of the whole transfer, at least 1.
  PrpWalker(DmaPort& dma, uint32_t page_size, const SubmissionEntry& command, uint32_t length)
      : dma_(dma),
        page_size_(page_size),
        prp1_(command.prp1),
        prp2_(command.prp2),
        length_(length),
        remaining_(length) {}

  // Bytes that Next has not handed out.
  uint32_t remaining() const { return remaining_; }

  // Finds the memory for the next part of the transfer: the lesser of kChunk and remaining().
  // `*segments` lies in the walker and lasts until the next call. kPrpOffsetInvalid where an entry
  // has an offset that it may not have, kDataTransferError where a list cannot be read.
  CommandStatus Next(std::span<const DmaSegment>* segments);

 private:
  static constexpr uint32_t kListWindow = 256;  // entries read at once: 2 KiB of stack
  static constexpr uint32_t kMaximumSegments = kChunk / 4096 + 1;

  // Finds where the transfer goes on: sets piece_ and piece_length_.
  CommandStatus NextPiece();
  // The piece that PRP1 names, and what PRP2 means then.
  CommandStatus FirstPiece();
  // Takes the next entry from the list, following chain pointers.
  CommandStatus NextListEntry(uint64_t* entry);
  CommandStatus ReadListWindow();
  void Append(uint32_t length);

  DmaPort& dma_;
  const uint32_t page_size_;
  const uint64_t prp1_;
  const uint64_t prp2_;
  const uint32_t length_;
  uint32_t remaining_;

  bool started_ = false;
  bool has_list_ = false;
  uint32_t unplaced_ = 0;  // bytes for which no entry was taken yet
  uint64_t piece_ = 0;     // what is left of the page in hand
  uint32_t piece_length_ = 0;

  uint64_t list_ = 0;  // IOVA of the first list entry that was not read
  uint32_t window_used_ = 0;
  uint32_t window_count_ = 0;
  uint32_t segment_count_ = 0;
  DmaSegment segments_[kMaximumSegments];
  uint64_t window_[kListWindow];
};

// Copies `data` to the memory that `command` names, or from there. For what fits one chunk.
CommandStatus WriteToHost(DmaPort& dma, uint32_t page_size, const SubmissionEntry& command,
                          std::span<const std::byte> data);
CommandStatus ReadFromHost(DmaPort& dma, uint32_t page_size, const SubmissionEntry& command,
                           std::span<std::byte> data);

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_PRP_H_
