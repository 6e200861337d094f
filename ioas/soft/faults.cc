#include "ioas/soft/faults.h"

#include <algorithm>
#include <atomic>

namespace ioas::soft {
namespace {

std::atomic<FaultObserver> the_observer{nullptr};

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
  }
  return "unknown";
}

void FaultLog::Record(const FaultRecord& fault) {
  if (const FaultObserver observer = the_observer) observer(fault);
  RobustLock lock(state_->mutex);
  ++state_->total;
  FaultRecord* const end = state_->records + std::min<uint64_t>(state_->recorded, kFaultRecords);
  FaultRecord* const same = std::find_if(state_->records, end, [&](const FaultRecord& record) {
    return record.iova == fault.iova && record.device == fault.device &&
           record.direction == fault.direction && record.reason == fault.reason;
  });
  if (same != end) {
    ++same->count;
    return;
  }
  FaultRecord& record = state_->records[state_->recorded++ % kFaultRecords];
  record = fault;
  record.count = 1;
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
