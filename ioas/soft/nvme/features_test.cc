#include "ioas/soft/nvme/features.h"

#include <gtest/gtest.h>

#include <cstring>

#include "ioas/soft/nvme/test_support.h"

namespace ioas::soft::nvme {
namespace {

class FeaturesTest : public NvmeFixture {
 protected:
  FeaturesTest() { Enable(); }

  Reply Get(Feature feature, uint32_t cdw11 = 0, uint32_t select = 0) {
    return Do(
        0, Admin(AdminOpcode::kGetFeatures, static_cast<uint32_t>(feature) | select << 8, cdw11));
  }
  Reply Set(Feature feature, uint32_t cdw11) {
    return Do(0, Admin(AdminOpcode::kSetFeatures, static_cast<uint32_t>(feature), cdw11));
  }
};

TEST_F(FeaturesTest, NumberOfQueuesIsSettledBeforeTheyAreMade) {
  EXPECT_EQ(Get(Feature::kNumberOfQueues).result, 0x003f003fU);
  EXPECT_EQ(Set(Feature::kNumberOfQueues, 0x00000000).result, 0x003f003fU);
  EXPECT_EQ(Set(Feature::kNumberOfQueues, 0xffff0000).status, CommandStatus::kInvalidField);
  MakeQueues(1, 8);
  EXPECT_EQ(Set(Feature::kNumberOfQueues, 0).status, CommandStatus::kCommandSequenceError);
}

TEST_F(FeaturesTest, FeaturesKeepWhatIsSetUntilTheControllerIsReset) {
  const struct {
    Feature feature;
    uint32_t cdw11;
    uint32_t expected;
  } rows[] = {
      {Feature::kArbitration, 0x01020304, 0x01020304},
      {Feature::kPowerManagement, 0, 0},
      {Feature::kVolatileWriteCache, 0, 0},
      {Feature::kInterruptCoalescing, 0xabcd1234, 0x1234},
      {Feature::kWriteAtomicity, 1, 1},
      {Feature::kAsyncEventConfiguration, 0x05, 0x05},
      {Feature::kInterruptVectorConfiguration, 1 << 16, 1 << 16},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(Set(row.feature, row.cdw11).status, CommandStatus::kSuccess);
    EXPECT_EQ(Get(row.feature).result, row.expected);
  }
  registers().Store(kRegisterCc, 0);
  Run();
  Enable();
  EXPECT_EQ(Get(Feature::kVolatileWriteCache).result, 1U);
  EXPECT_EQ(Get(Feature::kArbitration).result, 7U);
}

TEST_F(FeaturesTest, FeaturesTellDefaultsAndCapabilities) {
  Set(Feature::kVolatileWriteCache, 0);
  EXPECT_EQ(Get(Feature::kVolatileWriteCache, 0, 1).result, 1U);
  EXPECT_EQ(Get(Feature::kVolatileWriteCache, 0, 2).result, 1U);
  EXPECT_EQ(Get(Feature::kVolatileWriteCache, 0, 3).result, 4U);
  EXPECT_EQ(Get(Feature::kErrorRecovery, 0, 3).result, 6U);
  EXPECT_EQ(Get(Feature::kVolatileWriteCache, 0, 4).status, CommandStatus::kInvalidField);
}

TEST_F(FeaturesTest, FeaturesThatCannotBeSetSoAreRefused) {
  EXPECT_EQ(Set(static_cast<Feature>(0x7f), 0).status, CommandStatus::kInvalidField);
  EXPECT_EQ(Get(static_cast<Feature>(0x0d)).status, CommandStatus::kInvalidField);
  EXPECT_EQ(Set(Feature::kPowerManagement, 1).status, CommandStatus::kInvalidField);
  EXPECT_EQ(Set(Feature::kTemperatureThreshold, 3 << 16).status, CommandStatus::kInvalidField);
  EXPECT_EQ(Get(Feature::kTemperatureThreshold, 3 << 20).status, CommandStatus::kInvalidField);
  EXPECT_EQ(Set(Feature::kInterruptVectorConfiguration, 65).status, CommandStatus::kInvalidField);
  EXPECT_EQ(Get(Feature::kInterruptVectorConfiguration, 65).status, CommandStatus::kInvalidField);
  const auto error_recovery = static_cast<uint32_t>(Feature::kErrorRecovery);
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kSetFeatures, error_recovery, 0, 0, 5)),
            CommandStatus::kInvalidNamespaceOrFormat);
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kSetFeatures, error_recovery, 1 << 16, 0, 1)),
            CommandStatus::kInvalidField);
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kSetFeatures, error_recovery, 9, 0, 1)),
            CommandStatus::kSuccess);
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kSetFeatures, 1U << 31 | 1, 0)),
            CommandStatus::kFeatureNotSaveable);
}

TEST_F(FeaturesTest, WriteCacheMayBeSetWithTheNamespacesId) {
  const auto cache = static_cast<uint32_t>(Feature::kVolatileWriteCache);
  EXPECT_EQ(StatusOf(0, Admin(AdminOpcode::kSetFeatures, cache, 0, 0, kNamespaceId)),
            CommandStatus::kSuccess);
  EXPECT_EQ(Get(Feature::kVolatileWriteCache).result, 0U);
}

TEST_F(FeaturesTest, TimestampGoesOnFromWhatWasSet) {
  constexpr uint64_t kSet = 0x0000'0123'4567'89ab;
  Data<uint64_t>() = kSet;
  EXPECT_EQ(Set(Feature::kTimestamp, 0).status, CommandStatus::kSuccess);
  Data<uint64_t>() = 0;
  EXPECT_EQ(Get(Feature::kTimestamp).status, CommandStatus::kSuccess);
  const auto timestamp = Data<uint64_t>();
  EXPECT_EQ(timestamp >> 48, 2U);  // set by the host
  EXPECT_GE(timestamp & 0xffffffffffff, kSet);
  EXPECT_LT(timestamp & 0xffffffffffff, kSet + 10000);
}

TEST_F(FeaturesTest, HostIdentifierIsKeptInBothSizes) {
  memory_.Fill(kData, 16, 5);
  EXPECT_EQ(Set(Feature::kHostIdentifier, 1).status, CommandStatus::kSuccess);
  std::memset(memory_.At(kData), 0, 32);
  EXPECT_EQ(Get(Feature::kHostIdentifier, 1).status, CommandStatus::kSuccess);
  EXPECT_TRUE(memory_.Holds(kData, 16, 5));
  std::memset(memory_.At(kData), 0, 32);
  EXPECT_EQ(Get(Feature::kHostIdentifier, 0).status, CommandStatus::kSuccess);
  EXPECT_TRUE(memory_.Holds(kData, 8, 5));
  EXPECT_EQ(*memory_.At(kData + 8), std::byte{0});
}

}  // namespace
}  // namespace ioas::soft::nvme
