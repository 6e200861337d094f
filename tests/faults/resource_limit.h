// Limits of this process, lowered for a while.
#ifndef TESTS_FAULTS_RESOURCE_LIMIT_H_
#define TESTS_FAULTS_RESOURCE_LIMIT_H_

#include <sys/resource.h>

#include <cstdint>

namespace tests {

// A soft limit that is put back with this object.
class ResourceLimit {
 public:
  explicit ResourceLimit(__rlimit_resource resource) : resource_(resource) {
    getrlimit(resource_, &before_);
  }
  ResourceLimit(const ResourceLimit&) = delete;
  ResourceLimit& operator=(const ResourceLimit&) = delete;
  ~ResourceLimit() { Raise(); }

  // At most what the hard limit is.
  void Lower(uint64_t limit) const {
    const rlimit lower = {limit, before_.rlim_max};
    setrlimit(resource_, &lower);
  }
  void Raise() const { setrlimit(resource_, &before_); }
  const rlimit& before() const { return before_; }

 private:
  __rlimit_resource resource_;
  rlimit before_{};
};

// The limit of descriptors that leaves `free` numbers to be had.
uint64_t DescriptorLimitLeaving(uint64_t free);

// Whether RLIMIT_MEMLOCK does not hold for this process: gives up CAP_IPC_LOCK, or takes it back if
// the process had it. Returns whether that is so now.
bool LockAnyMemory(bool may_lock_any);

}  // namespace tests

#endif  // TESTS_FAULTS_RESOURCE_LIMIT_H_
