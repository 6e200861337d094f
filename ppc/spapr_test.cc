#include "ppc/spapr.h"

#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ppc/registered_memory.h"
#include "ppc/spapr_fixture.h"

namespace ppc {
namespace {

namespace abi = compat::abi;
using compat::settings::PowerPlatform;
using compat::soft::TestHost;

const Spapr kPowerNv(ProfileOf(PowerPlatform::kPowerNv, std::nullopt));
const Spapr kPSeries(ProfileOf(PowerPlatform::kPSeries, std::nullopt));
const Spapr kMoved(ProfileOf(PowerPlatform::kPowerNv, 3 * kGiB));

// What the default window's table counts as locked memory.
constexpr uint64_t kDefaultTable = 8 << 20;

class SpaprTest : public SpaprFixture {
 protected:
  SpaprTest() : SpaprTest(kPowerNv) {}
  explicit SpaprTest(const Spapr& personality) : SpaprFixture(personality) {
    container_ = host_.ContainerOfType(abi::kSpaprTceV2Iommu, group_);
  }

  int container_;
  int group_;
};

class SpaprV1Test : public SpaprFixture {
 protected:
  SpaprV1Test() : SpaprFixture(kPowerNv) {
    container_ = host_.ContainerOfType(abi::kSpaprTceIommu, group_);
  }

  int container_;
  int group_;
};

class PSeriesSpaprTest : public SpaprTest {
 protected:
  PSeriesSpaprTest() : SpaprTest(kPSeries) {}
};

class MovedSpaprTest : public SpaprTest {
 protected:
  MovedSpaprTest() : SpaprTest(kMoved) {}
};

// A host of which one more group, kFarGroup, is behind an IOMMU that reaches no window above 512
// GiB, while those of the others reach everywhere.
class MixedSpaprTest : public SpaprFixture {
 protected:
  static constexpr uint32_t kFarGroup = TestHost::kEngineGroup;

  MixedSpaprTest() : SpaprFixture(kPowerNv, {Engine()}) {
    container_ = host_.ContainerOfType(abi::kSpaprTceV2Iommu, group_);
    far_group_ = host_.OpenGroup(kFarGroup);
  }

  static compat::settings::DeviceSettings Engine() {
    compat::settings::DeviceSettings engine = TestHost::Engines().front();
    engine.iommu = compat::settings::Iommu::kX86;
    return engine;
  }

  int container_;
  int group_;
  int far_group_;
};

// Runs `body` in a forked child of the host's process, which holds what its parent holds. Its
// result.
template <typename Body>
int InChild(TestHost& host, Body body) {
  const pid_t child = host.Fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

// A program without privileges, that may lock `limit` bytes.
void DropPrivileges(uint64_t limit) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  syscall(SYS_capget, &header, data);
  data[0].effective &= ~(1u << CAP_IPC_LOCK);
  syscall(SYS_capset, &header, data);
  const rlimit limits = {limit, limit};
  setrlimit(RLIMIT_MEMLOCK, &limits);
}

TEST_F(SpaprTest, PageLeadsToRegisteredMemoryUntilItIsReplacedOrUnmapped) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 0, 4 * kPage), 0);
  EXPECT_EQ(Reach(container_, kPage + 5), memory_ + kPage + 5);
  ASSERT_EQ(Map(container_, memory_ + 16 * kPage, kPage, kPage), 0);
  EXPECT_EQ(Reach(container_, kPage), memory_ + 16 * kPage);
  EXPECT_EQ(Reach(container_, 2 * kPage), memory_ + 2 * kPage);
  ASSERT_EQ(Unmap(container_, 0, 2 * kPage), 0);
  EXPECT_EQ(Reach(container_, kPage), 0u);
  EXPECT_EQ(Reach(container_, 2 * kPage), memory_ + 2 * kPage);
}

TEST_F(SpaprTest, RegionOfWhichAPartIsMissingIsNotRegisteredAndCountsTheRest) {
  EXPECT_EQ(Register(container_, memory_ + kMemorySize - 5 * kPage, 8 * kPage), 5);
  EXPECT_EQ(Register(container_, memory_ + kMemorySize, kPage), -EFAULT);
  EXPECT_EQ(Map(container_, memory_, 0, kPage), -EPERM);
  EXPECT_EQ(Locked(), 0u);
}

