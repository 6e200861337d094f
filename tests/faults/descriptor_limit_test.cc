// The process's table of descriptors is full, but for N.
#include <gtest/gtest.h>

#include "compat/abi/vfio_numbers.h"
#include "tests/faults/call_sequence.h"
#include "tests/faults/host_picture.h"
#include "tests/faults/resource_limit.h"

namespace {

class FullTable final : public tests::Fault {
 public:
  void Arm(uint64_t nth) override { limit_.Lower(tests::DescriptorLimitLeaving(nth - 1)); }
  void Disarm() override { limit_.Raise(); }

 private:
  tests::ResourceLimit limit_{RLIMIT_NOFILE};
};

class DescriptorLimitTest : public testing::TestWithParam<uint32_t> {
 protected:
  tests::FaultyHost faulty_;
  FullTable full_;
};

TEST_P(DescriptorLimitTest, CallsThatOpenFilesAreEmfileAndChangeNothing) {
  const std::string before = tests::PictureOf(faulty_.host());
  // A container, a group, and a device with its thread's eventfd.
  EXPECT_GE(faulty_.Run(faulty_.Opening(GetParam()), full_, EMFILE), 4u);
  EXPECT_EQ(faulty_.Run(faulty_.Closing(), full_, EMFILE), 0u);
  EXPECT_EQ(tests::Difference(before, tests::PictureOf(faulty_.host())), "");
}

TEST_P(DescriptorLimitTest, OtherCallsNeedNoDescriptor) {
  const bool is_type1 = GetParam() == compat::abi::kType1v2Iommu;
  const std::vector<tests::Step> life = is_type1 ? faulty_.Type1Life() : faulty_.SpaprLife();
  const std::vector<tests::Step> opening = faulty_.Opening(GetParam());
  const uint64_t failures = faulty_.Run(life, full_, EMFILE);
  EXPECT_EQ(failures, faulty_.Run(opening, full_, EMFILE));
  EXPECT_EQ(faulty_.Run(faulty_.Closing(), full_, EMFILE), 0u);
}

INSTANTIATE_TEST_SUITE_P(Containers, DescriptorLimitTest,
                         testing::Values(compat::abi::kType1v2Iommu,
                                         compat::abi::kSpaprTceV2Iommu));

}  // namespace
