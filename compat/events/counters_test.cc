#include "compat/events/counters.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <chrono>
#include <numeric>
#include <thread>
#include <vector>

namespace compat::events {
namespace {

constexpr auto kMap = static_cast<uint32_t>(decode::Call::kIommuMapDma);
constexpr auto kUnmap = static_cast<uint32_t>(decode::Call::kIommuUnmapDma);
constexpr auto kSetIommu = static_cast<uint32_t>(decode::Call::kSetIommu);

class CountersTest : public testing::Test {
 protected:
  CountersTest() { StartCounting(); }
  ~CountersTest() override { ForgetCounters(); }
};

TEST_F(CountersTest, CountsCallsByErrno) {
  for (int i = 0; i < 3; ++i) CountedCall(kSetIommu).End(0);
  for (int i = 0; i < 2; ++i) CountedCall(kSetIommu).End(EINVAL);
  CountedCall(kUnknownCall).End(ENOTTY);
  EXPECT_EQ(CountOf(kSetIommu, 0), 3u);
  EXPECT_EQ(CountOf(kSetIommu, EINVAL), 2u);
  EXPECT_EQ(CountOf(kSetIommu, ENOTTY), 0u);
  EXPECT_EQ(CountOf(kUnknownCall, ENOTTY), 1u);
  ForgetCounters();
  EXPECT_FALSE(IsCounting());
  EXPECT_EQ(CountOf(kSetIommu, 0), 0u);
  EXPECT_EQ(CountOf(kSetIommu, EINVAL), 0u);
}

// More threads than have a place of their own.
TEST_F(CountersTest, LosesNoneOfManyThreads) {
  constexpr int kThreads = 40;
  constexpr int kEach = 10000;
  std::vector<std::thread> threads;
  for (int id = 0; id < kThreads; ++id) {
    threads.emplace_back([] {
      for (int i = 0; i < kEach; ++i) CountedCall(kMap).End(i % 10 == 0 ? EEXIST : 0);
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(CountOf(kMap, 0), kThreads * kEach * 9u / 10);
  EXPECT_EQ(CountOf(kMap, EEXIST), kThreads * kEach / 10u);
}

TEST_F(CountersTest, TimesSomeOfTheCallsThatMapAndUnmap) {
  std::thread([] {
    for (int i = 0; i < 2560; ++i) CountedCall(kMap).End(0);
    for (int i = 0; i < 512; ++i) CountedCall(kUnmap).End(0);
    for (int i = 0; i < 128; ++i) CountedCall(kSetIommu).End(0);
  }).join();
  const Latencies read = ReadLatencies();
  EXPECT_GT(read.nanoseconds[0], 0u);
  EXPECT_GT(read.nanoseconds[1], 0u);
  EXPECT_EQ(std::accumulate(read.histogram[0], read.histogram[0] + 32, uint64_t{0}), 10u);
  EXPECT_EQ(std::accumulate(read.histogram[1], read.histogram[1] + 32, uint64_t{0}), 2u);
}

TEST_F(CountersTest, BucketsAreByTheTimeThatACallTook) {
  std::thread([] {
    const CountedCall call(kMap);
    const auto end = std::chrono::steady_clock::now() + std::chrono::microseconds(300);
    while (std::chrono::steady_clock::now() < end) continue;
    call.End(0);
  }).join();
  const Latencies read = ReadLatencies();
  ASSERT_GE(read.nanoseconds[0], 300'000u);
  EXPECT_EQ(read.nanoseconds[1], 0u);
  for (int i = 0; i < 32; ++i) {
    const bool is_its = read.nanoseconds[0] <= uint64_t{128} << i &&
                        (i == 0 || read.nanoseconds[0] > uint64_t{128} << (i - 1));
    EXPECT_EQ(read.histogram[0][i], is_its ? 1u : 0u) << i;
  }
}

}  // namespace
}  // namespace compat::events