TEST_F(SpaprTest, PageThatIsReadOnlyCannotBeWrittenAndOneThatIsWrittenCanBeRead) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 0, kPage, abi::kDmaMapFlagRead), 0);
  EXPECT_EQ(Reach(container_, 0, ioas::kAccessRead), memory_);
  EXPECT_EQ(Reach(container_, 0, ioas::kAccessWrite), 0u);
  ASSERT_EQ(Map(container_, memory_, 0, kPage, abi::kDmaMapFlagWrite), 0);
  EXPECT_EQ(Reach(container_, 0, ioas::kAccessRead), memory_);
}

TEST_F(SpaprTest, RangeThatRunsPastItsWindowIsRefusedAndChangesNothing) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 2 * kGiB - kPage, kPage), 0);
  EXPECT_EQ(Map(container_, memory_ + kPage, 2 * kGiB - kPage, 2 * kPage), -EINVAL);
  EXPECT_EQ(Unmap(container_, 2 * kGiB - kPage, 2 * kPage), -EINVAL);
  EXPECT_EQ(Unmap(container_, 2 * kGiB - kPage, -kPage), -EINVAL);
  EXPECT_EQ(Reach(container_, 2 * kGiB - kPage), memory_);
}

TEST_F(SpaprTest, MapThatFailsLeavesWhatCameBeforeUnmappedAsTheKernelDoes) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 0, 3 * kPage), 0);
  EXPECT_EQ(Map(container_, memory_ + kMemorySize - kPage, kPage, 2 * kPage), -EINVAL);
  EXPECT_EQ(Reach(container_, 0), memory_);
  EXPECT_EQ(Reach(container_, kPage), 0u);
  EXPECT_EQ(Reach(container_, 2 * kPage), memory_ + 2 * kPage);
}

TEST_F(SpaprTest, MapAcrossRegionsTakesEachAndARunOfLargePagesNeedsOneEach) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize / 2 + kPage), 0);
  ASSERT_EQ(Register(container_, memory_ + kMemorySize / 2 + kPage, kMemorySize / 2 - kPage), 0);
  ASSERT_EQ(Map(container_, memory_, 0, kMemorySize), 0);
  EXPECT_EQ(Reach(container_, kMemorySize - 1), memory_ + kMemorySize - 1);
  ASSERT_EQ(Create(container_, 16, kGiB), 0);
  EXPECT_EQ(Map(container_, memory_, start_, kMemorySize / 2), 0);
  EXPECT_EQ(Map(container_, memory_ + kMemorySize / 2, start_, 1 << 16), -EINVAL);
}

TEST_F(SpaprTest, RegionUnregisteredWhileMappedStaysPinnedUntilItsLastPageGoes) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 0, 2 * kPage), 0);
  ASSERT_EQ(Unregister(container_, memory_, kMemorySize), 0);
  EXPECT_EQ(Reach(container_, kPage), memory_ + kPage);
  EXPECT_EQ(Register(container_, memory_, kMemorySize / 2), -EINVAL);
  EXPECT_EQ(Map(container_, memory_, 4 * kPage, kPage), 0);
  ASSERT_EQ(Unmap(container_, 0, 8 * kPage), 0);
  EXPECT_EQ(Map(container_, memory_, 0, kPage), 0) << "the process still knows it";
  EXPECT_EQ(Unregister(container_, memory_, kMemorySize), -ENOENT);
}

