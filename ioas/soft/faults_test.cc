#include "ioas/soft/faults.h"

#include <thread>
#include <vector>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

class FaultLogTest : public testing::Test {
 protected:
  FaultLogTest() { log_.Initialize(); }

  void Record(uint64_t iova) {
    log_.Record({iova, 0x28, kAccessWrite, FaultReason::kNotMapped, 1});
  }

  FaultLogState state_ = {};
  FaultLog log_{&state_};
};

TEST_F(FaultLogTest, ARecordTellsWhatHappened) {
  log_.Record({0x1234, 0x28, kAccessRead, FaultReason::kPermission, 1});
  FaultRecord records[2];
  ASSERT_EQ(log_.Copy(records), 1u);
  EXPECT_EQ(records[0].iova, 0x1234u);
  EXPECT_EQ(records[0].device, 0x28u);
  EXPECT_EQ(records[0].direction, kAccessRead);
  EXPECT_EQ(records[0].reason, FaultReason::kPermission);
  EXPECT_EQ(records[0].count, 1u);
}

TEST_F(FaultLogTest, TheSameFaultIsCountedNotRepeated) {
  for (int i = 0; i < 1000; ++i) Record(0x1000);
  Record(0x2000);
  FaultRecord records[4];
  ASSERT_EQ(log_.Copy(records), 2u);
  EXPECT_EQ(records[0].count, 1000u);
  EXPECT_EQ(records[1].count, 1u);
  EXPECT_EQ(log_.total(), 1001u);
}

TEST_F(FaultLogTest, TheOldestRecordsMakeRoom) {
  for (uint64_t i = 0; i < 3 * kFaultRecords + 5; ++i) Record(i);
  FaultRecord records[2 * kFaultRecords];
  ASSERT_EQ(log_.Copy(records), kFaultRecords);
  EXPECT_EQ(records[0].iova, 2 * kFaultRecords + 5);
  EXPECT_EQ(records[kFaultRecords - 1].iova, 3 * kFaultRecords + 4);
  EXPECT_EQ(log_.total(), 3 * kFaultRecords + 5);
}

TEST_F(FaultLogTest, CopyTakesAsManyAsFit) {
  for (uint64_t i = 0; i < 10; ++i) Record(i);
  FaultRecord records[4];
  ASSERT_EQ(log_.Copy(records), 4u);
  EXPECT_EQ(records[3].iova, 3u);
}

TEST_F(FaultLogTest, ThreadsLoseNothing) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([this, t] {
      for (int i = 0; i < 1000; ++i) Record(static_cast<uint64_t>(t));
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(log_.total(), 4000u);
}

TEST_F(FaultLogTest, EveryReasonHasADescription) {
  for (uint32_t reason = 0; reason <= static_cast<uint32_t>(FaultReason::kBlocked); ++reason) {
    EXPECT_STRNE(Describe(static_cast<FaultReason>(reason)), "unknown");
  }
}

}  // namespace
}  // namespace ioas::soft
