// Threads that map and unmap at once, and what must come of it.
#ifndef TESTS_THREADS_STRESS_H_
#define TESTS_THREADS_STRESS_H_

#include <cstdint>

namespace tests {

// A type1v2 container, however it is reached. Called by several threads at once.
class StressedContainer {
 public:
  virtual ~StressedContainer() = default;

  // MAP_DMA of `size` bytes of some memory, at most kStressMemory. Returns 0 or the errno.
  virtual int Map(uint64_t iova, uint64_t size) = 0;
  // UNMAP_DMA. Returns the bytes unmapped, or the negative errno.
  virtual int64_t Unmap(uint64_t iova, uint64_t size) = 0;
  // How many more mappings the container can hold (VFIO_IOMMU_TYPE1_INFO_DMA_AVAIL).
  virtual int64_t Available() = 0;
};

inline constexpr uint64_t kStressPage = 4096;
inline constexpr uint64_t kStressMemory = 16 * kStressPage;

// $VFIO_COMPAT_STRESS_SECONDS, or 2.
int StressSeconds();

// Runs eight threads on the container for `seconds`, from IOVA `first` on, and checks every answer.
// Afterwards checks with all threads gone that exactly the mappings of the threads' models are
// there, by unmapping each; so the container ends empty there. Failures are GoogleTest's.
void Stress(StressedContainer& container, uint64_t first, int seconds);

}  // namespace tests

#endif  // TESTS_THREADS_STRESS_H_
