// The Nth allocation of a call in the arena fails, for every N.
#include <gtest/gtest.h>

#include "compat/abi/vfio_numbers.h"
#include "ioas/base/testing/failing_arena.h"
#include "tests/faults/call_sequence.h"
#include "tests/faults/host_picture.h"

namespace {

class FullArena final : public tests::Fault {
 public:
  void Arm(uint64_t nth) override { ioas::FailArenaAllocation(static_cast<uint32_t>(nth)); }
  void Disarm() override { ioas::FailArenaAllocation(0); }
};

class NoFault final : public tests::Fault {
 public:
  void Arm(uint64_t /*nth*/) override {}
  void Disarm() override {}
};

// Lives once without faults, so that what is kept for reuse is there, and then with all of them.
// Each must leave the arena as it was.
void LiveTwice(tests::FaultyHost& faulty, const std::vector<tests::Step>& life,
               uint64_t fewest_failures) {
  NoFault none;
  ASSERT_EQ(faulty.Run(life, none, 0), 0u);
  const std::string before = tests::PictureOf(faulty.host());
  const size_t bytes = faulty.host().host().arena().bytes_in_use();
  FullArena full;
  EXPECT_GE(faulty.Run(life, full, ENOMEM), fewest_failures);
  EXPECT_EQ(tests::Difference(before, tests::PictureOf(faulty.host())), "");
  EXPECT_EQ(faulty.host().host().arena().bytes_in_use(), bytes);
}

TEST(AllocationTest, AType1ContainerLosesNothingWhenTheArenaIsFull) {
  tests::FaultyHost faulty;
  // 200 bitmaps, 20 mappings with one each, and some nodes.
  LiveTwice(faulty, faulty.Type1Life(), 230);
}

TEST(AllocationTest, ASpaprContainerLosesNothingWhenTheArenaIsFull) {
  tests::FaultyHost faulty;
  // Nodes of the index of regions, of pins and of the windows' page tables.
  LiveTwice(faulty, faulty.SpaprLife(), 15);
}

TEST(AllocationTest, TheFirstFilesOfAHostLoseNothingWhenTheArenaIsFull) {
  for (const uint32_t type : {compat::abi::kType1v2Iommu, compat::abi::kSpaprTceV2Iommu}) {
    tests::FaultyHost faulty;
    FullArena full;
    // The container, its address space and the table of files.
    EXPECT_GE(faulty.Run(faulty.Opening(type), full, ENOMEM), 3u);
    EXPECT_EQ(faulty.Run(faulty.Closing(), full, ENOMEM), 0u);
  }
}

}  // namespace
