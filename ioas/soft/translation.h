// Where a device's address leads: through the program's own page table, if its target has one, and
// through the address space.
#ifndef IOAS_SOFT_TRANSLATION_H_
#define IOAS_SOFT_TRANSLATION_H_

#include <cstdint>

#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/domain.h"
#include "ioas/process_table.h"
#include "ioas/soft/faults.h"
#include "ioas/user_table.h"

namespace ioas::soft {

// A view, for as long as the lock of `space`, the target's, is held.
class TargetTranslation final : private TableMemory {
 public:
  TargetTranslation(const Arena& arena, ProcessTable processes, AddressSpace& space,
                    const DmaTarget& target)
      : arena_(&arena), processes_(processes), space_(&space), target_(&target) {}

  // Fails as AddressSpace::Translate and UserTable::Translate do.
  Result<Translation> Translate(uint64_t iova, uint32_t access);

  // Whether the Translate that failed last might succeed if the program did what a page request
  // asks for: where the page table is the program's own, it is that which leads nowhere.
  bool is_recoverable() const { return is_recoverable_; }

  // What a fault is recorded as whose Translate failed with `code`.
  static FaultReason ReasonOf(int code);

 private:
  Result<uint64_t> ReadEntry(uint64_t address) override;

  const Arena* arena_;
  ProcessTable processes_;
  AddressSpace* space_;
  const DmaTarget* target_;
  bool is_recoverable_ = false;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_TRANSLATION_H_
