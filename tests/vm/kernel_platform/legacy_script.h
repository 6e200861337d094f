// A script of containers, groups, maps and devices, step by step, as legacy programs do it.
#ifndef TESTS_VM_KERNEL_PLATFORM_LEGACY_SCRIPT_H_
#define TESTS_VM_KERNEL_PLATFORM_LEGACY_SCRIPT_H_

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "tests/vm/kernel_platform/test_host.h"

namespace compat::kernel {

// A device, and the group that it is alone in.
struct DeviceInGroup {
  std::string name;
  uint32_t group;
};

class LegacyScript {
 public:
  struct Step {
    const char* name;
    std::span<const int> errors;  // the errnos that legacy VFIO could give
    std::function<long()> call;
  };

  // The script uses `host`, opens `first` and has `second` join and leave. All of them outlive it.
  LegacyScript(TestHost& host, const DeviceInGroup& first, const DeviceInGroup& second);
  // Closes what is open.
  ~LegacyScript();

  const std::vector<Step>& steps() const { return steps_; }
  // The descriptors of the container and of the groups; -1 while there is none.
  int container() const { return container_; }
  int group() const { return group_; }
  int second_group() const { return second_group_; }

 private:
  void SetUp();
  void MapAndUnmap();
  void UseDevices();
  void JoinAndLeave();
  void UseAgain();

  void Add(const char* name, std::span<const int> errors, std::function<long()> call);
  // Steps that keep what they opened in `fd`, or close it.
  void AddOpenGroup(int& fd, uint32_t number);
  void AddGetDeviceFd(int& group, const std::string& name, int& fd);
  void AddSetContainer(int& group);
  void AddUnsetContainer(int& group);
  void AddSetIommu(uint32_t type);
  void AddMap(uint64_t iova, uint64_t size);
  // `unmapped`: the bytes that are to go.
  void AddUnmap(uint64_t iova, uint64_t size, uint64_t unmapped);
  void AddClose(int& fd);
  long Keep(long fd, int& place);

  TestHost& host_;
  const DeviceInGroup& first_;
  const DeviceInGroup& second_;
  std::vector<Step> steps_;
  void* memory_;
  int container_ = -1;
  int group_ = -1;
  int device_ = -1;
  int second_group_ = -1;
  int second_device_ = -1;
  int duplicate_ = -1;
};

}  // namespace compat::kernel

#endif  // TESTS_VM_KERNEL_PLATFORM_LEGACY_SCRIPT_H_
