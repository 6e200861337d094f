// What a device reaches through page tables that a program keeps in memory of its own, and what
// the program is told of the rest: what fuzz/nested_dma.cc compares with. Written from the Intel
// VT-d specification (3.6, 9.7 to 9.9), the Linux on Power Architecture Reference ("TCE"),
// Documentation/userspace-api/iommufd.rst and compat/abi/iommufd_soft.h.
#ifndef FUZZ_NESTED_REFERENCE_H_
#define FUZZ_NESTED_REFERENCE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <vector>

#include "ioas/soft/faults.h"

namespace fuzz {

using ioas::soft::FaultReason;

inline constexpr uint64_t kPage = 4096;

// The memory of a program, of which page N lies at N * kPage of its address space. What is behind
// it is no memory, so that nothing is overrun unnoticed.
class NestedMemory {
 public:
  static constexpr uint64_t kWritable = 16;  // pages that devices may write
  static constexpr uint64_t kMapped = 20;    // and that they may read
  static constexpr uint64_t kPages = 24;     // and that are there

  NestedMemory();
  ~NestedMemory();
  NestedMemory(const NestedMemory&) = delete;
  NestedMemory& operator=(const NestedMemory&) = delete;

  // `hole`: a page that is not mapped.
  void MakeHole(uint64_t hole) { hole_ = hole; }
  // Why a device cannot reach an address; nothing if it can.
  std::optional<FaultReason> Refusal(uint64_t address, bool write) const;
  // The 8 bytes at an address, as a device reads them; nothing if it cannot.
  std::optional<uint64_t> Word(uint64_t address) const;
  std::byte* At(uint64_t address) { return bytes_ + address; }
  std::vector<std::byte> Copy() const { return {bytes_, bytes_ + kPages * kPage}; }

 private:
  std::byte* bytes_;
  uint64_t hole_ = kPages;
};

// Addresses of a device that lead to one place after the other.
struct Leaf {
  uint64_t first;
  uint64_t last;
  uint64_t target;
  bool is_readable;
  bool is_writable;
  bool Leads(uint64_t iova, bool write) const {
    return first <= iova && iova <= last && (write ? is_writable : is_readable);
  }
};

enum class TableKind : uint8_t { kPaging, kFirstStage, kTce };

struct NestedTable {
  TableKind kind = TableKind::kPaging;
  uint32_t id = 0;
  bool is_on_viommu = false;
  bool asks = false;  // by page requests
  bool is_usable = true;
  uint32_t levels = 0;      // first stage
  uint32_t page_shift = 0;  // TCEs
  uint64_t root = 0;
  uint64_t window_first = 0;
  uint64_t window_last = 0;
  // What the IOMMU may have kept since it was last told to forget.
  std::vector<Leaf> remembered = {};
  // Paging: which pages were written; nothing while that is not tracked.
  std::optional<std::set<uint64_t>> dirty = {};
};

// Where an access leads, or why nowhere.
struct Way {
  std::optional<FaultReason> reason;
  bool is_recoverable = false;  // the program is asked first
  uint64_t target = 0;
};

// Where an access may lead: by what the tables say now, and by what is remembered of them.
std::vector<Way> WaysOf(const NestedMemory& memory, const NestedTable& table, uint64_t iova,
                        bool write);
// An access was made: what the table says of it may be remembered.
void Remember(const NestedMemory& memory, NestedTable& table, uint64_t iova, bool write);

// Page requests that were not answered.
struct RequestQueue {
  static constexpr size_t kMost = 64;
  struct Request {
    uint64_t address;
    bool write;
    uint32_t group;
    uint32_t cookie = 0;  // 0: it was not read
  };

  void Add(uint64_t iova, bool write);
  bool IsReadable() const;
  // The oldest is read.
  std::optional<Request> Take();
  bool Answer(uint32_t cookie);

  std::deque<Request> requests;
  uint32_t next_group = 0;
};

// Events of a vIOMMU.
struct EventQueueReference {
  struct Event {
    uint32_t sequence;
    bool is_loss;
    uint64_t virtual_id;
    uint64_t iova;
    bool write;
    FaultReason reason;
  };

  void Add(uint64_t virtual_id, uint64_t iova, bool write, FaultReason reason);
  std::optional<Event> Oldest() const;
  void Remove();

  size_t depth;
  std::deque<Event> events = {};
  std::optional<uint32_t> lost = {};
  uint32_t next_sequence = 0;
};

}  // namespace fuzz

#endif  // FUZZ_NESTED_REFERENCE_H_
