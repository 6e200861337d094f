#include "ppc/eeh.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstring>
#include <thread>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/soft/test_host.h"
#include "compat/vfio/regions.h"

namespace ppc {
namespace {

namespace abi = compat::abi;
using compat::settings::PowerPlatform;
using compat::soft::TestHost;
using compat::vfio::ContainerState;

constexpr uint64_t kConfig = compat::vfio::RegionOffset(abi::kPciConfigRegionIndex);
constexpr uint32_t kOnes = ~uint32_t{0};
constexpr uint32_t kMinimal = 12;
// A load of memory with a bad address.
constexpr abi::EehPeErr kError = {.type = 0, .func = 0, .addr = 0, .mask = 0};
// Registers of an NVMe controller (NVM Express base specification 1.4, 3.1).
constexpr uint32_t kCc = 0x14;
constexpr uint32_t kAqa = 0x24;
constexpr uint32_t kTailDoorbell = 0x1000;
constexpr uint32_t kEnable = 1 | 6 << 16 | 4 << 20;

class EehTest : public testing::Test {
 protected:
  void SetUp() override {
    container_ = host_.ContainerOfType(abi::kType1v2Iommu, group_);
    device_ = host_.OpenDevice(group_, TestHost::kDevice);
    ASSERT_GE(device_, 0);
  }

  ContainerState& container() {
    const auto file = host_.host().files().slot(host_.Slot(container_));
    return *host_.host().arena().Get(ioas::ArenaRef<ContainerState>{file.object});
  }

  // The call with its structure at `address`: what ioctl() returns, or a negated errno.
  long CallAt(uint64_t address) {
    compat::soft::TestMemory memory;
    const auto call = compat::decode::Decode(compat::decode::DescriptorKind::kContainer,
                                             compat::decode::ContainerType::kSpaprV2, abi::kEehPeOp,
                                             address, memory);
    const auto context = host_.host().ContextFor({container(), container_});
    const ioas::Result<long> result = EehPeOp(*context, platform_, *call);
    return result.ok() ? *result : -result.error().code;
  }
  long Call(const abi::EehPeOp& request) { return CallAt(reinterpret_cast<uint64_t>(&request)); }
  long Do(uint32_t op, uint32_t flags = 0) {
    return Call({.argsz = kMinimal, .flags = flags, .op = op, .pad = 0, .err = {}});
  }
  long Inject(const abi::EehPeErr& error = kError) {
    constexpr uint32_t kSize = sizeof(abi::EehPeOp);
    return Call({.argsz = kSize, .flags = 0, .op = abi::kEehPeInjectErr, .pad = 0, .err = error});
  }
  long State() { return Do(abi::kEehPeGetState); }

  template <typename T>
  T Read(uint64_t position) {
    T value{};
    EXPECT_EQ(host_.Read(device_, &value, sizeof(value), position),
              static_cast<long>(sizeof(value)));
    return value;
  }
  template <typename T>
  void Write(uint64_t position, T value) {
    EXPECT_EQ(host_.Write(device_, &value, sizeof(value), position),
              static_cast<long>(sizeof(value)));
  }
  bool IsFrozen() { return Read<uint32_t>(kConfig) == kOnes && Read<uint32_t>(0) == kOnes; }

  // Puts the second group into the container too.
  void AddOtherGroup() {
    other_group_ = host_.OpenGroup(TestHost::kOtherGroup);
    ASSERT_EQ(host_.Ioctl(other_group_, abi::kGroupSetContainer, &container_), 0);
  }
  void SetErrors(uint32_t number, uint32_t bits) {
    const compat::vfio::Host::Lock lock(host_.host());
    const auto index = host_.platform().FindGroup(number);
    ASSERT_TRUE(host_.host().ChangeErrors(*index, bits, 0).ok());
  }
  uint32_t BitsOf(uint32_t number) {
    const auto index = host_.platform().FindGroup(number);
    return host_.platform().ErrorsOf(*index).bits;
  }

