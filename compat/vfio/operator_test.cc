#include "compat/vfio/operator.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/soft/test_host.h"
#include "compat/vfio/regions.h"
#include "ioas/soft/dma.h"
#include "ppc/container_personality.h"

namespace compat::vfio {
namespace {

using soft::TestHost;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kIova = 0x100000;

settings::Settings BothTypes() {
  settings::Settings settings;
  settings.container = settings::ContainerTypes::kBoth;
  return settings;
}

class OperatorTest : public testing::Test {
 protected:
  void SetUp() override {
    container_ = host_.ContainerOfType(abi::kType1v2Iommu, group_);
    SetUpDevice();
  }
  void SetUpDevice() {
    device_ = host_.OpenDevice(group_, TestHost::kDevice);
    ASSERT_GE(device_, 0);
    const uint16_t memory_and_bus_master = 6;
    host_.Write(device_, &memory_and_bus_master, sizeof(memory_and_bus_master),
                RegionOffset(abi::kPciConfigRegionIndex) + 4);
  }
  ~OperatorTest() override { munmap(memory_, kBytes); }

  long Map(int container, uint64_t iova, uint64_t size = kPage) {
    abi::DmaMap map = {.argsz = sizeof(map),
                       .flags = abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite,
                       .vaddr = reinterpret_cast<uint64_t>(memory_),
                       .iova = iova,
                       .size = size};
    return host_.Ioctl(container, abi::kIommuMapDma, &map);
  }
  // A container of version 1 with the second group, enabled.
  int SpaprContainer() {
    const int container = host_.OpenContainer();
    const int other = host_.OpenGroup(TestHost::kOtherGroup);
    EXPECT_EQ(host_.Ioctl(other, abi::kGroupSetContainer, &container), 0);
    EXPECT_EQ(host_.Ioctl(container, abi::kSetIommu, uint64_t{abi::kSpaprTceIommu}), 0);
    EXPECT_EQ(host_.Ioctl(container, abi::kIommuEnable, uint64_t{0}), 0);
    return container;
  }
  long Extension(int container, uint64_t number) {
    return host_.Ioctl(container, abi::kCheckExtension, number);
  }
  // Whether the first device's DMA reaches kIova.
  bool DmaWorks() {
    ioas::Arena arena = host_.host().arena();
    ioas::soft::SoftHost& soft = host_.platform().soft();
    ioas::soft::SoftDeviceState& device = *arena.Get(host_.host().state().devices[0].soft);
    ioas::soft::SoftDmaPort port(arena, soft, device, nullptr);
    const ioas::soft::DmaSegment segment = {.iova = kIova, .length = 1};
    std::byte byte{1};
    const ioas::soft::DeviceLock lock(device);
    return port.Write({&segment, 1}, &byte).ok();
  }
  ioas::soft::FaultReason LastFault() {
    ioas::soft::FaultRecord records[ioas::soft::kFaultRecords];
    return records[host_.platform().soft().faults().Copy(records) - 1].reason;
  }
  ContainerState& State(int container) {
    const FileSlot& file = host_.host().files().slot(host_.Slot(container));
    return *host_.host().arena().Get(ioas::ArenaRef<ContainerState>{file.object});
  }
  // Calls a function of an Operator, under the host's lock.
  template <typename Function>
  auto Act(Function function, bool dry_run = false) {
    const Host::Lock lock(host_.host());
    Operator actor(host_.host(), dry_run);
    return function(actor);
  }
  ioas::Result<ActionReport> Freeze(bool dry_run = false) {
    return Act([&](Operator& actor) { return actor.FreezeContainer(State(container_)); }, dry_run);
  }
  ioas::Result<ActionReport> Thaw() {
    return Act([&](Operator& actor) { return actor.ThawContainer(State(container_)); });
  }
  ioas::Result<ActionReport> Unmap(int container, uint64_t first, uint64_t last,
                                   bool dry_run = false) {
    const ioas::IovaRange range = {first, last};
    return Act([&](Operator& actor) { return actor.Unmap(State(container), range); }, dry_run);
  }
  ioas::Result<ActionReport> Revoke(bool dry_run = false) {
    return Act([&](Operator& actor) { return actor.Revoke(State(container_)); }, dry_run);
  }
  ioas::Status Limit(int container, const ContainerLimits& limits, bool dry_run = false) {
    return Act([&](Operator& actor) { return actor.SetLimits(State(container), limits); }, dry_run);
  }

