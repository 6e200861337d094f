#include "ioas/soft/nvme/prp.h"

#include <algorithm>

namespace ioas::soft::nvme {

CommandStatus PrpWalker::Next(std::span<const DmaSegment>* segments) {
  segment_count_ = 0;
  uint32_t wanted = std::min(remaining_, kChunk);
  remaining_ -= wanted;
  while (wanted != 0) {
    if (piece_length_ == 0) {
      const CommandStatus status = NextPiece();
      if (status != CommandStatus::kSuccess) return status;
    }
    const uint32_t taken = std::min(wanted, piece_length_);
    Append(taken);
    wanted -= taken;
  }
  *segments = {segments_, segment_count_};
  return CommandStatus::kSuccess;
}

// Pages that follow one another become one segment: drivers' buffers mostly are contiguous. No
// segment runs from the last page of the address space into the first. A chunk touches at most
// kMaximumSegments pages, so there is always room for another segment.
void PrpWalker::Append(uint32_t length) {
  if (segment_count_ != 0 && piece_ != 0) {
    DmaSegment& last = segments_[segment_count_ - 1];
    if (last.iova + last.length == piece_) {
      last.length += length;
      piece_ += length;
      piece_length_ -= length;
      return;
    }
  }
  segments_[segment_count_++] = {piece_, length};
  piece_ += length;
  piece_length_ -= length;
}

CommandStatus PrpWalker::NextPiece() {
  if (!started_) return FirstPiece();
  uint64_t entry = prp2_;
  if (has_list_) {
    const CommandStatus status = NextListEntry(&entry);
    if (status != CommandStatus::kSuccess) return status;
  }
  if (entry % page_size_ != 0) return CommandStatus::kPrpOffsetInvalid;
  piece_ = entry;
  piece_length_ = std::min(unplaced_, page_size_);
  unplaced_ -= piece_length_;
  return CommandStatus::kSuccess;
}

CommandStatus PrpWalker::FirstPiece() {
  started_ = true;
  if (prp1_ % 4 != 0) return CommandStatus::kPrpOffsetInvalid;
  const auto in_page = static_cast<uint32_t>(page_size_ - prp1_ % page_size_);
  piece_ = prp1_;
  piece_length_ = std::min(length_, in_page);
  unplaced_ = length_ - piece_length_;
  has_list_ = unplaced_ > page_size_;
  list_ = prp2_;
  if (has_list_ && list_ % sizeof(uint64_t) != 0) return CommandStatus::kPrpOffsetInvalid;
  return CommandStatus::kSuccess;
}

CommandStatus PrpWalker::NextListEntry(uint64_t* entry) {
  if (window_used_ == window_count_) {
    const CommandStatus status = ReadListWindow();
    if (status != CommandStatus::kSuccess) return status;
  }
  *entry = window_[window_used_++];
  // The last place of a list's page holds data only where it ends the transfer.
  const bool last_in_page = window_used_ == window_count_ && list_ % page_size_ == 0;
  if (!last_in_page || unplaced_ <= page_size_) return CommandStatus::kSuccess;
  if (*entry % page_size_ != 0) return CommandStatus::kPrpOffsetInvalid;
  list_ = *entry;
  const CommandStatus status = ReadListWindow();
  if (status != CommandStatus::kSuccess) return status;
  *entry = window_[window_used_++];
  return CommandStatus::kSuccess;
}

// Reads as many entries as the transfer still needs, the page holds, and the window takes. A list
// that begins at a page's start has room for a data entry, so that chains come to an end.
CommandStatus PrpWalker::ReadListWindow() {
  const uint32_t needed = (unplaced_ + page_size_ - 1) / page_size_;
  const auto in_page = static_cast<uint32_t>((page_size_ - list_ % page_size_) / sizeof(uint64_t));
  window_used_ = 0;
  window_count_ = std::min({needed, in_page, kListWindow});
  const auto bytes = static_cast<uint32_t>(window_count_ * sizeof(uint64_t));
  const DmaSegment segment{list_, bytes};
  if (!dma_.Read({&segment, 1}, reinterpret_cast<std::byte*>(window_)).ok()) {
    return CommandStatus::kDataTransferError;
  }
  list_ += bytes;
  return CommandStatus::kSuccess;
}

CommandStatus WriteToHost(DmaPort& dma, uint32_t page_size, const SubmissionEntry& command,
                          std::span<const std::byte> data) {
  PrpWalker walker(dma, page_size, command, static_cast<uint32_t>(data.size()));
  std::span<const DmaSegment> segments;
  const CommandStatus status = walker.Next(&segments);
  if (status != CommandStatus::kSuccess) return status;
  return dma.Write(segments, data.data()).ok() ? CommandStatus::kSuccess
                                               : CommandStatus::kDataTransferError;
}

CommandStatus ReadFromHost(DmaPort& dma, uint32_t page_size, const SubmissionEntry& command,
                           std::span<std::byte> data) {
  PrpWalker walker(dma, page_size, command, static_cast<uint32_t>(data.size()));
  std::span<const DmaSegment> segments;
  const CommandStatus status = walker.Next(&segments);
  if (status != CommandStatus::kSuccess) return status;
  return dma.Read(segments, data.data()).ok() ? CommandStatus::kSuccess
                                              : CommandStatus::kDataTransferError;
}

}  // namespace ioas::soft::nvme
