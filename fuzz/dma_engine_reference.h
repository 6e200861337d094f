// A DMA engine as its registers are described, and the memory around it.
#ifndef FUZZ_DMA_ENGINE_REFERENCE_H_
#define FUZZ_DMA_ENGINE_REFERENCE_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <map>
#include <span>
#include <vector>

#include "ioas/soft/device_model.h"

namespace fuzz {

// What accesses with a PASID reach: pages from kFirst on, of which some are missing.
class DmaSpaces {
 public:
  static constexpr uint64_t kFirst = 0x10000;
  static constexpr size_t kBytes = 192 * 1024;

  // Gives the PASID (kNoPasid: accesses without one) memory that holds `fill`, without `pages`
  // pages from offset `first` on.
  void Change(uint32_t pasid, uint64_t first, uint64_t pages, std::byte fill) {
    Space& space = spaces_[pasid];
    space.bytes.assign(kBytes, fill);
    space.hole_first = first;
    space.hole_end = first + pages * 4096;
  }
  // Where `size` bytes at `iova` are; null if any of them is not there.
  std::byte* At(uint32_t pasid, uint64_t iova, uint64_t size) {
    const auto found = spaces_.find(pasid);
    if (found == spaces_.end() || iova < kFirst) return nullptr;
    Space& space = found->second;
    const uint64_t first = iova - kFirst;
    if (first >= kBytes || size > kBytes - first) return nullptr;
    const bool is_whole = first + size <= space.hole_first || first >= space.hole_end;
    return is_whole || space.hole_first == space.hole_end ? space.bytes.data() + first : nullptr;
  }
  bool operator==(const DmaSpaces&) const = default;

 private:
  struct Space {
    std::vector<std::byte> bytes;
    uint64_t hole_first = 0;
    uint64_t hole_end = 0;
    bool operator==(const Space&) const = default;
  };

  std::map<uint32_t, Space> spaces_;
};

class DmaEngineReference {
 public:
  static constexpr uint64_t kPieceBytes = 64 * 1024;

  explicit DmaEngineReference(DmaSpaces& spaces) : spaces_(spaces) {}

  void Reset(uint8_t pasid_bits) {
    std::fill(std::begin(registers_), std::end(registers_), std::byte{0});
    Put(kPasidBits, uint32_t{pasid_bits});
    pasid_bits_ = pasid_bits;
    served_ = 0;
    is_busy_ = false;
  }
  // A program's write by a call: the registers that are its own, or the whole doorbell.
  void WriteByCall(uint32_t offset, std::span<const std::byte> bytes) {
    if (offset + bytes.size() <= kPasidBits) {
      std::memcpy(registers_ + offset, bytes.data(), bytes.size());
    } else if (offset == kDoorbell && bytes.size() >= 4) {
      std::memcpy(registers_ + offset, bytes.data(), 4);
    }
  }
  void WriteAsMemory(uint32_t offset, uint32_t value) { Put(offset, value); }
  void Ask(std::span<const uint64_t, 2> addresses, std::span<const uint32_t, 3> others) {
    std::memcpy(registers_, addresses.data(), addresses.size_bytes());
    std::memcpy(registers_ + addresses.size_bytes(), others.data(), others.size_bytes());
  }

  // What the engine does at once: takes a copy up, or moves a piece of it. Returns whether it had
  // anything to do.
  bool Poll() {
    if (!is_busy_) return Begin();
    const uint32_t status = MovePiece();
    Put(kCopied, copied_);
    if (status != kBusy) End(status);
    return true;
  }

  const std::byte* registers() const { return registers_; }
  // How many copies are over.
  uint64_t completions() const { return completions_; }

 private:
  static constexpr uint32_t kPasidBits = 0x1c;
  static constexpr uint32_t kCopied = 0x20;
  static constexpr uint32_t kStatus = 0x28;
  static constexpr uint32_t kCompleted = 0x2c;
  static constexpr uint32_t kDoorbell = 0x1000;
  enum : uint32_t { kBusy = 1, kDone, kSourceFault, kDestinationFault, kInvalid };
  struct Side {
    uint64_t first;
    uint32_t pasid;
  };

  template <typename T>
  void Put(uint32_t offset, T value) {
    std::memcpy(registers_ + offset, &value, sizeof(value));
  }
  template <typename T>
  T Get(uint32_t offset) const {
    T value;
    std::memcpy(&value, registers_ + offset, sizeof(value));
    return value;
  }
  // The side whose IOVA and PASID stand at these offsets; false if it is none.
  bool Take(uint32_t iova, uint32_t pasid, Side& side) const {
    const auto value = Get<uint32_t>(pasid);
    side = {Get<uint64_t>(iova), ioas::soft::kNoPasid};
    if (length_ != 0 && side.first > UINT64_MAX - (length_ - 1)) return false;
    if (value == 0) return true;
    side.pasid = value & 0x7fffffff;
    return value >> 31 != 0 && pasid_bits_ != 0 && side.pasid < uint32_t{1} << pasid_bits_;
  }
  bool Begin() {
    if (Get<uint32_t>(kDoorbell) == served_) return false;
    doorbell_ = Get<uint32_t>(kDoorbell);
    length_ = Get<uint32_t>(0x18);
    copied_ = 0;
    is_busy_ = true;
    Put(kCopied, copied_);
    Put(kStatus, uint32_t{kBusy});
    const bool has_source = Take(0, 0x10, source_);
    const bool has_destination = Take(8, 0x14, destination_);
    if (!has_source || !has_destination) End(kInvalid);
    return true;
  }
  uint32_t MovePiece() {
    const uint64_t size = std::min(kPieceBytes, length_ - copied_);
    if (size == 0) return kDone;
    const std::byte* const from = spaces_.At(source_.pasid, source_.first + copied_, size);
    if (from == nullptr) return kSourceFault;
    const std::vector<std::byte> piece(from, from + size);
    std::byte* const to = spaces_.At(destination_.pasid, destination_.first + copied_, size);
    if (to == nullptr) return kDestinationFault;
    std::copy(piece.begin(), piece.end(), to);
    copied_ += size;
    return copied_ == length_ ? kDone : kBusy;
  }
  void End(uint32_t status) {
    served_ = doorbell_;
    is_busy_ = false;
    ++completions_;
    Put(kStatus, status);
    Put(kCompleted, doorbell_);
  }

  DmaSpaces& spaces_;
  std::byte registers_[0x2000] = {};
  uint8_t pasid_bits_ = 0;
  uint32_t served_ = 0;
  bool is_busy_ = false;
  uint32_t doorbell_ = 0;
  uint64_t length_ = 0;
  uint64_t copied_ = 0;
  Side source_ = {};
  Side destination_ = {};
  uint64_t completions_ = 0;
};

}  // namespace fuzz

#endif  // FUZZ_DMA_ENGINE_REFERENCE_H_
