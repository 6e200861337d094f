// Every system call of the backend fails in turn while a legacy program's calls are carried out on
// the real kernel.
//
// Usage: failures DEVICE GROUP DEVICE GROUP
// Two devices, each alone in its group and on vfio-pci.
#include <dirent.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>

#include "compat/kernel/group_file.h"
#include "ioas/kernel/iommufd.h"
#include "tests/vm/kernel_platform/legacy_script.h"

namespace compat::kernel {
namespace {

constexpr uint64_t kEverything = UINT64_MAX;

DeviceInGroup g_first;
DeviceInGroup g_second;

size_t OpenDescriptors() {
  size_t count = 0;
  DIR* const directory = opendir("/proc/self/fd");
  while (readdir(directory) != nullptr) ++count;
  closedir(directory);
  return count;
}

// Bytes of this process that are pinned for DMA.
uint64_t PinnedBytes() {
  std::FILE* const status = std::fopen("/proc/self/status", "r");
  char line[256];
  unsigned long kibibytes = 0;
  while (std::fgets(line, sizeof(line), status) != nullptr) {
    if (std::sscanf(line, "VmPin: %lu", &kibibytes) == 1) break;
  }
  std::fclose(status);
  return uint64_t{kibibytes} << 10;
}

// Whether the group's file `group`, which may be -1, carries bound devices.
bool HasBoundDevices(int group) {
  GroupContents contents(ioas::kernel::RealSystemCalls());
  return contents.Read(group).ok() && contents.bound_count() > 1;  // beside the container
}

class FailuresTest : public testing::TestWithParam<int> {
 protected:
  // Runs the script; where a step fails that is to fail, it is made again, or ends the script.
  void Run(bool ends_at_failure);
  bool RunStep(const LegacyScript::Step& step, LegacyScript& script, bool ends_at_failure);
  // What the index has, and nothing else, is what the kernel has.
  void CheckModel(const LegacyScript& script);
  void UnmapEverything(int container);
  // Whether the call that is to fail was made.
  bool HasFailed() { return nth_ != 0 && host_.calls().count() >= nth_; }

  TestHost host_;
  uint64_t nth_ = 0;
};

void FailuresTest::Run(bool ends_at_failure) {
  const size_t descriptors = OpenDescriptors();
  host_.calls().Fail(nth_, GetParam());
  {
    LegacyScript script(host_, g_first, g_second);
    for (const LegacyScript::Step& step : script.steps()) {
      if (!RunStep(step, script, ends_at_failure)) break;
    }
  }
  EXPECT_EQ(OpenDescriptors(), descriptors);
  EXPECT_EQ(PinnedBytes(), 0u);
}

bool FailuresTest::RunStep(const LegacyScript::Step& step, LegacyScript& script,
                           bool ends_at_failure) {
  SCOPED_TRACE(step.name);
  const bool had_failed = HasFailed();
  const long result = step.call();
  const bool fails_here = HasFailed() && !had_failed;
  if (!fails_here) {
    EXPECT_GE(result, 0);
    if (had_failed) CheckModel(script);
    return result >= 0;
  }
  CheckModel(script);
  if (result >= 0) return true;
  EXPECT_TRUE(std::count(step.errors.begin(), step.errors.end(), -result) != 0)
      << "legacy VFIO would not say " << strerrorname_np(static_cast<int>(-result));
  if (!ends_at_failure) {
    const long again = step.call();
    EXPECT_GE(again, 0) << "made again";
    return again >= 0;
  }
  UnmapEverything(script.container());
  return false;
}

void FailuresTest::CheckModel(const LegacyScript& script) {
  const int container = script.container();
  if (container < 0) return;
  vfio::ContainerState& state = host_.Container(container);
  const ioas::kernel::Iommufd iommufd(ioas::kernel::RealSystemCalls(), container);
  const auto scratch = iommufd.AllocIoas();
  ASSERT_TRUE(scratch.ok());
  ioas::AddressSpace space = host_.Space(container);
  ioas::MappingIndex index = space.mappings();
  uint64_t bytes = 0;
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    const uint64_t length = mapping->last - mapping->first + 1;
    const ioas::Status copied = iommufd.Copy({*scratch, mapping->first},
                                             {state.ioas, mapping->first}, length, mapping->flags);
    EXPECT_TRUE(copied.ok()) << "the kernel does not have " << std::hex << mapping->first;
    bytes += length;
  }
  EXPECT_EQ(space.state().statistics.bytes_mapped, bytes);
  // Memory is pinned while a device is attached.
  const bool is_attached =
      HasBoundDevices(script.group()) || HasBoundDevices(script.second_group());
  EXPECT_EQ(PinnedBytes(), is_attached ? bytes : 0);
  if (bytes != 0) {
    EXPECT_EQ(*iommufd.Unmap({*scratch, 0}, kEverything), bytes);
  }
  EXPECT_TRUE(iommufd.Destroy(*scratch).ok());
}

void FailuresTest::UnmapEverything(int container) {
  if (container < 0) return;
  const vfio::ContainerState& state = host_.Container(container);
  const ioas::kernel::Iommufd iommufd(ioas::kernel::RealSystemCalls(), container);
  const auto unmapped = iommufd.Unmap({state.ioas, 0}, kEverything);
  const uint64_t bytes = host_.Space(container).state().statistics.bytes_mapped;
  EXPECT_EQ(unmapped.ok() ? *unmapped : 0, bytes);
}

TEST_P(FailuresTest, EachCallInTurn) {
  Run(/*ends_at_failure=*/false);
  const uint64_t calls = host_.calls().count();
  ASSERT_FALSE(HasFailure());
  std::printf("%lu system calls\n", static_cast<unsigned long>(calls));
  for (nth_ = 1; nth_ <= calls; ++nth_) {
    // Both ways for every call, with one errno or another: halves of errnos are odd and even.
    const bool ends_at_failure = (nth_ + static_cast<uint64_t>(GetParam()) / 2) % 2 == 0;
    SCOPED_TRACE("call " + std::to_string(nth_) + (ends_at_failure ? ", the last" : ""));
    Run(ends_at_failure);
  }
  nth_ = 0;
  Run(/*ends_at_failure=*/false);
}

INSTANTIATE_TEST_SUITE_P(Errnos, FailuresTest,
                         testing::Values(EINVAL, ENOMEM, EBUSY, EFAULT, EINTR),
                         [](const auto& instance) {
                           return std::string(strerrorname_np(instance.param));
                         });

}  // namespace
}  // namespace compat::kernel

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  if (argc < 5) {
    std::fprintf(stderr, "usage: failures DEVICE GROUP DEVICE GROUP\n");
    return 2;
  }
  compat::kernel::g_first = {argv[1], static_cast<uint32_t>(std::atoi(argv[2]))};
  compat::kernel::g_second = {argv[3], static_cast<uint32_t>(std::atoi(argv[4]))};
  return RUN_ALL_TESTS();
}
