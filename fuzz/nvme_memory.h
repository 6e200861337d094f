// What is around the NVMe controller: memory that is only partly there, and interrupts.
#ifndef FUZZ_NVME_MEMORY_H_
#define FUZZ_NVME_MEMORY_H_

#include <cerrno>
#include <cstring>
#include <vector>

#include "fuzz/input.h"
#include "ioas/soft/device_model.h"
#include "ioas/soft/nvme/nvme_spec.h"

namespace fuzz {

inline constexpr uint64_t kNvmePage = 4096;

// Pages at IOVAs from kFirst on, of which the hole is not mapped. Everything else is a fault.
class NvmeMemory final : public ioas::soft::DmaPort {
 public:
  static constexpr uint64_t kFirst = 0x10000;
  static constexpr size_t kPages = 40;

  NvmeMemory() : bytes_(kPages * kNvmePage) {}

  ioas::Status Read(std::span<const ioas::soft::DmaSegment> segments, std::byte* buffer) override {
    for (const ioas::soft::DmaSegment& segment : segments) {
      if (!Holds(segment.iova, segment.length)) return NotMapped();
      std::memcpy(buffer, At(segment.iova), segment.length);
      buffer += segment.length;
    }
    return {};
  }
  ioas::Status Write(std::span<const ioas::soft::DmaSegment> segments,
                     const std::byte* buffer) override {
    for (const ioas::soft::DmaSegment& segment : segments) {
      if (!Holds(segment.iova, segment.length)) return NotMapped();
      std::memcpy(At(segment.iova), buffer, segment.length);
      buffer += segment.length;
    }
    return {};
  }

  // Whether all of it is mapped.
  bool Holds(uint64_t iova, uint64_t length) const {
    FUZZ_REQUIRE(length != 0);
    const uint64_t last = iova + (length - 1);
    if (last < iova || iova < kFirst || last >= kFirst + bytes_.size()) return false;
    return last < hole_first_ || iova > hole_last_;
  }
  // Takes pages away: `pages` from page `first` on; 0: none are missing any more.
  void MakeHole(uint64_t first, uint64_t pages) {
    hole_first_ = kFirst + first * kNvmePage;
    hole_last_ = hole_first_ + pages * kNvmePage - 1;
    if (pages != 0) return;
    hole_first_ = UINT64_MAX;
    hole_last_ = 0;
  }

  std::byte* At(uint64_t iova) { return bytes_.data() + (iova - kFirst); }
  template <typename T>
  T Load(uint64_t iova) {
    T value;
    std::memcpy(&value, At(iova), sizeof(value));
    return value;
  }
  std::vector<std::byte>& bytes() { return bytes_; }

 private:
  static ioas::Error NotMapped() { return {EFAULT, "not mapped"}; }

  std::vector<std::byte> bytes_;
  uint64_t hole_first_ = UINT64_MAX;
  uint64_t hole_last_ = 0;
};

class NvmeInterrupts final : public ioas::soft::InterruptSink {
 public:
  void Signal(uint32_t vector) override {
    FUZZ_REQUIRE(vector < ioas::soft::nvme::kInterruptVectors);
    ++signals;
  }
  void SetPin(bool asserted) override { pin = asserted; }
  bool message_signalled() const override { return has_messages; }

  uint64_t signals = 0;
  bool pin = false;
  bool has_messages = true;
};

// A piece of memory that a command names.
struct NvmePiece {
  uint64_t iova;
  uint32_t length;
};

struct NvmeTransfer {
  std::vector<NvmePiece> pieces;
  std::vector<NvmePiece> lists;  // memory that said where the pieces are
  // Otherwise an entry after these pieces has an offset that it may not have, or a list or a page
  // is not mapped. Data may have gone to the pieces before it by then.
  bool is_whole = false;
};

// The memory of `length` bytes that a command names (NVM Express 1.4, 4.3), with pages of 4096
// bytes.
inline NvmeTransfer TransferOf(NvmeMemory& memory, uint64_t prp1, uint64_t prp2, uint64_t length) {
  NvmeTransfer transfer;
  const auto add = [&](uint64_t iova, uint64_t bytes) {
    if (!memory.Holds(iova, bytes)) return false;
    transfer.pieces.push_back({iova, static_cast<uint32_t>(bytes)});
    length -= bytes;
    transfer.is_whole = length == 0;
    return true;
  };
  if (prp1 % 4 != 0) return transfer;
  if (!add(prp1, std::min(length, kNvmePage - prp1 % kNvmePage)) || length == 0) return transfer;
  if (length <= kNvmePage) {
    if (prp2 % kNvmePage == 0) add(prp2, length);
    return transfer;
  }
  for (uint64_t place = prp2; length != 0;) {
    if (place % 8 != 0 || !memory.Holds(place, 8)) break;
    transfer.lists.push_back({place, 8});
    const auto entry = memory.Load<uint64_t>(place);
    if (entry % kNvmePage != 0) break;
    // What stands at the end of a page leads on to the next list, unless it is the last entry.
    const bool is_chain = (place + 8) % kNvmePage == 0 && length > kNvmePage;
    if (!is_chain && !add(entry, std::min(length, kNvmePage))) break;
    place = is_chain ? entry : place + 8;
  }
  return transfer;
}

}  // namespace fuzz

#endif  // FUZZ_NVME_MEMORY_H_
