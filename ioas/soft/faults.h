// What went wrong when devices reached for memory.
#ifndef IOAS_SOFT_FAULTS_H_
#define IOAS_SOFT_FAULTS_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ioas/backend.h"
#include "ioas/base/robust_mutex.h"
#include "ioas/soft/device_model.h"

namespace ioas::soft {

inline constexpr uint32_t kFaultRecords = 64;

enum class FaultReason : uint32_t {
  kNotMapped,     // nothing is mapped at the IOVA
  kPermission,    // the mapping does not permit the direction
  kRefused,       // the host was told to refuse the IOVA
  kMemoryGone,    // the memory behind the mapping, or its process, is gone
  kBusMasterOff,  // the device's command register forbids it DMA
  kBlocked,       // the device, or its PASID, is not attached to an address space
  kFrozen,        // an error froze the device's group
  kHeld,          // an operator froze it
  kTableGone,     // the program's own page table cannot be read
  kTableInvalid,  // an entry of it has reserved bits set
};

// A short description in the form that fits behind "DMA fault: ", a string literal.
const char* Describe(FaultReason reason);

// One fault, or several that differ in nothing.
struct FaultRecord {
  uint64_t iova;     // the first byte that could not be reached
  uint32_t device;   // PciAddress::number()
  Access direction;  // kAccessRead: the device wanted to read
  FaultReason reason;
  uint64_t count;             // how many times it happened, at least 1
  uint32_t pasid = kNoPasid;  // that the access named
};

struct FaultLogState {
  RobustMutex mutex;
  uint64_t total;     // faults ever
  uint64_t recorded;  // records ever written; the last kFaultRecords of them are there
  FaultRecord records[kFaultRecords];
};

// Is called with each fault that this process records from now on; null: nobody is.
using FaultObserver = void (*)(const FaultRecord& fault);
void SetFaultObserver(FaultObserver observer);

// A view on a log: one pointer. All calls may be made from any thread and process.
class FaultLog {
 public:
  explicit FaultLog(FaultLogState* state) : state_(state) {}

  // Makes the log usable; its memory is all zero.
  void Initialize() { state_->mutex.Initialize(); }

  // Adds a fault (`fault.count` is ignored): to the record of the same fault if that is still
  // there, or as a new record, in place of the oldest one when all are in use.
  void Record(const FaultRecord& fault);

  // How many faults there were, those that no record tells of any more included.
  uint64_t total() const;
  // Forgets the records; the total goes on. Returns how many there were.
  uint64_t Clear();
  // Copies the records, oldest first, as many as fit. Returns how many.
  size_t Copy(std::span<FaultRecord> records) const;

 private:
  FaultLogState* state_;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_FAULTS_H_
