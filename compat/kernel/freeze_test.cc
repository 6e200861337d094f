// Groups that an error froze, with cdevs that are made up: what the kernel is told of them.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/kernel/kernel_platform.h"
#include "compat/type1/type1.h"
#include "compat/vfio/operator.h"
#include "ioas/kernel/failing_system_calls.h"

namespace compat::kernel {
namespace {

constexpr uint32_t kGroup = 0;
constexpr uint32_t kDevices = 2;
constexpr uint32_t kIoas = 77;

// Everything but the calls on cdevs goes to the kernel.
class CdevCalls final : public ioas::kernel::SystemCalls {
 public:
  std::vector<uint32_t> made;

  long Invoke(long number, const long (&arguments)[6]) override {
    if (number != SYS_ioctl) return ioas::kernel::RealSystemCalls().Invoke(number, arguments);
    const auto request = static_cast<uint32_t>(arguments[1]);
    // The hardware is not asked: kernels may be too old for it.
    if (request == abi::iommufd::kGetHwInfo) return -ENOTTY;
    made.push_back(request);
    return 0;
  }
};

class FreezeTest : public testing::Test, private vfio::Descriptors {
 protected:
  void SetUp() override {
    settings::Settings settings;
    settings.backend = settings::Backend::kKernel;
    const auto host = vfio::Host::Open(
        host_fd_, settings,
        {.personality = &type1::Type1(), .descriptors = this, .platform = &platform_});
    ASSERT_TRUE(host.ok()) << host.error().reason;
    host_ = *host;
    MakeGroup();
  }
  void TearDown() override {
    close(group_fd_);
    delete host_;
    close(host_fd_);
  }

  // A group of bound and attached devices in a container with an IOMMU.
  void MakeGroup() {
    ioas::Arena arena = host_->arena();
    const auto container = arena.New<vfio::ContainerState>();
    ASSERT_TRUE(container.ok());
    arena.Get(*container)->type = decode::ContainerType::kSpaprV2;
    arena.Get(*container)->ioas = kIoas;
    vfio::HostState& state = host_->state();
    state.group_count = 1;
    state.groups[kGroup] = {.number = 7,
                            .slot = kSlot,
                            .device_opens = 0,
                            .container = *container,
                            .context = 0,
                            .turn = 0};
    GroupContents contents(calls_);
    ASSERT_TRUE(contents.AddBound(kContainerEntry, dup(host_fd_)).ok());
    for (uint32_t i = 0; i < kDevices; ++i) {
      const auto device = arena.New<vfio::KernelDevice>();
      ASSERT_TRUE(device.ok());
      state.devices[state.device_count++] = {.soft = {},
                                             .kernel = *device,
                                             .group = kGroup,
                                             .opens = 0,
                                             .bound_slot = 0,
                                             .context = 0,
                                             .device_object = 0};
      ASSERT_TRUE(contents.AddBound(i, dup(host_fd_)).ok());
    }
    const auto made = contents.Make(host_fd_, 0, kSlot, /*close_on_exec=*/true);
    ASSERT_TRUE(made.ok());
    group_fd_ = *made;
  }

  ioas::Status Change(uint32_t set, uint32_t cleared) {
    const vfio::Host::Lock lock(*host_);
    return host_->ChangeErrors(kGroup, set, cleared);
  }
  // The calls on cdevs since the last time.
  std::vector<uint32_t> TakeCalls() { return std::exchange(cdevs_.made, {}); }
  uint32_t bits() { return platform_.ErrorsOf(kGroup).bits; }

  static constexpr uint32_t kSlot = 1;
  const std::vector<uint32_t> detached_ = {abi::kDeviceDetachIommufdPt,
                                           abi::kDeviceDetachIommufdPt};
  const std::vector<uint32_t> attached_ = {abi::kDeviceAttachIommufdPt,
                                           abi::kDeviceAttachIommufdPt};
  CdevCalls cdevs_;
  ioas::kernel::FailingSystemCalls calls_{cdevs_};
  KernelPlatform platform_{calls_};
  vfio::Host* host_ = nullptr;
  int host_fd_ = memfd_create("host", MFD_CLOEXEC);
  int group_fd_ = -1;
  bool has_group_ = true;

