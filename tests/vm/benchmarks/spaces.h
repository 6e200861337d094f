// Ways to map and unmap, and how they are compared. Whatever fails ends the program.
#ifndef TESTS_VM_BENCHMARKS_SPACES_H_
#define TESTS_VM_BENCHMARKS_SPACES_H_

#include <cstdint>
#include <functional>
#include <vector>

namespace tests {

// Prints what failed, with errno, and ends the program.
[[noreturn]] void Die(const char* what);

class Space {
 public:
  virtual ~Space() = default;
  virtual void Map(uint64_t iova, uint64_t address, uint64_t size) = 0;
  virtual void Unmap(uint64_t iova, uint64_t size) = 0;
};

// A container with one group, as programs have it.
class LegacySpace final : public Space {
 public:
  // `type` is the argument of SET_IOMMU.
  LegacySpace(const char* group, const char* device, unsigned long type);

  void Map(uint64_t iova, uint64_t address, uint64_t size) override;
  void Unmap(uint64_t iova, uint64_t size) override;
  // Of SPAPR TCE version 2, which maps registered memory only.
  void RegisterMemory(uint64_t address, uint64_t size) const;

 private:
  int container_;
  int group_;
  int device_ = -1;
};

// An IOAS with one device, by plain system calls.
class DirectSpace final : public Space {
 public:
  // `cdev` is the number of the device's node.
  explicit DirectSpace(uint32_t cdev);

  void Map(uint64_t iova, uint64_t address, uint64_t size) override;
  void Unmap(uint64_t iova, uint64_t size) override;

 private:
  int fd_;
  uint32_t ioas_;
};

// `size` bytes of memory on a boundary of huge pages, all of it there.
uint64_t Populate(uint64_t size);

// The value that `part` of the samples lie below.
double Quantile(std::vector<double> samples, double part);

// Two times in nanoseconds, medians both, the median of their ratios, and those that half of the
// ratios lie between.
struct Comparison {
  double first;
  double second;
  double ratio;
  double low;
  double high;
};

// Takes that many samples of each, in turns, so that both see the same machine.
Comparison Compare(int rounds, const std::function<double()>& first,
                   const std::function<double()>& second);

}  // namespace tests

#endif  // TESTS_VM_BENCHMARKS_SPACES_H_
