// The register page and the doorbell page of BAR 0 (3.1), which programs map and write as they
// please: every access to them is atomic, and none of them is believed to hold what was put there.
#ifndef IOAS_SOFT_NVME_REGISTERS_H_
#define IOAS_SOFT_NVME_REGISTERS_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ioas/soft/nvme/nvme_spec.h"

namespace ioas::soft::nvme {

inline constexpr uint32_t kRegisterCap = 0x00;
inline constexpr uint32_t kRegisterCapHigh = 0x04;
inline constexpr uint32_t kRegisterVs = 0x08;
inline constexpr uint32_t kRegisterIntms = 0x0c;
inline constexpr uint32_t kRegisterIntmc = 0x10;
inline constexpr uint32_t kRegisterCc = 0x14;
inline constexpr uint32_t kRegisterReserved18 = 0x18;
inline constexpr uint32_t kRegisterCsts = 0x1c;
inline constexpr uint32_t kRegisterNssr = 0x20;
inline constexpr uint32_t kRegisterAqa = 0x24;
inline constexpr uint32_t kRegisterAsq = 0x28;
inline constexpr uint32_t kRegisterAcq = 0x30;
// Behind the admin queues' addresses everything is optional, absent here, and reads 0. What is
// watched ends behind the controller memory buffer's registers, the last that drivers read.
inline constexpr uint32_t kRegisterAfterAcq = 0x38;
inline constexpr uint32_t kRegisterWatchedEnd = 0x48;

inline constexpr uint32_t kDoorbells = 0x1000;
inline constexpr uint32_t kRegisterPagesSize = 0x2000;

// CAP: entries, contiguous queues required, 10 s until ready at most, stride 4 bytes, no subsystem
// reset, NVM command set, memory pages from 4 KiB to 64 KiB (the largest that Linux runs with).
inline constexpr uint32_t kMaximumPageShift = 16;
inline constexpr uint64_t kCapabilities = (kMaximumQueueEntries - 1) | (uint64_t{1} << 16) |
                                          (uint64_t{20} << 24) | (uint64_t{1} << 37) |
                                          (uint64_t{kMaximumPageShift - 12} << 52);

// CC.
inline constexpr uint32_t kCcEnable = 1;
constexpr uint32_t CommandSetOf(uint32_t cc) { return cc >> 4 & 7; }
constexpr uint32_t PageShiftOf(uint32_t cc) { return 12 + (cc >> 7 & 0xf); }
constexpr uint32_t ArbitrationOf(uint32_t cc) { return cc >> 11 & 7; }
constexpr uint32_t ShutdownOf(uint32_t cc) { return cc >> 14 & 3; }
constexpr uint32_t SubmissionEntryShiftOf(uint32_t cc) { return cc >> 16 & 0xf; }
constexpr uint32_t CompletionEntryShiftOf(uint32_t cc) { return cc >> 20 & 0xf; }

// CSTS.
inline constexpr uint32_t kCstsReady = 1 << 0;
inline constexpr uint32_t kCstsFatal = 1 << 1;
inline constexpr uint32_t kCstsShutdownComplete = 2 << 2;
inline constexpr uint32_t kCstsShutdownMask = 3 << 2;

// Offsets of the doorbells of queue `id`.
constexpr uint32_t TailDoorbell(uint32_t id) { return kDoorbells + id * 8; }
constexpr uint32_t HeadDoorbell(uint32_t id) { return kDoorbells + id * 8 + 4; }

class RegisterPages {
 public:
  // `base`: kRegisterPagesSize bytes, page aligned, shared with whoever maps the BAR.
  explicit RegisterPages(std::byte* base) : base_(base) {}

  // `offset` is a multiple of 4 below kRegisterPagesSize, in all of these.
  uint32_t Load(uint32_t offset) const { return Word(offset).load(std::memory_order_acquire); }
  void Store(uint32_t offset, uint32_t value) const {
    Word(offset).store(value, std::memory_order_release);
  }
  // Puts `value` there and returns what was there before.
  uint32_t Exchange(uint32_t offset, uint32_t value) const {
    return Word(offset).exchange(value, std::memory_order_acq_rel);
  }
  // Puts `value` there unless something else than `expected` has come to be there.
  void Replace(uint32_t offset, uint32_t expected, uint32_t value) const {
    Word(offset).compare_exchange_strong(expected, value, std::memory_order_acq_rel);
  }
  // Stores `value` where something else is. Returns whether something else was.
  bool Restore(uint32_t offset, uint32_t value) const {
    if (Load(offset) == value) return false;
    Store(offset, value);
    return true;
  }
  uint64_t Load64(uint32_t offset) const {
    return Load(offset) | static_cast<uint64_t>(Load(offset + 4)) << 32;
  }

 private:
  std::atomic_ref<uint32_t> Word(uint32_t offset) const {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(base_ + offset));
  }

  std::byte* base_;
};

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_REGISTERS_H_