 private:
  ioas::Result<uint32_t> SlotOf(int /*fd*/) override { return 0U; }
  int DescriptorOf(uint32_t slot) override { return has_group_ && slot == kSlot ? group_fd_ : -1; }
  void OnNew(int /*fd*/, uint32_t /*slot*/) override {}
};

TEST_F(FreezeTest, FrozenDmaIsDetachedAndThawedDmaAttachedAgain) {
  ASSERT_TRUE(Change(ioas::kFrozen, 0).ok());
  EXPECT_EQ(TakeCalls(), detached_);
  ASSERT_TRUE(Change(0, ioas::kIoFrozen).ok());
  EXPECT_TRUE(TakeCalls().empty());
  ASSERT_TRUE(Change(ioas::kFrozen, 0).ok());
  EXPECT_TRUE(TakeCalls().empty());
  ASSERT_TRUE(Change(0, ioas::kFrozen).ok());
  EXPECT_EQ(TakeCalls(), attached_);
}

TEST_F(FreezeTest, ADeviceThatCannotBeDetachedLeavesAllAttached) {
  calls_.Fail(2, EBUSY, {.number = SYS_ioctl, .request = abi::kDeviceDetachIommufdPt});
  EXPECT_EQ(Change(ioas::kFrozen, 0).error().code, EIO);
  EXPECT_EQ(bits(), 0u);
  EXPECT_EQ(TakeCalls(),
            (std::vector<uint32_t>{abi::kDeviceDetachIommufdPt, abi::kDeviceAttachIommufdPt}));
  calls_.FailNone();
  ASSERT_TRUE(Change(ioas::kFrozen, 0).ok());
  EXPECT_EQ(TakeCalls(), detached_);
}

TEST_F(FreezeTest, ADeviceThatCannotBeAttachedLeavesAllFrozen) {
  ASSERT_TRUE(Change(ioas::kFrozen | ioas::kFreezesOnFault, 0).ok());
  calls_.Fail(2, ENOMEM, {.number = SYS_ioctl, .request = abi::kDeviceAttachIommufdPt});
  EXPECT_EQ(Change(0, ioas::kFrozen).error().code, EIO);
  EXPECT_EQ(bits(), ioas::kFrozen | ioas::kFreezesOnFault);
  TakeCalls();
  calls_.FailNone();
  ASSERT_TRUE(Change(0, ioas::kFrozen).ok());
  EXPECT_EQ(TakeCalls(), attached_);
}

TEST_F(FreezeTest, AProcessWithoutTheGroupCannotFreezeIt) {
  has_group_ = false;
  EXPECT_EQ(Change(ioas::kFrozen, 0).error().code, EIO);
  EXPECT_EQ(platform_.ResetGroup(kGroup).error().code, EIO);
  EXPECT_EQ(bits(), 0u);
}

TEST_F(FreezeTest, AGroupWithoutAContainerIsFrozenWithoutTheKernel) {
  host_->state().groups[kGroup].container = {};
  has_group_ = false;
  EXPECT_TRUE(Change(ioas::kFrozen, 0).ok());
  EXPECT_TRUE(TakeCalls().empty());
}

TEST_F(FreezeTest, AResetIsEveryDevices) {
  ASSERT_TRUE(platform_.ResetGroup(kGroup).ok());
  EXPECT_EQ(TakeCalls(), (std::vector<uint32_t>{abi::kDeviceReset, abi::kDeviceReset}));
  calls_.Fail(2, ENOTTY, {.number = SYS_ioctl, .request = abi::kDeviceReset});
  EXPECT_EQ(platform_.ResetGroup(kGroup).error().code, EIO);
}

TEST_F(FreezeTest, WhatAnOperatorFrozeStaysDetachedWhateverBecomesOfErrors) {
  const vfio::Host::Lock lock(*host_);
  vfio::Operator actor(*host_, /*dry_run=*/false);
  ASSERT_TRUE(actor.FreezeGroup(kGroup).ok());
  EXPECT_EQ(TakeCalls(), detached_);
  ASSERT_TRUE(host_->ChangeErrors(kGroup, ioas::kFrozen, 0).ok());
  ASSERT_TRUE(host_->ChangeErrors(kGroup, 0, ioas::kFrozen).ok());
  EXPECT_TRUE(TakeCalls().empty());
  ASSERT_TRUE(actor.ThawGroup(kGroup).ok());
  EXPECT_EQ(TakeCalls(), attached_);
}

TEST_F(FreezeTest, AnOperatorsFreezeThatFailsFreezesNothing) {
  const vfio::Host::Lock lock(*host_);
  calls_.Fail(2, EBUSY, {.number = SYS_ioctl, .request = abi::kDeviceDetachIommufdPt});
  vfio::Operator actor(*host_, /*dry_run=*/false);
  EXPECT_EQ(actor.FreezeGroup(kGroup).error().code, EIO);
  EXPECT_EQ(bits(), 0u);
}

TEST_F(FreezeTest, ADryRunTellsThatTheGroupIsOutOfReach) {
  const vfio::Host::Lock lock(*host_);
  vfio::Operator actor(*host_, /*dry_run=*/true);
  EXPECT_TRUE(actor.FreezeGroup(kGroup).ok());
  has_group_ = false;
  EXPECT_EQ(actor.FreezeGroup(kGroup).error().code, EIO);
  EXPECT_TRUE(TakeCalls().empty());
  EXPECT_EQ(bits(), 0u);
}

}  // namespace
}  // namespace compat::kernel
