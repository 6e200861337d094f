#include "ppc/container_personality.h"

#include <gtest/gtest.h>

#include "ppc/spapr_fixture.h"

namespace ppc {
namespace {

namespace abi = compat::abi;
using compat::settings::ContainerTypes;
using compat::soft::TestHost;

ContainerPersonality Offering(ContainerTypes types) {
  compat::settings::Settings settings;
  settings.container = types;
  return ContainerPersonality(settings);
}

const ContainerPersonality kSpaprOnly = Offering(ContainerTypes::kSpapr);
const ContainerPersonality kEither = Offering(ContainerTypes::kBoth);

class EitherTest : public SpaprFixture {
 protected:
  EitherTest() : SpaprFixture(kEither) {
    spapr_ = host_.ContainerOfType(abi::kSpaprTceV2Iommu, spapr_group_);
    type1_ = host_.OpenContainer();
    type1_group_ = host_.OpenGroup(TestHost::kOtherGroup);
    EXPECT_EQ(SetContainer(type1_group_, type1_), 0);
  }

  int spapr_;
  int spapr_group_ = -1;
  int type1_;
  int type1_group_;
};

TEST(SpaprOnlyTest, Type1IsNotOffered) {
  TestHost host(kSpaprOnly);
  int group = -1;
  const int container = host.ContainerOfType(abi::kSpaprTceIommu, group);
  for (const uint64_t extension : {1, 3, 4, 9, 10}) {
    EXPECT_EQ(host.Ioctl(container, abi::kCheckExtension, extension), 0) << extension;
    EXPECT_EQ(kSpaprOnly.CheckExtension(extension, nullptr), 0) << extension;
  }
}

TEST_F(EitherTest, ExtensionThatIsNoTypeIsRefusedByTheDriverThatHasIt) {
  for (const uint32_t extension : {abi::kEeh, abi::kUnmapAll}) {
    EXPECT_EQ(SetIommu(type1_, extension), -EINVAL) << extension;
  }
  EXPECT_EQ(SetIommu(type1_, abi::kUpdateVaddr), -ENODEV);
}

TEST_F(EitherTest, ContainerHasTheExtensionsOfAllUntilItHasAType) {
  for (const uint64_t extension : {1, 2, 3, 5, 7, 9}) {
    EXPECT_EQ(host_.Ioctl(type1_, abi::kCheckExtension, extension), 1) << extension;
  }
  ASSERT_EQ(SetIommu(type1_, abi::kType1v2Iommu), 0);
  EXPECT_EQ(host_.Ioctl(type1_, abi::kCheckExtension, uint64_t{abi::kSpaprTceIommu}), 0);
  EXPECT_EQ(host_.Ioctl(type1_, abi::kCheckExtension, uint64_t{abi::kUnmapAll}), 1);
  EXPECT_EQ(host_.Ioctl(spapr_, abi::kCheckExtension, uint64_t{abi::kSpaprTceIommu}), 1);
  EXPECT_EQ(host_.Ioctl(spapr_, abi::kCheckExtension, uint64_t{abi::kUnmapAll}), 0);
}

TEST_F(EitherTest, DirtyTrackingEndsWithTheIommuThatHasIt) {
  ASSERT_EQ(SetIommu(type1_, abi::kType1v2Iommu), 0);
  abi::DirtyBitmap start = {sizeof(start), abi::kIommuDirtyPagesFlagStart};
  ASSERT_EQ(host_.Ioctl(type1_, abi::kIommuDirtyPages, &start), 0);
  const ioas::Arena arena = host_.host().arena();
  const compat::vfio::ContainerState& container = *arena.Get(host_.host().state().containers);
  ASSERT_EQ(container.dirty_tracking, 1);
  ASSERT_EQ(host_.Ioctl(type1_group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  EXPECT_EQ(container.dirty_tracking, 0);
  ASSERT_EQ(SetContainer(type1_group_, type1_), 0);
  EXPECT_EQ(SetIommu(type1_, abi::kSpaprTceV2Iommu), 0);
  EXPECT_EQ(container.dirty_tracking, 0);
}

// A number means what its descriptor makes of it.
TEST_F(EitherTest, NumbersOfRegistrationAndWindowsAreOtherCallsElsewhere) {
  ASSERT_EQ(SetIommu(type1_, abi::kType1v2Iommu), 0);
  const int spapr_device = host_.OpenDevice(spapr_group_, TestHost::kDevice);
  const int type1_device = host_.OpenDevice(type1_group_, TestHost::kOtherDevice);
  ASSERT_GE(spapr_device, 0);
  ASSERT_GE(type1_device, 0);
  ASSERT_EQ(Register(spapr_, memory_, kMemorySize), 0);
  for (const uint32_t number : {18, 19, 20}) {
    const uint32_t request = abi::VfioRequest(number);
    EXPECT_EQ(host_.Ioctl(spapr_, request, uint64_t{0}), -EFAULT) << number;
    EXPECT_EQ(host_.Ioctl(type1_, request, uint64_t{0}), -ENOTTY) << number;
    EXPECT_EQ(host_.Ioctl(spapr_device, request, uint64_t{0}), -ENOTTY) << number;
  }
  // BIND_IOMMUFD, which is for devices that a cdev opened, is known where type 1 is.
  EXPECT_EQ(host_.Ioctl(type1_device, abi::VfioRequest(18), uint64_t{0}), -EFAULT);
  EXPECT_EQ(Create(spapr_, 16, kGiB), 0);
  EXPECT_EQ(Remove(spapr_, start_), 0);
  EXPECT_EQ(Unregister(spapr_, memory_, kMemorySize), 0);
}

TEST_F(EitherTest, ContainersOfBothKindsMapBesideEachOther) {
  ASSERT_EQ(SetIommu(type1_, abi::kType1v2Iommu), 0);
  ASSERT_EQ(Register(spapr_, memory_, kMemorySize), 0);
  EXPECT_EQ(Map(spapr_, memory_, kPage, kPage), 0);
  EXPECT_EQ(Map(type1_, memory_, kPage, 2 * kPage), 0);
  EXPECT_EQ(Map(type1_, memory_, kPage, kPage), -EEXIST);
  EXPECT_EQ(Map(spapr_, memory_ + kPage, kPage, kPage), 0);
  EXPECT_EQ(Reach(spapr_, kPage), memory_ + kPage);
  EXPECT_EQ(Reach(type1_, kPage), memory_);
}

TEST_F(EitherTest, ContainerCanChangeItsKindOnceItsGroupsHaveLeft) {
  ASSERT_EQ(Register(spapr_, memory_, kMemorySize), 0);
  ASSERT_EQ(Map(spapr_, memory_, 0, kPage), 0);
  ASSERT_EQ(host_.Ioctl(spapr_group_, abi::kGroupUnsetContainer, uint64_t{0}), 0);
  ASSERT_EQ(SetContainer(spapr_group_, spapr_), 0);
  ASSERT_EQ(SetIommu(spapr_, abi::kType1Iommu), 0);
  EXPECT_EQ(Reach(spapr_, 0), 0u);
  EXPECT_EQ(Map(spapr_, memory_, 0, kPage), 0);
  EXPECT_EQ(Register(spapr_, memory_, kMemorySize), -EACCES) << "the number is DIRTY_PAGES now";
}

}  // namespace
}  // namespace ppc