TEST_F(SpaprTest, ContainersOfAProcessShareWhatEachRegisters) {
  const int other = host_.OpenContainer();
  const int group = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(SetContainer(group, other), 0);
  ASSERT_EQ(SetIommu(other, abi::kSpaprTceV2Iommu), 0);
  const uint64_t second = Allocate();
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  EXPECT_EQ(Map(other, memory_, 0, kPage), -EPERM) << "not enabled by a registration of its own";
  ASSERT_EQ(Register(other, second, kMemorySize), 0);
  EXPECT_EQ(Map(other, memory_, 0, kPage), 0);
  EXPECT_EQ(Register(other, memory_, kMemorySize), 0);
  EXPECT_EQ(Register(other, memory_, kMemorySize), -EBUSY);
  // One table, and each region once.
  EXPECT_EQ(Locked(), kDefaultTable + 2 * kMemorySize);
  ASSERT_EQ(Unregister(container_, memory_, kMemorySize), 0);
  EXPECT_EQ(Reach(other, 0), memory_);
  host_.Close(group);
  host_.Close(other);
  EXPECT_EQ(Locked(), 0u);
}

TEST_F(SpaprTest, MemoryThatAnotherContainerMappedIsGivenBackOnceItsLastPageIsUnmapped) {
  const int group = host_.OpenGroup(TestHost::kOtherGroup);
  const int other = host_.OpenContainer();
  ASSERT_EQ(SetContainer(group, other), 0);
  ASSERT_EQ(SetIommu(other, abi::kSpaprTceV2Iommu), 0);
  ASSERT_EQ(Register(container_, memory_, 16 * kPage), 0);
  ASSERT_EQ(Register(other, memory_ + 16 * kPage, kPage), 0);
  ASSERT_EQ(Map(other, memory_, 0, 2 * kPage), 0);
  ASSERT_EQ(Unmap(other, 0, 2 * kPage), 0);
  const uint64_t locked = Locked();
  ASSERT_EQ(Unregister(container_, memory_, 16 * kPage), 0);
  EXPECT_EQ(Locked(), locked - 16 * kPage);
}

TEST_F(SpaprTest, SeveralGroupsShareTheWindowsOfVersion2) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 0, kPage), 0);
  const int group = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(SetContainer(group, container_), 0);
  EXPECT_EQ(Create(container_, 16, kGiB), 0);
  EXPECT_EQ(start_, kSecondWindow);
  host_.Close(group);
  EXPECT_EQ(Reach(container_, 0), memory_);
}

TEST_F(MixedSpaprTest, GroupThatDoesNotReachWhatIsMappedIsNotLetIn) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 0, kPage), 0);
  ASSERT_EQ(Create(container_, 16, kGiB), 0);
  ASSERT_EQ(start_, kSecondWindow);
  ASSERT_EQ(Map(container_, memory_ + (1 << 16), kSecondWindow, 1 << 16), 0);
  EXPECT_EQ(SetContainer(far_group_, container_), -EINVAL);
  EXPECT_EQ(Reach(container_, 0), memory_);
  EXPECT_EQ(Reach(container_, kSecondWindow), memory_ + (1 << 16));

  ASSERT_EQ(Remove(container_, kSecondWindow), 0);
  EXPECT_EQ(SetContainer(far_group_, container_), 0);
  EXPECT_EQ(Reach(container_, 0), memory_);
  EXPECT_EQ(Create(container_, 16, kGiB), 0);
  EXPECT_LT(start_, kSecondWindow) << "where both reach";
}

TEST_F(SpaprTest, ContainerThatLosesItsLastGroupGivesAllMemoryBack) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 0, kMemorySize), 0);
  ASSERT_EQ(Create(container_, 16, 64 * kGiB), 0);
  EXPECT_GT(Locked(), kDefaultTable + kMemorySize);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  EXPECT_EQ(Locked(), 0u);
  ASSERT_EQ(SetContainer(group_, container_), 0);
  ASSERT_EQ(SetIommu(container_, abi::kSpaprTceV2Iommu), 0);
  EXPECT_EQ(Map(container_, memory_, 0, kPage), -EPERM);
  EXPECT_EQ(Register(container_, memory_, kMemorySize), 0);
  EXPECT_EQ(Map(container_, memory_, kSecondWindow, kPage), -ENXIO);
}