  std::vector<ioas::soft::FaultRecord> Faults() {
    std::vector<ioas::soft::FaultRecord> faults(ioas::soft::kFaultRecords);
    faults.resize(host_.platform().soft().faults().Copy(faults));
    return faults;
  }
  // Has the drive fetch a command from memory that is not there, and waits until it has tried.
  void CauseFault() {
    const uint64_t before = host_.platform().soft().faults().total();
    Write<uint16_t>(kConfig + 4, 6);
    Write<uint32_t>(kAqa, 15 << 16 | 15);
    Write<uint32_t>(kCc, kEnable);
    Write<uint32_t>(kTailDoorbell, 1);
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
    while (host_.platform().soft().faults().total() == before) {
      ASSERT_LT(std::chrono::steady_clock::now(), deadline);
      std::this_thread::yield();
    }
    // Takes the device's lock, under which it did what it did.
    Read<uint32_t>(0);
  }

  TestHost host_;
  PowerPlatform platform_ = PowerPlatform::kPowerNv;
  int container_ = -1;
  int group_ = -1;
  int other_group_ = -1;
  int device_ = -1;
};

// --- Every operation in every state ---

// How a PE gets into each state, and what GET_STATE says of it on the two platforms.
enum Condition { kNormal, kFrozen, kDmaStopped, kIoStopped, kReset };
constexpr long kStateOnPowerNv[] = {0, 2, 4, 5, 2};
constexpr long kStateOnPSeries[] = {0, 2, 4, 5, 1};

struct Transition {
  uint32_t op;
  // What GET_STATE says after it, by the condition before it.
  long on_powernv[5];
  long on_pseries[5];
};
constexpr Transition kTransitions[] = {
    {abi::kEehPeDisable, {0, 2, 4, 5, 2}, {0, 2, 4, 5, 1}},
    {abi::kEehPeEnable, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 1}},
    {abi::kEehPeUnfreezeIo, {0, 4, 4, 0, 4}, {0, 4, 4, 0, 1}},
    {abi::kEehPeUnfreezeDma, {0, 5, 0, 5, 5}, {0, 5, 0, 5, 1}},
    {abi::kEehPeResetDeactivate, {0, 0, 0, 0, 0}, {0, 0, 0, 0, 0}},
    {abi::kEehPeResetHot, {2, 2, 2, 2, 2}, {1, 1, 1, 1, 1}},
    {abi::kEehPeResetFundamental, {2, 2, 2, 2, 2}, {1, 1, 1, 1, 1}},
    {abi::kEehPeConfigure, {0, 2, 4, 5, 2}, {0, 2, 4, 5, 1}},
    {abi::kEehPeInjectErr, {2, 2, 2, 2, 2}, {2, 2, 2, 2, 1}},
};

class EehStatesTest : public EehTest {
 protected:
  void Bring(Condition condition) {
    ASSERT_EQ(Do(abi::kEehPeResetDeactivate), 0);
    if (condition == kNormal) return;
    if (condition == kReset) {
      ASSERT_EQ(Do(abi::kEehPeResetHot), 0);
      return;
    }
    ASSERT_EQ(Inject(), 0);
    if (condition == kFrozen) return;
    ASSERT_EQ(Do(condition == kDmaStopped ? abi::kEehPeUnfreezeIo : abi::kEehPeUnfreezeDma), 0);
  }

