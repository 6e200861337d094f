// Page tables of the program's own, driven as a program would.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstring>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/native/context.h"
#include "compat/native/native_fixture.h"

namespace compat::native {
namespace {

class NestedTest : public ParentFixture {
 protected:
  long NewFirstStage(uint32_t& id, uint64_t flags = 0, uint32_t width = 48) {
    const iommufd::HwptVtdS1 stage = {flags, 0, width, 0};
    return NewNested(device_, parent_, iommufd::kHwptDataVtdS1, stage, id);
  }
  template <typename Entry>
  long Invalidate(uint32_t id, uint32_t type, std::vector<Entry> entries, uint32_t& done) {
    iommufd::HwptInvalidate command = {};
    command.hwpt_id = id;
    command.data_uptr = reinterpret_cast<uint64_t>(entries.data());
    command.data_type = type;
    command.entry_len = sizeof(Entry);
    command.entry_num = static_cast<uint32_t>(entries.size());
    const long result = Call(iommufd::kHwptInvalidate, command);
    done = command.entry_num;
    return result;
  }
};

TEST_F(NestedTest, APageTableLiesOnAParentThatItKeeps) {
  uint32_t nested = 0;
  ASSERT_EQ(NewFirstStage(nested), 0);
  EXPECT_EQ(Destroy(parent_), -EBUSY);
  uint32_t table = nested;
  ASSERT_EQ(Attach(cdev_, table), 0);
  EXPECT_EQ(table, nested);
  EXPECT_EQ(Destroy(nested), -EBUSY);
  // What the IOMMU keeps for interrupts is the address space's affair.
  EXPECT_EQ(Usable(ioas_).size(), 2u);
  EXPECT_EQ(Map(ioas_, 0xfee00000, kPage), -EINVAL);
  table = parent_;
  ASSERT_EQ(Attach(cdev_, table), 0);
  EXPECT_EQ(Destroy(nested), 0);
  table = ioas_;
  ASSERT_EQ(Attach(cdev_, table), 0);
  EXPECT_EQ(Destroy(parent_), 0);
}

TEST_F(NestedTest, WhatIsNoParentIsRefused) {
  uint32_t plain = 0;
  uint32_t id = 0;
  ASSERT_EQ(NewHwpt(device_, ioas_, 0, plain), 0);
  const iommufd::HwptVtdS1 stage = {0, 0, 48, 0};
  EXPECT_EQ(NewNested(device_, plain, iommufd::kHwptDataVtdS1, stage, id), -EINVAL);
  EXPECT_EQ(NewNested(device_, device_, iommufd::kHwptDataVtdS1, stage, id), -EINVAL);
  EXPECT_EQ(NewNested(device_, 99, iommufd::kHwptDataVtdS1, stage, id), -EINVAL);
  EXPECT_EQ(NewNested(device_, ioas_, iommufd::kHwptDataVtdS1, stage, id), -EOPNOTSUPP);
  EXPECT_EQ(NewNested(device_, parent_, 77, stage, id), -EOPNOTSUPP);
  EXPECT_EQ(NewNested(device_, parent_, iommufd::kHwptDataVtdS1, uint64_t{0}, id), -EINVAL);
  EXPECT_EQ(NewHwpt(device_, parent_, 0, id), -EOPNOTSUPP);
  ASSERT_EQ(NewFirstStage(id), 0);
  EXPECT_EQ(NewNested(device_, id, iommufd::kHwptDataVtdS1, stage, id), -EINVAL);
}

// As the kernel has it: the page table is there, and devices cannot be attached.
TEST_F(NestedTest, WhatTheIommuLacksIsRefusedWhenADeviceComes) {
  const auto attach = [this](uint64_t flags, uint32_t width) {
    uint32_t id = 0;
    EXPECT_EQ(NewFirstStage(id, flags, width), 0);
    const long result = Attach(cdev_, id);
    if (result == 0) {
      EXPECT_EQ(Detach(cdev_), 0);
    }
    EXPECT_EQ(Destroy(id), 0);
    return result;
  };
  EXPECT_EQ(attach(0, 48), 0);
  EXPECT_EQ(attach(0, 57), 0);
  EXPECT_EQ(attach(iommufd::kVtdS1Wpe, 48), 0);
  EXPECT_EQ(attach(iommufd::kVtdS1Sre, 48), -EINVAL);
  EXPECT_EQ(attach(iommufd::kVtdS1Eafe, 48), -EINVAL);
  EXPECT_EQ(attach(0, 39), -EINVAL);
  EXPECT_EQ(Usable(ioas_).size(), 1u);
}

TEST_F(NestedTest, InvalidationsAreCountedUpToTheFirstWrongOne) {
  uint32_t id = 0;
  uint32_t done = 0;
  ASSERT_EQ(NewFirstStage(id), 0);
  using Entry = iommufd::HwptVtdS1Invalidate;
  const Entry right = {0x1000, 1, iommufd::kVtdInvFlagsLeaf, 0};
  const Entry all = {0, UINT64_MAX, 0, 0};
  EXPECT_EQ(Invalidate<Entry>(id, 0, {right, all}, done), 0);
  EXPECT_EQ(done, 2u);
  EXPECT_EQ(Invalidate<Entry>(id, 0, {right, {0x1000, 1, 2, 0}, right}, done), -EOPNOTSUPP);
  EXPECT_EQ(done, 1u);
  EXPECT_EQ(Invalidate<Entry>(id, 0, {right, right, {0x1000, UINT64_MAX, 0, 0}}, done), -EINVAL);
  EXPECT_EQ(done, 2u);
  EXPECT_EQ(Invalidate<Entry>(id, 0, {{0x1001, 1, 0, 0}}, done), -EINVAL);
  EXPECT_EQ(Invalidate<Entry>(id, 1, {right}, done), -EINVAL);
  EXPECT_EQ(Invalidate<Entry>(id, 1, {}, done), -EINVAL);
  EXPECT_EQ(Invalidate<Entry>(id, 0, {}, done), 0);
  EXPECT_EQ(Invalidate<Entry>(parent_, 0, {right}, done), -ENOENT);
  EXPECT_EQ(Invalidate<uint64_t>(id, 0, {1}, done), -EINVAL);
  EXPECT_EQ(done, 0u);
}

TEST_F(NestedTest, AWindowOfTcesNeitherWrapsNorIsMisaligned) {
  const iommufd::HwptSoftTce right = {.table = kPage,
                                      .window_start = uint64_t{1} << 59,
                                      .entries = 512,
                                      .page_shift = 16,
                                      .levels = 1,
                                      .flags = 0,
                                      .reserved = 0};
  const auto make = [this](const iommufd::HwptSoftTce& tces) {
    uint32_t id = 0;
    const long result = NewNested(device_, parent_, iommufd::kHwptDataSoftTce, tces, id);
    if (result == 0) {
      EXPECT_EQ(Destroy(id), 0);
    }
    return result;
  };
  EXPECT_EQ(make(right), 0);
  iommufd::HwptSoftTce wrong = right;
  wrong.levels = 2;
  EXPECT_EQ(make(wrong), -EOPNOTSUPP);
  wrong = right;
  wrong.table = 8;
  EXPECT_EQ(make(wrong), -EINVAL);
  wrong.table = UINT64_MAX & -kPage;
  EXPECT_EQ(make(wrong), 0);
  wrong.entries = 513;
  EXPECT_EQ(make(wrong), -EINVAL);
  wrong = right;
  wrong.window_start = UINT64_MAX & -(kPage << 4);
  EXPECT_EQ(make(wrong), -EINVAL);
  wrong.entries = 1;
  EXPECT_EQ(make(wrong), 0);
  wrong.entries = 0;
  EXPECT_EQ(make(wrong), -EINVAL);
  wrong = right;
  wrong.page_shift = 64;
  EXPECT_EQ(make(wrong), -EINVAL);
}

TEST_F(NestedTest, TheLastUserFreesEverything) {
  host_.Close(cdev_);
  host_.Close(iommufd_);
  const size_t before = BytesInUse();
  iommufd_ = host_.OpenIommufd();
  BeginParent();
  uint32_t nested = 0;
  ASSERT_EQ(NewFirstStage(nested), 0);
  ASSERT_EQ(Attach(cdev_, nested), 0);
  host_.Close(iommufd_);
  host_.Close(cdev_);
  EXPECT_EQ(BytesInUse(), before);
}

TEST_F(NestedTest, TheIommuSaysWhatItIs) {
  struct {
    iommufd::HwInfoVtd info;
    uint64_t behind;
  } data = {{}, 1};
  iommufd::HwInfo command = {};
  command.dev_id = device_;
  command.data_len = sizeof(data);
  command.data_uptr = reinterpret_cast<uint64_t>(&data);
  ASSERT_EQ(Call(iommufd::kGetHwInfo, command), 0);
  EXPECT_EQ(command.out_data_type, iommufd::kHwInfoTypeIntelVtd);
  EXPECT_EQ(command.data_len, sizeof(data.info));
  EXPECT_EQ(data.behind, 0u);
  // First stage and nesting, five levels and pages of 1 GiB; neither SRS nor EAFS.
  EXPECT_EQ(data.info.ecap_reg >> 26 & 1, 1u);
  EXPECT_EQ(data.info.ecap_reg >> 47 & 1, 1u);
  EXPECT_EQ(data.info.ecap_reg >> 31 & 1, 0u);
  EXPECT_EQ(data.info.ecap_reg >> 34 & 1, 0u);
  EXPECT_EQ(data.info.cap_reg >> 56 & 1, 1u);
  EXPECT_EQ(data.info.cap_reg >> 60 & 1, 1u);
  command.data_len = 4;
  data.info.cap_reg = 77;
  ASSERT_EQ(Call(iommufd::kGetHwInfo, command), 0);
  EXPECT_EQ(command.data_len, sizeof(data.info));
  EXPECT_EQ(data.info.cap_reg, 77u);
}

}  // namespace
}  // namespace compat::native
