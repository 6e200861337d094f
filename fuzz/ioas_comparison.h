// An address space beside its reference, for the target `ioas`.
#ifndef FUZZ_IOAS_COMPARISON_H_
#define FUZZ_IOAS_COMPARISON_H_

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "fuzz/input.h"
#include "fuzz/ioas_backend.h"
#include "fuzz/ioas_reference.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"

namespace fuzz {

// One address space, its reference and its backend.
class IoasComparison {
 public:
  explicit IoasComparison(Input& input);
  ~IoasComparison();
  IoasComparison(const IoasComparison&) = delete;
  IoasComparison& operator=(const IoasComparison&) = delete;

  // Takes one step, and compares everything.
  void Step();

 private:
  void SetProperties();
  void Map();
  void Unmap();
  void UnmapAll();
  void Reserve();
  void AddWindow();
  void RemoveWindow(uint32_t number);
  void MapRun();
  void UnmapRun();
  void Ask();
  void ListFree(const ioas::IovaRange& limits);
  void Refill(bool is_full);
  // A window that is there, and a range of its pages; null if there is none.
  ReferenceWindow* TakePages(uint32_t& number, ioas::IovaRange& iovas);
  // Whether a call that the reference refuses with `expected` ended as it has to. The backend's
  // refusal, and a full arena, come after everything else.
  bool Agrees(const ioas::Status& status, int expected) const;
  void RequireSame();
  void RequireSameWindows();

  Input& input_;
  RefusingBackend backend_;
  ioas::Arena arena_;
  size_t bytes_before_ = arena_.bytes_in_use();
  ioas::AddressSpace space_;
  ReferenceSpace reference_;
  std::vector<std::pair<uint32_t, size_t>> filler_;
};

}  // namespace fuzz

#endif  // FUZZ_IOAS_COMPARISON_H_
