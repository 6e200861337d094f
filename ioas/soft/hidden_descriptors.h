// Descriptors that this library keeps for itself inside a program.
//
// They are close-on-exec and have high numbers, so that a program that counts on getting the lowest
// free number, or on its own being below 1024, sees no difference. Which numbers they are is known,
// so that the interposed close() can leave them alone.
#ifndef IOAS_SOFT_HIDDEN_DESCRIPTORS_H_
#define IOAS_SOFT_HIDDEN_DESCRIPTORS_H_

#include <atomic>

#include "ioas/base/result.h"

namespace ioas::soft {

// Duplicates `fd` to a hidden number, which it returns; `fd` stays open. EBADF if `fd` is not open,
// EMFILE if no number is free.
Result<int> HideDuplicate(int fd);
// Moves `fd` to a hidden number: `fd` is closed, whatever the result.
Result<int> Hide(int fd);
// Closes a hidden descriptor; does nothing for a negative number.
void CloseHidden(int fd);
// Whether `fd` is a hidden descriptor. Cheap: one load.
bool IsHidden(int fd);
// Whether `fd` is hidden or may come to be so at any moment: its number is where hidden ones are.
// Whoever closes such a one does it under a HidingLock.
inline bool MayBecomeHidden(int fd);

// Keeps other threads from hiding and closing hidden descriptors as long as it lives: for those who
// close what is not hidden. Waits for them for a moment only, since a forked child may lack the
// thread that it would wait for.
class [[nodiscard]] HidingLock {
 public:
  HidingLock();
  ~HidingLock();
  HidingLock(const HidingLock&) = delete;
  HidingLock& operator=(const HidingLock&) = delete;

 private:
  bool held_;
};

namespace internal {
extern std::atomic<int> lowest_hidden;
}  // namespace internal

inline bool MayBecomeHidden(int fd) {
  return fd >= internal::lowest_hidden.load(std::memory_order_relaxed);
}

}  // namespace ioas::soft

#endif  // IOAS_SOFT_HIDDEN_DESCRIPTORS_H_
