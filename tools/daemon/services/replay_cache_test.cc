#include "tools/daemon/services/replay_cache.h"

#include <gtest/gtest.h>

#include <chrono>

namespace tools::daemon {
namespace {

using Clock = ReplayCache::Clock;
using Found = ReplayCache::Found;

TEST(ReplayCacheTest, ACallThatSucceededIsNotMadeAgain) {
  ReplayCache cache;
  EXPECT_EQ(cache.Begin("root", "1", "freeze")->found, Found::kNothing);
  cache.Succeed("root", "1", "frozen");
  const auto again = cache.Begin("root", "1", "freeze");
  ASSERT_TRUE(again.ok());
  EXPECT_EQ(again->found, Found::kAnswer);
  EXPECT_EQ(again->answer, "frozen");
}

TEST(ReplayCacheTest, ACallThatFailedMayBeMadeAgain) {
  ReplayCache cache;
  cache.Begin("root", "1", "freeze").IgnoreError();
  cache.Fail("root", "1");
  EXPECT_EQ(cache.Begin("root", "1", "freeze")->found, Found::kNothing);
}

TEST(ReplayCacheTest, ACallThatStillRunsIsNotMadeTwice) {
  ReplayCache cache;
  cache.Begin("root", "1", "freeze").IgnoreError();
  EXPECT_EQ(cache.Begin("root", "1", "freeze").status().code(), absl::StatusCode::kAborted);
}

TEST(ReplayCacheTest, AnIdIsForOneRequest) {
  ReplayCache cache;
  cache.Begin("root", "1", "freeze").IgnoreError();
  cache.Succeed("root", "1", "frozen");
  EXPECT_EQ(cache.Begin("root", "1", "thaw").status().code(), absl::StatusCode::kInvalidArgument);
}

TEST(ReplayCacheTest, CallersHaveIdsOfTheirOwn) {
  ReplayCache cache;
  cache.Begin("root", "1", "freeze").IgnoreError();
  EXPECT_EQ(cache.Begin("uid 1000", "1", "thaw")->found, Found::kNothing);
}

TEST(ReplayCacheTest, AnswersAreForgottenAfterTenMinutes) {
  ReplayCache cache;
  const Clock::time_point now = Clock::now();
  cache.Begin("root", "1", "freeze", now).IgnoreError();
  cache.Succeed("root", "1", "frozen");
  using std::chrono::seconds;
  EXPECT_EQ(cache.Begin("root", "1", "freeze", now + seconds(599))->found, Found::kAnswer);
  EXPECT_EQ(cache.Begin("root", "1", "freeze", now + seconds(600))->found, Found::kNothing);
}

TEST(ReplayCacheTest, TheOldestAnswersMakeRoom) {
  ReplayCache cache(2);
  for (const char* id : {"1", "2", "3"}) {
    cache.Begin("root", id, "freeze").IgnoreError();
    cache.Succeed("root", id, "frozen");
  }
  EXPECT_EQ(cache.Begin("root", "3", "freeze")->found, Found::kAnswer);
  EXPECT_EQ(cache.Begin("root", "1", "freeze")->found, Found::kNothing);
}

}  // namespace
}  // namespace tools::daemon
