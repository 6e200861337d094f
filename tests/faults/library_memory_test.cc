// The Nth allocation of the preload library fails, for every N.
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <functional>
#include <string>

#include "tests/faults/child.h"
#include "tests/faults/fault_outcome.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Client;
using tests::Descriptor;

// Of the controller's registers, as much as can be mapped.
constexpr size_t kBarSize = 8192;
// More than any call needs.
constexpr uint64_t kMostAllocations = 1000;

// Tries `call` of a process of its own, with each of its allocations failing. `prepare` makes what
// it is tried on. Returns how many there are.
uint64_t TryAll(const std::function<void()>& prepare, const std::function<bool()>& call) {
  for (uint64_t nth = 1; nth < kMostAllocations; ++nth) {
    const int outcome = tests::InChild([&] {
      prepare();
      return tests::TryWithFault(nth, call);
    });
    if (outcome == tests::kPassed) return nth - 1;
    EXPECT_EQ(outcome, tests::kFailedAndPassed) << "allocation " << nth;
    if (outcome != tests::kFailedAndPassed) return nth;
  }
  return kMostAllocations;
}

// What children make, and leave to their ends.
Client g_client;
Descriptor g_device;

void MakeClient() { g_client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU); }
void MakeDevice() {
  MakeClient();
  g_device = g_client.OpenDevice(tests::kDevice);
}

TEST(LibraryMemoryTest, TheFirstOpenOfAProgram) {
  const std::string program = tests::Runfile("tests/faults/first_open");
  uint64_t nth = 0;
  for (int outcome = tests::kFailedAndPassed; outcome != tests::kPassed;) {
    const tests::CommandResult result = tests::Command({program, std::to_string(++nth)}).Run();
    outcome = result.status;
    ASSERT_LE(outcome, tests::kFailedAndPassed) << "allocation " << nth << ": " << result.errors;
  }
  // Settings, the host, its devices.
  EXPECT_GT(nth, 10u);
}

TEST(LibraryMemoryTest, OpeningAGroup) {
  TryAll([] { (void)tests::OpenContainer(); },
         [] { return tests::OpenGroup(tests::kGroup).Release() >= 0; });
}

TEST(LibraryMemoryTest, OpeningADevice) {
  EXPECT_GT(TryAll(MakeClient,
                   [] {
                     g_device = g_client.OpenDevice(tests::kDevice);
                     return g_device.is_open();
                   }),
            0u);
}

TEST(LibraryMemoryTest, MappingMemoryAndBars) {
  EXPECT_EQ(TryAll(MakeDevice,
                   [] {
                     const tests::Memory memory(4096);
                     const int container = g_client.container.get();
                     return tests::MapDma(container, memory.data(), 0, 4096) == 0 &&
                            tests::UnmapDma(container, 0, 4096) == 4096;
                   }),
            0u);
  EXPECT_GT(TryAll(MakeDevice,
                   [] {
                     void* const bar =
                         mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, g_device.get(), 0);
                     return bar != MAP_FAILED;
                   }),
            0u);
}

TEST(LibraryMemoryTest, UnmappingAPartOfABar) {
  static std::byte* bar = nullptr;
  const auto map = [] {
    MakeDevice();
    bar = static_cast<std::byte*>(
        mmap(nullptr, kBarSize, PROT_READ | PROT_WRITE, MAP_SHARED, g_device.get(), 0));
  };
  // The list of mappings has room for another, but that of those that end has none.
  EXPECT_GT(TryAll(map, [] { return munmap(bar, 4096) == 0; }), 0u);
  EXPECT_GT(TryAll(map, [] { return munmap(bar, kBarSize) == 0; }), 0u);
}

}  // namespace