TEST_F(SpaprTest, ContainerIsOfTheProcessThatFirstUsedIt) {
  // Reading the structure fails, and the container has an owner all the same.
  EXPECT_EQ(host_.Ioctl(container_, abi::kIommuSpaprRegisterMemory, uint64_t{0}), -EFAULT);
  EXPECT_EQ(InChild(host_,
                    [&] {
                      abi::SpaprTceInfo info = {};
                      info.argsz = sizeof(info);
                      if (host_.Ioctl(container_, abi::kIommuSpaprTceGetInfo, &info) != -EPERM)
                        return 1;
                      if (Register(container_, memory_, kMemorySize) != -EPERM) return 2;
                      if (host_.Ioctl(container_, abi::VfioRequest(22), uint64_t{0}) != -EPERM)
                        return 3;
                      if (host_.Ioctl(container_, abi::kEehPeOp, uint64_t{0}) != -EPERM) return 4;
                      return 0;
                    }),
            0);
  EXPECT_EQ(Register(container_, memory_, kMemorySize), 0);
  EXPECT_EQ(host_.Ioctl(container_, abi::VfioRequest(22), uint64_t{0}), -ENOTTY);
}

TEST_F(SpaprTest, ContainerOfADeadProcessObeysNobodyAndItsMemoryIsDropped) {
  EXPECT_EQ(InChild(host_,
                    [&] {
                      if (Register(container_, memory_, kMemorySize) != 0) return 1;
                      return Map(container_, memory_, 0, kPage) == 0 ? 0 : 2;
                    }),
            0);
  EXPECT_EQ(Register(container_, memory_, kMemorySize), -EPERM);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  const auto all = host_.host().state().registered_memory;
  EXPECT_FALSE(host_.host().arena().Get(all)->first) << "the dead process's memory is still known";
}

TEST_F(SpaprTest, LockedMemoryLimitCountsRegionsAndTables) {
  EXPECT_EQ(InChild(host_,
                    [&] {
                      constexpr uint64_t kTable = 2 * (kGiB >> 16) * 8;
                      DropPrivileges(kMemorySize + kTable);
                      if (Remove(container_, 0) != 0) return 1;
                      if (Register(container_, memory_, kMemorySize) != 0) return 2;
                      if (Create(container_, 16, kGiB) != 0) return 3;
                      if (Create(container_, 16, kGiB) != -ENOMEM) return 4;
                      const uint64_t more = Allocate();
                      if (Register(container_, more, kPage) != -ENOMEM) return 5;
                      if (Remove(container_, start_) != 0) return 6;
                      if (Register(container_, more, kPage) != 0) return 7;
                      return 0;
                    }),
            0);
}

TEST_F(SpaprTest, PagesOfWindowsCountAsMappings) {
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(container_, memory_, 0, 8 * kPage), 0);
  ASSERT_EQ(Map(container_, memory_, 4 * kPage, 8 * kPage), 0);
  ASSERT_EQ(Unmap(container_, 0, 2 * kPage), 0);
  ioas::AddressSpace space = SpaceOf(container_);
  EXPECT_EQ(space.statistics().maps, 16u);
  EXPECT_EQ(space.statistics().unmaps, 6u);
  EXPECT_EQ(space.statistics().bytes_mapped, 10 * kPage);
}

TEST_F(SpaprV1Test, NeedsNoRegistrationButEnable) {
  EXPECT_EQ(Map(container_, memory_, 0, kPage), -EPERM);
  ASSERT_EQ(host_.Ioctl(container_, abi::kIommuEnable, uint64_t{0}), 0);
  ASSERT_EQ(Map(container_, memory_, 0, kMemorySize), 0);
  EXPECT_EQ(Reach(container_, 5), memory_ + 5);
  EXPECT_EQ(Locked(), 2 * kGiB + kDefaultTable);
  ASSERT_EQ(host_.Ioctl(container_, abi::kIommuDisable, uint64_t{0}), 0);
  EXPECT_EQ(Reach(container_, 5), memory_ + 5) << "what is mapped stays";
  EXPECT_EQ(Locked(), kDefaultTable);
}

