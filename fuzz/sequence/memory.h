// The memory of the program whose calls a sequence is: variables, with nobody's pages around them.
#ifndef FUZZ_SEQUENCE_MEMORY_H_
#define FUZZ_SEQUENCE_MEMORY_H_

#include <cstdint>

#include "fuzz/sequence/step.h"

namespace fuzz::sequence {

struct Area {
  uint64_t address;
  uint64_t size;  // bytes
  bool is_writable;
};

class Memory {
 public:
  // This process's, mapped by the first who asks, and there as long as the process.
  static const Memory& Of();

  const Area& area(Variable variable) const { return areas_[static_cast<size_t>(variable)]; }
  uint64_t AddressOf(const Pointer& pointer) const;
  // Whether all of it is there, and may be written if `writable`.
  bool Contains(uint64_t address, uint64_t size, bool writable) const;

  // A place of `size` bytes, at most a page, that ends where memory does.
  std::byte* Structure(size_t size) const { return structures_end_ - size; }
  // The same for a bitmap, of at most kBitmapBytes.
  std::byte* Bitmap(size_t size) const { return bitmap_end_ - size; }

  static constexpr uint64_t kBitmapBytes = 64 << 10;

 private:
  Memory();

  Area areas_[kVariables];
  std::byte* structures_end_;
  std::byte* bitmap_end_;
};

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_MEMORY_H_