  void CheckAll(const long (&states)[5], const long (Transition::*after)[5]) {
    for (const Transition& transition : kTransitions) {
      for (const Condition condition : {kNormal, kFrozen, kDmaStopped, kIoStopped, kReset}) {
        SCOPED_TRACE("operation " + std::to_string(transition.op) + " in condition " +
                     std::to_string(condition));
        Bring(condition);
        EXPECT_EQ(State(), states[condition]);
        EXPECT_EQ(transition.op == abi::kEehPeInjectErr ? Inject() : Do(transition.op), 0);
        EXPECT_EQ(State(), (transition.*after)[condition]);
      }
    }
  }
};

TEST_F(EehStatesTest, WithoutAHypervisorAResetLooksFrozen) {
  CheckAll(kStateOnPowerNv, &Transition::on_powernv);
}

TEST_F(EehStatesTest, InAPartitionAResetIsAStateOfItsOwn) {
  platform_ = PowerPlatform::kPSeries;
  CheckAll(kStateOnPSeries, &Transition::on_pseries);
}

TEST_F(EehTest, EveryArgszBelowTheOperationsIsRefused) {
  for (uint32_t argsz = 0; argsz <= 48; ++argsz) {
    for (const uint32_t op : {abi::kEehPeConfigure, abi::kEehPeInjectErr}) {
      SCOPED_TRACE("operation " + std::to_string(op) + ", argsz " + std::to_string(argsz));
      const uint32_t needed = op == abi::kEehPeInjectErr ? 40 : kMinimal;
      EXPECT_EQ(Call({.argsz = argsz, .flags = 0, .op = op, .pad = 0, .err = kError}),
                argsz < needed ? -EINVAL : 0);
    }
  }
}

TEST_F(EehTest, FlagsAndUnknownOperationsAreRefused) {
  for (const uint32_t flags : {1u, 1u << 31}) EXPECT_EQ(Do(abi::kEehPeGetState, flags), -EINVAL);
  for (const uint32_t op : {10u, 99u, kOnes}) EXPECT_EQ(Do(op), -EINVAL);
}

TEST_F(EehTest, NoByteIsReadBeyondWhatTheOperationNeeds) {
  const auto page = static_cast<std::byte*>(
      mmap(nullptr, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  ASSERT_EQ(mprotect(page + 4096, 4096, PROT_NONE), 0);
  const auto call_with_bytes = [&](uint32_t bytes, uint32_t argsz, uint32_t op) {
    const abi::EehPeOp request = {.argsz = argsz, .flags = 0, .op = op, .pad = 0, .err = kError};
    std::memcpy(page + 4096 - bytes, &request, bytes);
    return CallAt(reinterpret_cast<uint64_t>(page + 4096 - bytes));
  };
  EXPECT_EQ(call_with_bytes(11, 40, abi::kEehPeConfigure), -EFAULT);
  EXPECT_EQ(call_with_bytes(12, 4096, abi::kEehPeConfigure), 0);
  EXPECT_EQ(call_with_bytes(12, 39, abi::kEehPeInjectErr), -EINVAL);
  EXPECT_EQ(call_with_bytes(39, 40, abi::kEehPeInjectErr), -EFAULT);
  EXPECT_EQ(State(), abi::kEehPeStateNormal);
  EXPECT_EQ(call_with_bytes(40, 40, abi::kEehPeInjectErr), 0);
  EXPECT_EQ(State(), abi::kEehPeStateStopped);
  EXPECT_EQ(CallAt(0), -EFAULT);
  munmap(page, 8192);
}

TEST_F(EehTest, ErrorsThatThereAreNoneOfCannotBeInjected) {
  const auto inject = [this](uint32_t type, uint32_t func) {
    return Inject({.type = type, .func = func, .addr = 0, .mask = 0});
  };
  EXPECT_EQ(inject(0, 20), -EINVAL);
  EXPECT_EQ(inject(2, 20), -EINVAL);
  EXPECT_EQ(inject(0, kOnes), -EINVAL);
  EXPECT_EQ(inject(2, 0), -ERANGE);
  EXPECT_EQ(State(), abi::kEehPeStateNormal);
  EXPECT_EQ(inject(1, 19), 0);
  EXPECT_EQ(State(), abi::kEehPeStateStopped);
}

TEST_F(EehTest, APartitionInjectsErrorsOfDeviceMemoryAlone) {
  platform_ = PowerPlatform::kPSeries;
  for (uint32_t func = 0; func < 20; ++func) {
    SCOPED_TRACE(func);
    const bool is_memory = func <= 1 || func == 6 || func == 7;
    EXPECT_EQ(Inject({.type = 1, .func = func, .addr = 0, .mask = 0}), is_memory ? 0 : -ERANGE);
    EXPECT_EQ(State(), is_memory ? abi::kEehPeStateStopped : abi::kEehPeStateNormal);
    EXPECT_EQ(Inject({.type = 2, .func = func, .addr = 0, .mask = 0}), -EINVAL);
    ASSERT_EQ(Do(abi::kEehPeEnable), 0);
  }
}

// --- What a frozen PE's devices do ---

TEST_F(EehTest, AFrozenDeviceReadsAsOnesUntilIoIsUnfrozen) {
  const auto version = Read<uint32_t>(8);
  EXPECT_FALSE(IsFrozen());
  ASSERT_EQ(Inject(), 0);
  EXPECT_TRUE(IsFrozen());
  ASSERT_EQ(Do(abi::kEehPeUnfreezeIo), 0);
  EXPECT_FALSE(IsFrozen());
  EXPECT_EQ(Read<uint32_t>(8), version);
}

TEST_F(EehTest, AMappedBarOfAFrozenDeviceReadsAsOnes) {
  const long bar = host_.Map(device_, 0x2000, 0);
  ASSERT_GT(bar, 0);
  const auto* const version = reinterpret_cast<const std::atomic<uint32_t>*>(bar + 8);
  const uint32_t before = *version;
  ASSERT_NE(before, kOnes);
  ASSERT_EQ(Inject(), 0);
  EXPECT_EQ(*version, kOnes);
  ASSERT_EQ(Do(abi::kEehPeEnable), 0);
  EXPECT_EQ(*version, before);
  host_.Unmap(device_, bar, 0x2000);
}

TEST_F(EehTest, ARecoveryResetsTheDeviceAndKeepsItsConfiguration) {
  Write<uint16_t>(kConfig + 4, 6);
  Write<uint32_t>(kAqa, 0x000f000f);
  ASSERT_EQ(Inject(), 0);
  ASSERT_EQ(Do(abi::kEehPeResetHot), 0);
  EXPECT_TRUE(IsFrozen());
  ASSERT_EQ(Do(abi::kEehPeResetDeactivate), 0);
  ASSERT_EQ(Do(abi::kEehPeConfigure), 0);
  EXPECT_EQ(State(), abi::kEehPeStateNormal);
  EXPECT_EQ(Read<uint32_t>(kAqa), 0u);
  EXPECT_EQ(Read<uint16_t>(kConfig + 4), 6);
}

TEST_F(EehTest, ConfigurationSpaceIsBlockedUntilTheResetIsDeactivated) {
  ASSERT_EQ(Do(abi::kEehPeResetFundamental), 0);
  ASSERT_EQ(Do(abi::kEehPeUnfreezeIo), 0);
  EXPECT_EQ(Read<uint32_t>(kConfig), kOnes);
  EXPECT_NE(Read<uint32_t>(8), kOnes);
  ASSERT_EQ(Do(abi::kEehPeResetDeactivate), 0);
  EXPECT_NE(Read<uint32_t>(kConfig), kOnes);
}

TEST_F(EehTest, AFaultFreezesOnlyWhileEehIsEnabled) {
  CauseFault();
  EXPECT_EQ(State(), abi::kEehPeStateNormal);
  ASSERT_EQ(Do(abi::kEehPeEnable), 0);
  ASSERT_EQ(Do(abi::kEehPeDisable), 0);
  ASSERT_EQ(host_.Ioctl(device_, abi::kDeviceReset, uint64_t{0}), 0);
  CauseFault();
  EXPECT_EQ(State(), abi::kEehPeStateNormal);
}

TEST_F(EehTest, AFaultOfAnEnabledDeviceFreezesAndIsRecorded) {
  ASSERT_EQ(Do(abi::kEehPeEnable), 0);
  CauseFault();
  EXPECT_EQ(Faults().front().reason, ioas::soft::FaultReason::kNotMapped);
  EXPECT_EQ(State(), abi::kEehPeStateStopped);
  EXPECT_TRUE(IsFrozen());
}

TEST_F(EehTest, DmaIsAFaultOfItsOwnUntilItIsUnfrozen) {
  ASSERT_EQ(Inject(), 0);
  ASSERT_EQ(Do(abi::kEehPeUnfreezeIo), 0);
  CauseFault();
  EXPECT_EQ(Faults().back().reason, ioas::soft::FaultReason::kFrozen);
  ASSERT_EQ(host_.Ioctl(device_, abi::kDeviceReset, uint64_t{0}), 0);
  ASSERT_EQ(Do(abi::kEehPeUnfreezeDma), 0);
  CauseFault();
  EXPECT_EQ(Faults().back().reason, ioas::soft::FaultReason::kNotMapped);
}

// --- Groups, files and processes ---

TEST_F(EehTest, AnOperationIsForEveryGroupOfTheContainer) {
  AddOtherGroup();
  ASSERT_EQ(Inject(), 0);
  EXPECT_EQ(BitsOf(TestHost::kGroup), ioas::kFrozen);
  EXPECT_EQ(BitsOf(TestHost::kOtherGroup), ioas::kFrozen);
}

TEST_F(EehTest, TheStateIsTheFirstGroupsThatIsNotNormal) {
  ASSERT_EQ(Inject(), 0);
  ASSERT_EQ(Do(abi::kEehPeUnfreezeIo), 0);
  AddOtherGroup();
  EXPECT_EQ(State(), abi::kEehPeStateStoppedDma);
  // A group that joins a container with an IOMMU goes before the others.
  SetErrors(TestHost::kOtherGroup, ioas::kFrozen);
  EXPECT_EQ(State(), abi::kEehPeStateStopped);
}

TEST_F(EehTest, GroupsThatWereThereBeforeTheIommuComeInTheOrderTheyCame) {
  host_.Close(device_);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupSetContainer, &container_), 0);
  AddOtherGroup();
  ASSERT_EQ(host_.Ioctl(container_, abi::kSetIommu, uint64_t{abi::kType1v2Iommu}), 0);
  SetErrors(TestHost::kGroup, ioas::kIoFrozen);
  SetErrors(TestHost::kOtherGroup, ioas::kFrozen);
  EXPECT_EQ(State(), abi::kEehPeStateUnavail);
}

TEST_F(EehTest, ADeviceThatIsOpenedOrClosedIsNotFrozenAnyMore) {
  ASSERT_EQ(Inject(), 0);
  const int copy = host_.OpenDevice(group_, TestHost::kDevice);
  EXPECT_EQ(State(), abi::kEehPeStateStopped);
  host_.Close(copy);
  EXPECT_EQ(State(), abi::kEehPeStateStopped);
  host_.Close(device_);
  EXPECT_EQ(State(), abi::kEehPeStateNormal);
  ASSERT_EQ(Inject(), 0);
  device_ = host_.OpenDevice(group_, TestHost::kDevice);
  EXPECT_EQ(State(), abi::kEehPeStateNormal);
  EXPECT_FALSE(IsFrozen());
}

TEST_F(EehTest, AGroupLeavesItsErrorsInTheContainer) {
  host_.Close(device_);
  ASSERT_EQ(Do(abi::kEehPeEnable), 0);
  ASSERT_EQ(Inject(), 0);
  ASSERT_EQ(host_.Ioctl(group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  EXPECT_EQ(BitsOf(TestHost::kGroup), 0u);
}

TEST_F(EehTest, AForkedChildSharesThePe) {
  ASSERT_EQ(Inject(), 0);
  const pid_t child = host_.Fork();
  if (child == 0) {
    const bool found = State() == abi::kEehPeStateStopped && IsFrozen();
    const bool recovered = Do(abi::kEehPeResetHot) == 0 && Do(abi::kEehPeResetDeactivate) == 0;
    _exit(found && recovered && !IsFrozen() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(State(), abi::kEehPeStateNormal);
  EXPECT_FALSE(IsFrozen());
}

}  // namespace
}  // namespace ppc