  static constexpr size_t kBytes = 1 << 20;
  void* memory_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const ppc::ContainerPersonality personality_{BothTypes()};
  TestHost host_{personality_};
  int group_ = -1;
  int container_ = -1;
  int device_ = -1;
};

TEST_F(OperatorTest, FrozenDevicesCannotReachMemoryButCallsGoOn) {
  ASSERT_EQ(Map(container_, kIova), 0);
  ASSERT_TRUE(DmaWorks());
  const auto frozen = Freeze();
  ASSERT_TRUE(frozen.ok());
  EXPECT_EQ(frozen->groups, 1u);
  EXPECT_FALSE(frozen->was_in_force);
  EXPECT_FALSE(DmaWorks());
  EXPECT_EQ(LastFault(), ioas::soft::FaultReason::kHeld);
  EXPECT_EQ(Map(container_, kIova + kPage), 0);
  uint16_t vendor = 0;
  EXPECT_EQ(host_.Read(device_, &vendor, sizeof(vendor), RegionOffset(abi::kPciConfigRegionIndex)),
            2);
  EXPECT_NE(vendor, 0xffff);
  EXPECT_TRUE(Freeze()->was_in_force);

  EXPECT_FALSE(Thaw()->was_in_force);
  EXPECT_TRUE(DmaWorks());
  EXPECT_TRUE(Thaw()->was_in_force);
}

TEST_F(OperatorTest, ADryRunFreezesNothing) {
  ASSERT_EQ(Map(container_, kIova), 0);
  EXPECT_EQ(Freeze(/*dry_run=*/true)->groups, 1u);
  EXPECT_TRUE(DmaWorks());
  EXPECT_EQ(State(container_).is_held, 0);
}

TEST_F(OperatorTest, ResetsAndReopeningDoNotThaw) {
  ASSERT_EQ(Map(container_, kIova), 0);
  ASSERT_TRUE(Freeze().ok());
  EXPECT_EQ(host_.Ioctl(device_, abi::kDeviceReset, uint64_t{0}), 0);
  EXPECT_FALSE(DmaWorks());
  host_.Close(device_);
  SetUpDevice();
  EXPECT_FALSE(DmaWorks());
  EXPECT_EQ(LastFault(), ioas::soft::FaultReason::kHeld);
}

TEST_F(OperatorTest, RecoveryFromErrorsDoesNotThaw) {
  ASSERT_EQ(Map(container_, kIova), 0);
  ASSERT_TRUE(Freeze().ok());
  {
    const Host::Lock lock(host_.host());
    ASSERT_TRUE(host_.host().ChangeErrors(0, ioas::kFrozen | ioas::kFreezesOnFault, 0).ok());
    ASSERT_TRUE(host_.host().ChangeErrors(0, 0, ioas::kFrozen).ok());
  }
  EXPECT_FALSE(DmaWorks());
  // Nor is what an operator does an error of the group.
  EXPECT_FALSE(host_.platform().ErrorsOf(0).is_frozen());
  ASSERT_TRUE(Thaw().ok());
  EXPECT_TRUE(DmaWorks());
}

TEST_F(OperatorTest, GroupsThatJoinAFrozenContainerAreFrozenUntilTheyLeave) {
  ASSERT_TRUE(Freeze().ok());
  const int other = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(host_.Ioctl(other, abi::kGroupSetContainer, &container_), 0);
  EXPECT_TRUE(host_.platform().ErrorsOf(1).has(ioas::kHeld));
  EXPECT_EQ(Freeze()->groups, 3u);
  ASSERT_EQ(host_.Ioctl(other, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  EXPECT_FALSE(host_.platform().ErrorsOf(1).has(ioas::kHeld));
}

TEST_F(OperatorTest, AFrozenGroupStaysFrozenWhereverItGoes) {
  ASSERT_TRUE(Act([](Operator& actor) { return actor.FreezeGroup(0); }).ok());
  ASSERT_EQ(Map(container_, kIova), 0);
  EXPECT_FALSE(DmaWorks());
  host_.Close(device_);
  host_.Close(group_);
  host_.Close(container_);
  container_ = host_.ContainerOfType(abi::kType1v2Iommu, group_);
  SetUpDevice();
  ASSERT_EQ(Map(container_, kIova), 0);
  EXPECT_FALSE(DmaWorks());
  EXPECT_EQ(LastFault(), ioas::soft::FaultReason::kHeld);
  EXPECT_FALSE(Act([](Operator& actor) { return actor.ThawGroup(0); })->was_in_force);
  EXPECT_TRUE(DmaWorks());
}

TEST_F(OperatorTest, AGroupThawsWhenNeitherItNorItsContainerIsFrozen) {
  ASSERT_EQ(Map(container_, kIova), 0);
  ASSERT_TRUE(Freeze().ok());
  ASSERT_TRUE(Act([](Operator& actor) { return actor.FreezeGroup(0); }).ok());
  EXPECT_EQ(Act([](Operator& actor) { return actor.ThawGroup(0); }).error().code, EBUSY);
  ASSERT_TRUE(Thaw().ok());
  EXPECT_FALSE(DmaWorks());
  ASSERT_TRUE(Act([](Operator& actor) { return actor.ThawGroup(0); }).ok());
  EXPECT_TRUE(DmaWorks());
}

// --- Unmap ---

TEST_F(OperatorTest, UnmapsWholeMappingsAndCutsNone) {
  ASSERT_EQ(Map(container_, kIova, 2 * kPage), 0);
  ASSERT_EQ(Map(container_, kIova + 4 * kPage), 0);
  ASSERT_EQ(Map(container_, kIova + 8 * kPage), 0);
  EXPECT_EQ(Unmap(container_, kIova + kPage, kIova + 5 * kPage - 1).error().code, EINVAL);
  EXPECT_EQ(Unmap(container_, kIova, kIova + 4 * kPage).error().code, EINVAL);
  EXPECT_EQ(Unmap(container_, kIova + 1, kIova).error().code, EINVAL);
  const auto tried = Unmap(container_, kIova, kIova + 5 * kPage - 1, /*dry_run=*/true);
  ASSERT_TRUE(tried.ok());
  EXPECT_EQ(tried->mappings, 2u);
  ASSERT_TRUE(DmaWorks());
  const auto done = Unmap(container_, kIova - kPage, kIova + 5 * kPage - 1);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->mappings, 2u);
  EXPECT_EQ(done->bytes, 3 * kPage);
  EXPECT_EQ(done->groups, 1u);
  EXPECT_FALSE(DmaWorks());
  EXPECT_TRUE(Unmap(container_, 0, kIova)->was_in_force);
  EXPECT_EQ(Unmap(container_, 0, UINT64_MAX)->mappings, 1u);
  EXPECT_EQ(Unmap(host_.OpenContainer(), 0, 1).error().code, ENODEV);
}

TEST_F(OperatorTest, UnmapsPagesOfWindows) {
  const int container = SpaprContainer();
  ASSERT_EQ(Map(container, 0x10000, 4 * kPage), 0);
  EXPECT_EQ(Unmap(container, 0x10001, 0x20000).error().code, EINVAL);
  EXPECT_EQ(Unmap(container, 0x10000, 0x13000).error().code, EINVAL);
  EXPECT_EQ(Unmap(container, 0x11000, 0x12fff, /*dry_run=*/true)->mappings, 2u);
  const auto done = Unmap(container, 0x11000, 0x12fff);
  ASSERT_TRUE(done.ok());
  EXPECT_EQ(done->mappings, 2u);
  EXPECT_EQ(done->bytes, 2 * kPage);
  EXPECT_EQ(Unmap(container, 0, UINT64_MAX)->mappings, 2u);
}

TEST_F(OperatorTest, DoesNotWaitForAThreadThatHoldsTheAddressSpace) {
  ASSERT_EQ(Map(container_, kIova), 0);
  ioas::Arena arena = host_.host().arena();
  ioas::AddressSpace space(arena, State(container_).space);
  const ioas::AddressSpace::Lock lock(space);
  std::thread([&] {
    EXPECT_EQ(Unmap(container_, 0, UINT64_MAX).error().code, EBUSY);
    EXPECT_EQ(Revoke().error().code, EBUSY);
    EXPECT_EQ(Limit(container_, {}).error().code, EBUSY);
  }).join();
  EXPECT_EQ(State(container_).groups, 1u);
  EXPECT_FALSE(host_.platform().ErrorsOf(0).has(ioas::kHeld));
}

// --- Revoke ---

TEST_F(OperatorTest, ARevokedContainerHasNothingAndAnswersNothing) {
  ASSERT_EQ(Map(container_, kIova, 3 * kPage), 0);
  const auto tried = Revoke(/*dry_run=*/true);
  ASSERT_TRUE(tried.ok());
  EXPECT_EQ(tried->mappings, 1u);
  ASSERT_TRUE(DmaWorks());
  const auto revoked = Revoke();
  ASSERT_TRUE(revoked.ok());
  EXPECT_EQ(revoked->groups, 1u);
  EXPECT_EQ(revoked->mappings, 1u);
  EXPECT_EQ(revoked->bytes, 3 * kPage);
  EXPECT_TRUE(Revoke()->was_in_force);

  EXPECT_FALSE(DmaWorks());
  EXPECT_EQ(State(container_).groups, 0u);
  EXPECT_EQ(Map(container_, kIova), -ENODEV);
  EXPECT_EQ(Extension(container_, abi::kType1Iommu), -ENODEV);
  EXPECT_EQ(host_.Ioctl(container_, abi::kGetApiVersion, uint64_t{0}), -ENODEV);
  EXPECT_EQ(host_.Ioctl(container_, abi::kSetIommu, uint64_t{abi::kType1Iommu}), -ENODEV);
  EXPECT_EQ(host_.Ioctl(container_, 0x3bff, uint64_t{0}), -ENODEV);
  EXPECT_EQ(host_.Ioctl(group_, abi::kGroupSetContainer, &container_), -ENODEV);
  const int copy = host_.Duplicate(container_);
  EXPECT_EQ(Map(copy, kIova), -ENODEV);
  const pid_t child = host_.Fork();
  if (child == 0) _exit(Map(container_, kIova) == -ENODEV ? 0 : 1);
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
}

TEST_F(OperatorTest, GroupsOfARevokedContainerCanBeUsedAgain) {
  ASSERT_TRUE(Revoke().ok());
  host_.Close(device_);
  const int next = host_.OpenContainer();
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupSetContainer, &next), 0);
  ASSERT_EQ(host_.Ioctl(next, abi::kSetIommu, uint64_t{abi::kType1v2Iommu}), 0);
  ASSERT_EQ(Map(next, kIova), 0);
  SetUpDevice();
  EXPECT_TRUE(DmaWorks());
  // A container that is opened in its place is another.
  host_.Close(container_);
  EXPECT_EQ(Extension(host_.OpenContainer(), abi::kType1Iommu), 1);
}

// --- Limits ---

TEST_F(OperatorTest, LimitsRefuseWhatExceedsThem) {
  ASSERT_TRUE(
      Limit(container_,
            {.mappings = {.bytes = 4 * kPage, .mappings = 3, .range_count = 0, .ranges = {}},
             .types = 0})
          .ok());
  EXPECT_EQ(Map(container_, kIova, 5 * kPage), -ENOMEM);
  ASSERT_EQ(Map(container_, kIova, 2 * kPage), 0);
  EXPECT_EQ(Map(container_, kIova + 4 * kPage, 3 * kPage), -ENOMEM);
  ASSERT_EQ(Map(container_, kIova + 4 * kPage), 0);
  ASSERT_EQ(Map(container_, kIova + 8 * kPage), 0);
  EXPECT_EQ(Map(container_, kIova + 12 * kPage), -ENOSPC);
  // What there is already stays.
  ASSERT_TRUE(
      Limit(container_,
            {.mappings = {.bytes = 1, .mappings = 1, .range_count = 0, .ranges = {}}, .types = 0})
          .ok());
  EXPECT_TRUE(DmaWorks());
  ASSERT_TRUE(Limit(container_, {}).ok());
  EXPECT_EQ(Map(container_, kIova + 12 * kPage), 0);
}

TEST_F(OperatorTest, AllowedRangesAreWhereMappingsMayLieAndProgramsAreTold) {
  ContainerLimits limits = {};
  limits.mappings.range_count = 3;
  // In any order, and some touch: together 1 MiB to 3 MiB.
  limits.mappings.ranges[0] = {0x200000, 0x2fffff};
  limits.mappings.ranges[1] = {0x100000, 0x1fffff};
  limits.mappings.ranges[2] = {0x180000, 0x27ffff};
  EXPECT_TRUE(Limit(container_, limits, /*dry_run=*/true).ok());
  ASSERT_EQ(Map(container_, 0), 0);
  ASSERT_TRUE(Limit(container_, limits).ok());
  EXPECT_EQ(Map(container_, 0x10000), -EINVAL);
  EXPECT_EQ(Map(container_, 0x300000 - kPage, 2 * kPage), -EINVAL);
  EXPECT_EQ(Map(container_, 0x200000 - kPage, 2 * kPage), 0);
  ioas::Arena arena = host_.host().arena();
  ioas::AddressSpace space(arena, State(container_).space);
  ioas::IovaRange usable[ioas::kMaxUsableRanges];
  ASSERT_EQ(space.UsableRanges(usable), 1u);
  EXPECT_EQ(usable[0], (ioas::IovaRange{0x100000, 0x2fffff}));
  limits.mappings.ranges[0] = {1, 0};
  EXPECT_EQ(Limit(container_, limits).error().code, EINVAL);
}

TEST_F(OperatorTest, PagesOfWindowsCountAsMappings) {
  const int container = SpaprContainer();
  ASSERT_TRUE(
      Limit(container,
            {.mappings = {.bytes = 0, .mappings = 3, .range_count = 0, .ranges = {}}, .types = 0})
          .ok());
  ASSERT_EQ(Map(container, 0x10000, 2 * kPage), 0);
  EXPECT_EQ(Map(container, 0x20000, 2 * kPage), -ENOSPC);
  // What is replaced is there already.
  EXPECT_EQ(Map(container, 0x11000, 2 * kPage), 0);
  EXPECT_EQ(Map(container, 0x20000, kPage), -ENOSPC);
}

TEST_F(OperatorTest, OnlyPermittedTypesCanBeChosen) {
  constexpr uint32_t kOnlyType1 = 1u << abi::kType1Iommu;
  const int empty = host_.OpenContainer();
  ASSERT_TRUE(Limit(empty, {.mappings = {}, .types = kOnlyType1}).ok());
  EXPECT_EQ(Extension(empty, abi::kType1Iommu), 1);
  EXPECT_EQ(Extension(empty, abi::kType1v2Iommu), 0);
  EXPECT_EQ(Extension(empty, abi::kSpaprTceIommu), 0);
  EXPECT_EQ(Extension(empty, abi::kUnmapAll), 1);
  const int other = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(host_.Ioctl(other, abi::kGroupSetContainer, &empty), 0);
  EXPECT_EQ(host_.Ioctl(empty, abi::kSetIommu, uint64_t{abi::kType1v2Iommu}), -ENODEV);
  EXPECT_EQ(host_.Ioctl(empty, abi::kSetIommu, uint64_t{abi::kType1Iommu}), 0);
  EXPECT_EQ(Limit(empty, {.mappings = {}, .types = 1}).error().code, EINVAL);
}

TEST_F(OperatorTest, DefaultLimitsAreThoseOfContainersThatAreOpenedLater) {
  const ContainerLimits limits = {
      .mappings = {.bytes = kPage, .mappings = 0, .range_count = 0, .ranges = {}}, .types = 0};
  ASSERT_TRUE(Act([&](Operator& actor) { return actor.SetDefaultLimits(limits); }).ok());
  EXPECT_EQ(Map(container_, kIova, 2 * kPage), 0);
  const int later = host_.OpenContainer();
  const int other = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(host_.Ioctl(other, abi::kGroupSetContainer, &later), 0);
  ASSERT_EQ(host_.Ioctl(later, abi::kSetIommu, uint64_t{abi::kType1v2Iommu}), 0);
  EXPECT_EQ(Map(later, kIova, 2 * kPage), -ENOMEM);
  EXPECT_EQ(Map(later, kIova, kPage), 0);
}

}  // namespace
}  // namespace compat::vfio
