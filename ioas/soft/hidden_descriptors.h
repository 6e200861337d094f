// Descriptors that this library keeps for itself inside a program.
//
// They are close-on-exec and have high numbers, so that a program that counts on getting the lowest
// free number, or on its own being below 1024, sees no difference. Which numbers they are is known,
// so that the interposed close() can leave them alone.
#ifndef IOAS_SOFT_HIDDEN_DESCRIPTORS_H_
#define IOAS_SOFT_HIDDEN_DESCRIPTORS_H_

#include <atomic>

#include "ioas/base/private_lock.h"
#include "ioas/base/result.h"

namespace ioas::soft {

// Duplicates `fd` to a hidden number, which it returns; `fd` stays open. EBADF if `fd` is not open,
// EMFILE if no number is free.
Result<int> HideDuplicate(int fd);
// Calls `open`, which returns a new descriptor or a negated errno, and moves that descriptor to a
// hidden number, which is returned. The first number is nobody else's: close() and its like wait
// meanwhile. The errno of `open`, or EMFILE.
template <typename Open>
Result<int> OpenHidden(Open open);
// Closes a hidden descriptor; does nothing for a negative number.
void CloseHidden(int fd);
// Whether `fd` is a hidden descriptor. Cheap: one load.
bool IsHidden(int fd);
// Whether `fd` is hidden or may come to be so at any moment: its number is where hidden ones are.
// Whoever closes such a one does it under a HidingLock.
inline bool MayBecomeHidden(int fd);

namespace internal {
extern std::atomic<int> lowest_hidden;
extern PrivateLock hiding;
}  // namespace internal

// Keeps other threads from hiding and closing hidden descriptors as long as it lives: for those who
// close what is not hidden.
class [[nodiscard]] HidingLock {
 private:
  PrivateLock::Guard guard_{internal::hiding};
};

// Around fork(): the child gets what is hidden as it is, and can hide more.
void HoldHiding();
void ReleaseHiding();

namespace internal {

// A descriptor that is about to be hidden: until this object ends, any number may come to be.
class [[nodiscard]] Birth {
 public:
  Birth() : lowest_(lowest_hidden.exchange(0)) {}
  ~Birth() { lowest_hidden.store(lowest_); }
  Birth(const Birth&) = delete;
  Birth& operator=(const Birth&) = delete;
  // Moves `fd`, or passes on the error that it is.
  Result<int> Move(long fd);

 private:
  HidingLock lock_;
  int lowest_;
};

}  // namespace internal

template <typename Open>
Result<int> OpenHidden(Open open) {
  internal::Birth birth;
  return birth.Move(open());
}

inline bool MayBecomeHidden(int fd) {
  return fd >= internal::lowest_hidden.load(std::memory_order_relaxed);
}

}  // namespace ioas::soft

#endif  // IOAS_SOFT_HIDDEN_DESCRIPTORS_H_
