#include "ioas/soft/faults.h"

#include <algorithm>
#include <atomic>

namespace ioas::soft {
namespace {

std::atomic<FaultObserver> the_observer{nullptr};

// Whether they differ in nothing but how often.
bool IsSame(const FaultRecord& one, const FaultRecord& other) {
  return one.iova == other.iova && one.device == other.device && one.direction == other.direction &&
         one.reason == other.reason && one.pasid == other.pasid;
}

}  // namespace

void SetFaultObserver(FaultObserver observer) { the_observer = observer; }

const char* Describe(FaultReason reason) {
  switch (reason) {
    case FaultReason::kNotMapped:
      return "nothing is mapped there";
    case FaultReason::kPermission:
      return "the mapping does not permit it";
    case FaultReason::kRefused:
      return "refused by configuration";
    case FaultReason::kMemoryGone:
      return "the memory is gone";
    case FaultReason::kBusMasterOff:
      return "bus mastering is off";
    case FaultReason::kBlocked:
      return "the device is not attached to an address space";
    case FaultReason::kFrozen:
      return "an error has frozen the device's group";
    case FaultReason::kHeld:
      return "an operator has frozen the device's group";
    case FaultReason::kTableGone:
      return "the program's page table cannot be read";
    case FaultReason::kTableInvalid:
      return "the program's page table has reserved bits set";
  }
  return "unknown";
}

void FaultLog::Record(const FaultRecord& fault) {
  if (const FaultObserver observer = the_observer) observer(fault);
  RobustLock lock(state_->mutex);
  ++state_->total;
  FaultRecord* const end = state_->records + std::min<uint64_t>(state_->recorded, kFaultRecords);
  FaultRecord* const same = std::find_if(
      state_->records, end, [&](const FaultRecord& record) { return IsSame(record, fault); });
  const bool is_new = same == end;
  FaultRecord& record = is_new ? state_->records[state_->recorded % kFaultRecords] : *same;
  if (is_new) {
    record = fault;
    record.count = 0;
    ++state_->recorded;
  }
  ++record.count;
}

uint64_t FaultLog::total() const {
  RobustLock lock(state_->mutex);
  return state_->total;
}

uint64_t FaultLog::Clear() {
  RobustLock lock(state_->mutex);
  const uint64_t held = std::min<uint64_t>(state_->recorded, kFaultRecords);
  state_->recorded = 0;
  return held;
}

size_t FaultLog::Copy(std::span<FaultRecord> records) const {
  RobustLock lock(state_->mutex);
  const uint64_t held = std::min<uint64_t>(state_->recorded, kFaultRecords);
  const size_t count = std::min<size_t>(held, records.size());
  for (size_t i = 0; i < count; ++i) {
    records[i] = state_->records[(state_->recorded - held + i) % kFaultRecords];
  }
  return count;
}

}  // namespace ioas::soft