TEST_F(SpaprV1Test, MemoryThatIsNotThereChangesNothing) {
  ASSERT_EQ(host_.Ioctl(container_, abi::kIommuEnable, uint64_t{0}), 0);
  ASSERT_EQ(Map(container_, memory_, 0, 2 * kPage), 0);
  EXPECT_EQ(Map(container_, memory_ + kMemorySize - kPage, 0, 2 * kPage), -EFAULT);
  EXPECT_EQ(Reach(container_, 0), memory_);
}

TEST_F(SpaprV1Test, MemoryHasToBeWritableEvenToBeRead) {
  ASSERT_EQ(host_.Ioctl(container_, abi::kIommuEnable, uint64_t{0}), 0);
  mprotect(reinterpret_cast<void*>(memory_), kPage, PROT_READ);
  EXPECT_EQ(Map(container_, memory_, 0, kPage, abi::kDmaMapFlagRead), -EFAULT);
  EXPECT_EQ(Map(container_, memory_ + kPage, 0, kPage, abi::kDmaMapFlagRead), 0);
}

TEST_F(SpaprV1Test, HasOneGroup) {
  const int group = host_.OpenGroup(TestHost::kOtherGroup);
  EXPECT_EQ(SetContainer(group, container_), -EBUSY);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  ASSERT_EQ(SetContainer(group_, container_), 0);
  ASSERT_EQ(SetContainer(group, container_), 0);
  EXPECT_EQ(SetIommu(container_, abi::kSpaprTceIommu), -EBUSY);
  EXPECT_EQ(SetIommu(container_, abi::kSpaprTceV2Iommu), 0);
}

TEST_F(PSeriesSpaprTest, DefaultWindowGivesWayToADynamicOneAndComesBackAfterIt) {
  abi::SpaprTceInfo info = {};
  info.argsz = sizeof(info);
  ASSERT_EQ(host_.Ioctl(container_, abi::kIommuSpaprTceGetInfo, &info), 0);
  EXPECT_EQ(info.dma32_window_size, 2 * kGiB);
  EXPECT_EQ(info.ddw.levels, 1u);
  EXPECT_EQ(Remove(container_, 0), 0);
  ASSERT_EQ(Create(container_, 16, 64 * kGiB), 0);
  EXPECT_EQ(start_, kSecondWindow);
  EXPECT_EQ(Create(container_, 16, kGiB), -ENODEV);
  EXPECT_EQ(Remove(container_, kSecondWindow), 0);
  ASSERT_EQ(Create(container_, 12, kGiB), 0);
  EXPECT_EQ(start_, 0u);
  ASSERT_EQ(Create(container_, 16, 64 * kGiB), 0);
  EXPECT_EQ(start_, kSecondWindow);
  EXPECT_EQ(Remove(container_, 0), 0);
  EXPECT_EQ(Create(container_, 12, kGiB), -EPERM);
}

TEST_F(PSeriesSpaprTest, GroupsDoNotShareWindows) {
  const int group = host_.OpenGroup(TestHost::kOtherGroup);
  ASSERT_EQ(SetContainer(group, container_), 0);
  ASSERT_EQ(Register(container_, memory_, kMemorySize), 0);
  EXPECT_EQ(Map(container_, memory_, 0, kPage), -EPERM);
  ASSERT_EQ(host_.Ioctl(group, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  EXPECT_EQ(Map(container_, memory_, 0, kPage), 0);
  EXPECT_EQ(SetContainer(group, container_), -EPERM);
}

TEST_F(MovedSpaprTest, SecondWindowStartsWhereTheSettingsSayIfItFits) {
  ASSERT_EQ(Create(container_, 16, kGiB), 0);
  EXPECT_EQ(start_, 3 * kGiB);
  ASSERT_EQ(Remove(container_, start_), 0);
  ASSERT_EQ(Remove(container_, 0), 0);
  ASSERT_EQ(Create(container_, 16, 4 * kGiB), 0);
  EXPECT_EQ(start_, 0u);
  // The first one is in the way.
  ASSERT_EQ(Create(container_, 16, 4 * kGiB), 0);
  EXPECT_EQ(start_, 4 * kGiB);
}

}  // namespace
}  // namespace ppc
