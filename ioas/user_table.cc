#include "ioas/user_table.h"

#include <atomic>
#include <bit>
#include <cerrno>

#include "ioas/backend.h"

namespace ioas {
namespace {

constexpr uint32_t kPageShift = 12;
constexpr uint32_t kBitsPerLevel = 9;

// Entries of the first stage (Intel VT-d specification, 9.7 to 9.9).
constexpr uint64_t kPresent = 1u << 0;
constexpr uint64_t kWritable = 1u << 1;
constexpr uint64_t kUser = 1u << 2;
constexpr uint64_t kPageSize = 1u << 7;
constexpr uint64_t kAddress = 0x000ffffffffff000;
// Of a large page's entry, which lie where smaller ones have their address.
constexpr uint64_t kPageAttribute = 1u << 12;
constexpr uint32_t kLargestLeafLevel = 3;

// TCEs (Linux on Power Architecture Reference, "TCE"; arch/powerpc/include/asm/tce.h).
constexpr uint64_t kTceRead = 1u << 0;
constexpr uint64_t kTceWrite = 1u << 1;

constexpr Error kNotThere = {ENOENT, "the program's page table has no entry there"};
constexpr Error kForbidden = {EACCES, "the program's page table does not permit it"};
constexpr Error kReserved = {EINVAL, "the program's page table has reserved bits set"};
constexpr Error kUnreadable = {EFAULT, "the program's page table cannot be read"};

uint32_t ShiftOf(uint32_t level) { return kPageShift + (level - 1) * kBitsPerLevel; }

// Whether all bits above those that `levels` translate are copies of the highest one of these.
bool IsCanonical(uint64_t iova, uint32_t levels) {
  const uint32_t unused = 64 - ShiftOf(levels + 1);
  return static_cast<uint64_t>(static_cast<int64_t>(iova << unused) >> unused) == iova;
}

bool IsLeaf(uint64_t entry, uint32_t level) { return level == 1 || (entry & kPageSize) != 0; }

bool HasReservedBits(uint64_t entry, uint32_t level) {
  if (level == 1 || (entry & kPageSize) == 0) return false;
  if (level > kLargestLeafLevel) return true;
  const uint64_t below = (uint64_t{1} << ShiftOf(level)) - 1;
  return (entry & kAddress & below & ~kPageAttribute) != 0;
}

}  // namespace

Result<CachedTranslation> UserTable::WalkFirstStage(uint64_t iova) const {
  if (!IsCanonical(iova, state_->levels)) return kNotThere;
  uint64_t table = state_->table & kAddress;
  uint64_t common = kWritable | kUser;
  for (uint32_t level = state_->levels;; --level) {
    const uint64_t index = iova >> ShiftOf(level) & ((1u << kBitsPerLevel) - 1);
    const Result<uint64_t> entry = memory_->ReadEntry(table + index * sizeof(uint64_t));
    if (!entry.ok()) return kUnreadable;
    if ((*entry & kPresent) == 0) return kNotThere;
    if (HasReservedBits(*entry, level)) return kReserved;
    common &= *entry;
    table = *entry & kAddress;
    if (!IsLeaf(*entry, level)) continue;
    const uint64_t offset = (uint64_t{1} << ShiftOf(level)) - 1;
    uint32_t access = 0;
    if ((common & kUser) != 0) access |= kAccessRead;
    if ((common & kUser) != 0 && (common & kWritable) != 0) access |= kAccessWrite;
    return CachedTranslation{1, access, iova & ~offset, iova | offset, table & ~offset};
  }
}

Result<CachedTranslation> UserTable::ReadTce(uint64_t iova) const {
  if (!state_->window.Contains(iova)) return kNotThere;
  const uint64_t index = (iova - state_->window.first) >> state_->page_shift;
  const Result<uint64_t> stored = memory_->ReadEntry(state_->table + index * sizeof(uint64_t));
  if (!stored.ok()) return kUnreadable;
  const uint64_t entry =
      std::endian::native == std::endian::little ? __builtin_bswap64(*stored) : *stored;
  if ((entry & (kTceRead | kTceWrite)) == 0) return kNotThere;
  uint32_t access = 0;
  if ((entry & kTceRead) != 0) access |= kAccessRead;
  if ((entry & kTceWrite) != 0) access |= kAccessWrite;
  const uint64_t offset = (uint64_t{1} << state_->page_shift) - 1;
  return CachedTranslation{1, access, iova & ~offset, iova | offset, entry & ~offset};
}

Result<CachedTranslation> UserTable::Walk(uint64_t iova) const {
  return state_->format == UserTableFormat::kTce ? ReadTce(iova) : WalkFirstStage(iova);
}

Result<UserTranslation> UserTable::Translate(uint64_t iova, uint32_t access) {
  CachedTranslation& cached = state_->cache[(iova >> kPageShift) % kCachedTranslations];
  // A table may be changed to permit more without any invalidation.
  const bool is_known = cached.is_there != 0 && (cached.access & access) == access &&
                        iova >= cached.first && iova <= cached.last;
  if (!is_known) {
    const Result<CachedTranslation> found = Walk(iova);
    if (!found.ok()) return found.error();
    if ((found->access & access) != access) return kForbidden;
    // Whoever dies here leaves nothing, or all of it.
    cached.is_there = 0;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    cached.access = found->access;
    cached.first = found->first;
    cached.last = found->last;
    cached.target = found->target;
    std::atomic_signal_fence(std::memory_order_seq_cst);
    cached.is_there = 1;
  }
  return UserTranslation{cached.target + (iova - cached.first), cached.last - iova + 1};
}

void UserTable::Invalidate(const IovaRange& range) {
  for (CachedTranslation& cached : state_->cache) {
    if (cached.first <= range.last && range.first <= cached.last) cached.is_there = 0;
  }
}

}  // namespace ioas
