// Memory whose end is the end of what may be touched.
#ifndef TESTS_SWEEP_GUARDED_PAGE_H_
#define TESTS_SWEEP_GUARDED_PAGE_H_

#include <sys/mman.h>

#include <cstddef>

namespace tests {

// A page that can be written, between two that cannot be touched.
class GuardedPage {
 public:
  static constexpr size_t kSize = 4096;

  GuardedPage()
      : base_(static_cast<std::byte*>(
            mmap(nullptr, 3 * kSize, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0))) {
    Protect(PROT_READ | PROT_WRITE);
  }
  GuardedPage(const GuardedPage&) = delete;
  GuardedPage& operator=(const GuardedPage&) = delete;
  ~GuardedPage() { munmap(base_, 3 * kSize); }

  std::byte* begin() const { return base_ + kSize; }
  // One past the last byte; it and what follows cannot be touched.
  std::byte* end() const { return base_ + 2 * kSize; }

  void Protect(int protection) { mprotect(begin(), kSize, protection); }

 private:
  std::byte* base_;
};

}  // namespace tests

#endif  // TESTS_SWEEP_GUARDED_PAGE_H_
