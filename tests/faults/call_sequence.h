// A sequence of calls on a host in the process, each of which is made to fail in every way before
// it may succeed.
#ifndef TESTS_FAULTS_CALL_SEQUENCE_H_
#define TESTS_FAULTS_CALL_SEQUENCE_H_

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "compat/soft/test_host.h"
#include "ppc/container_personality.h"

namespace tests {

// One call: returns what it returned, or a negated errno.
struct Step {
  std::string name;
  std::function<long()> call;
};

// What lets a call fail.
class Fault {
 public:
  virtual ~Fault() = default;
  // From now on something is lacking, later with each `nth`, which counts from 1: a call that lacks
  // nothing for one `nth` lacks nothing for higher ones.
  virtual void Arm(uint64_t nth) = 0;
  virtual void Disarm() = 0;
};

// A host of both kinds of containers, with the calls that a program makes on it. Results are the
// calls'; what they make is kept here and used by the calls that follow.
class FaultyHost {
 public:
  FaultyHost();
  ~FaultyHost();
  FaultyHost(const FaultyHost&) = delete;
  FaultyHost& operator=(const FaultyHost&) = delete;

  compat::soft::TestHost& host() { return host_; }

  // What counts as this process's locked memory.
  uint64_t LockedBytes();

  // Makes each call of `steps` succeed, once it has failed with `error` for each number that
  // `fault` can be armed with; failures of GoogleTest's where one does something else, or has
  // changed anything. Returns how many calls have failed.
  uint64_t Run(const std::vector<Step>& steps, Fault& fault, int error);

  // A program's life with a container of type 1, from opening it to closing all, and one with a
  // container of SPAPR TCE version 2.
  std::vector<Step> Type1Life();
  std::vector<Step> SpaprLife();
  // The calls that open files, up to SET_IOMMU of `type`, and those that close all of them.
  std::vector<Step> Opening(uint32_t type);
  std::vector<Step> Closing();

  // Single calls on the container.
  long Map(uint64_t iova, uint64_t size);
  long Unmap(uint64_t iova, uint64_t size, uint32_t flags = 0);
  long TrackDirty(uint32_t flags);
  long Register(uint64_t offset, uint64_t size);
  long Unregister(uint64_t offset, uint64_t size);
  long CreateWindow(uint32_t page_shift, uint64_t size);
  long RemoveWindow(uint64_t start);
  long Call(uint32_t request) { return host_.Ioctl(container_, request, uint64_t{0}); }

 private:
  long MemoryCall(uint32_t request, uint64_t offset, uint64_t size);
  void AddMaps(std::vector<Step>& steps, const char* what, int count, uint64_t first,
               uint64_t stride);

  ppc::ContainerPersonality personality_;
  compat::soft::TestHost host_;
  void* mapped_ = nullptr;
  uint64_t memory_ = 0;
  int container_ = -1;
  int group_ = -1;
  int device_ = -1;
  uint64_t window_ = 0;
};

// How much memory there is to be mapped.
inline constexpr uint64_t kFaultyMemory = 1 << 20;

}  // namespace tests

#endif  // TESTS_FAULTS_CALL_SEQUENCE_H_
