#include "ioas/soft/hidden_descriptors.h"

#include <fcntl.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <limits>

#include "ioas/base/system_call.h"

namespace ioas::soft {
namespace {

constexpr int kNumbers = 1 << 16;
constexpr int kBits = 64;
// Higher numbers would only make the kernel's table of descriptors larger.
constexpr uint64_t kHighestLimit = 4096;
constexpr uint64_t kReserve = 1024;

// A bit for each descriptor number.
std::atomic<uint64_t> hidden[kNumbers / kBits];

int LowestHiddenNumber() {
  rlimit64 limit = {1024, 1024};
  SystemCall(SYS_prlimit64, 0, RLIMIT_NOFILE, nullptr, &limit);
  const uint64_t top = std::min<uint64_t>(limit.rlim_cur, kHighestLimit);
  return static_cast<int>(top - std::min(top / 2, kReserve));
}

// Duplicates `fd` to a number that is hidden from then on. The lock is held.
Result<int> DuplicateHidden(int fd, int lowest) {
  const long number = SystemCall(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest);
  if (number == -EBADF) return Error{EBADF, "the descriptor is not open"};
  if (number < 0) return Error{EMFILE, "no descriptor number is free"};
  if (number >= kNumbers) {
    SystemCall(SYS_close, number);
    return Error{EMFILE, "no descriptor number is free"};
  }
  hidden[number / kBits].fetch_or(uint64_t{1} << number % kBits, std::memory_order_relaxed);
  return static_cast<int>(number);
}

}  // namespace

namespace internal {

std::atomic<int> lowest_hidden{std::numeric_limits<int>::max()};
PrivateLock hiding;

Result<int> Birth::Move(long fd) {
  if (fd < 0) return Error{static_cast<int>(-fd), "the descriptor cannot be opened"};
  const int lowest = LowestHiddenNumber();
  lowest_ = std::min(lowest_, lowest);
  const Result<int> number = DuplicateHidden(static_cast<int>(fd), lowest);
  SystemCall(SYS_close, fd);
  return number;
}

}  // namespace internal

namespace {
SignalMask before_fork;
}  // namespace

void HoldHiding() { before_fork = internal::hiding.Lock(); }
void ReleaseHiding() { internal::hiding.Unlock(before_fork); }

Result<int> HideDuplicate(int fd) {
  const HidingLock lock;
  const int lowest = LowestHiddenNumber();
  if (!MayBecomeHidden(lowest)) {
    internal::lowest_hidden.store(lowest, std::memory_order_relaxed);
  }
  return DuplicateHidden(fd, lowest);
}

void CloseHidden(int fd) {
  if (!IsHidden(fd)) return;
  const HidingLock lock;
  // First the number stops being hidden: once it is closed, the program may get it.
  hidden[fd / kBits].fetch_and(~(uint64_t{1} << fd % kBits), std::memory_order_relaxed);
  SystemCall(SYS_close, fd);
}

bool IsHidden(int fd) {
  if (fd < 0 || fd >= kNumbers) return false;
  return (hidden[fd / kBits].load(std::memory_order_relaxed) >> fd % kBits & 1) != 0;
}

}  // namespace ioas::soft
