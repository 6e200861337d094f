#include "tools/daemon/metrics/metrics.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <optional>

#include "compat/decode/call.h"
#include "tests/support/command.h"
#include "tools/daemon/metrics/totals.h"
#include "tools/daemon/sessions/test_server.h"
#include "tools/daemon/testing/fake_program.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;
using testing::FakeModel;
using testing::FakeProgram;

// A program with 3 mappings of a page, which has made some calls.
FakeModel Busy() {
  FakeModel model = FakeModel::WithMappings(3);
  const auto map = static_cast<uint16_t>(compat::decode::CallsNamed("VFIO_IOMMU_MAP_DMA")[0].call);
  model.counters = {{map, 0, 0, 5}, {map, EINVAL, 0, 2}, {map, 4000, 0, 1}, {0xffff, ENOTTY, 0, 7}};
  return model;
}

class MetricsTest : public ::testing::Test {
 protected:
  void Serve(std::chrono::milliseconds patience = std::chrono::seconds(5)) {
    auto metrics = Metrics::Serve("127.0.0.1:0", server_.registry(), patience);
    ASSERT_TRUE(metrics.ok()) << metrics.status();
    metrics_ = *std::move(metrics);
  }

  // The value of a metric, by its name and labels; empty if there is none.
  std::string Scrape(const std::string& metric) const {
    const tests::CommandResult result =
        tests::Command({"curl", "--silent", "--show-error",
                        "http://127.0.0.1:" + std::to_string(metrics_->port()) + "/metrics"})
            .Run();
    EXPECT_EQ(result.status, 0) << result.errors;
    const size_t place = ("\n" + result.output).find("\n" + metric + " ");
    if (place == std::string::npos) return "";
    const size_t value = place + metric.size() + 1;
    return result.output.substr(value, result.output.find('\n', value) - value);
  }

  TestServer server_;
  std::unique_ptr<Metrics> metrics_;
};

TEST_F(MetricsTest, SayWhatSessionsHaveAndDo) {
  SKIP_UNLESS_INSTALLED("curl");
  Serve();
  EXPECT_EQ(Scrape("vfio_compat_sessions{backend=\"software\"}"), "0");
  FakeProgram program(1, Busy());
  program.Connect(server_.path());
  server_.Await(1);
  EXPECT_EQ(Scrape("vfio_compat_sessions{backend=\"software\"}"), "1");
  EXPECT_EQ(Scrape("vfio_compat_containers"), "1");
  EXPECT_EQ(Scrape("vfio_compat_mappings"), "3");
  EXPECT_EQ(Scrape("vfio_compat_mapped_bytes"), "12288");
  EXPECT_EQ(Scrape("vfio_compat_calls_total{call=\"VFIO_IOMMU_MAP_DMA\",errno=\"\"}"), "5");
  EXPECT_EQ(Scrape("vfio_compat_calls_total{call=\"VFIO_IOMMU_MAP_DMA\",errno=\"EINVAL\"}"), "2");
  EXPECT_EQ(Scrape("vfio_compat_calls_total{call=\"VFIO_IOMMU_MAP_DMA\",errno=\"other\"}"), "1");
  EXPECT_EQ(Scrape("vfio_compat_unknown_calls_total"), "7");
  EXPECT_EQ(Scrape("vfio_compat_sessions_missed"), "0");
}

TEST_F(MetricsTest, WhatWasCountedStaysWhenItsSessionEnds) {
  SKIP_UNLESS_INSTALLED("curl");
  Serve();
  {
    FakeProgram program(1, Busy());
    program.Connect(server_.path());
    server_.Await(1);
    EXPECT_EQ(Scrape("vfio_compat_unknown_calls_total"), "7");
  }
  server_.AwaitEvent(EventKind::kClosed, 1);
  EXPECT_EQ(Scrape("vfio_compat_mappings"), "0");
  EXPECT_EQ(Scrape("vfio_compat_unknown_calls_total"), "7");
}

TEST_F(MetricsTest, ASessionThatDoesNotAnswerIsMissed) {
  SKIP_UNLESS_INSTALLED("curl");
  Serve();
  FakeProgram silent(1, Busy());
  silent.Handle(channel::Kind::kGetCounters, [](auto&, auto) { return std::nullopt; });
  silent.Connect(server_.path());
  FakeProgram program(2, Busy());
  program.Connect(server_.path());
  server_.Await(1);
  server_.Await(2);
  EXPECT_EQ(Scrape("vfio_compat_sessions_missed"), "1");
  EXPECT_EQ(Scrape("vfio_compat_unknown_calls_total"), "7");
}

TEST_F(MetricsTest, AScrapeHasABoundInTime) {
  SKIP_UNLESS_INSTALLED("curl");
  Serve(std::chrono::milliseconds(0));
  FakeProgram program(1, Busy());
  program.Connect(server_.path());
  server_.Await(1);
  EXPECT_EQ(Scrape("vfio_compat_sessions_missed"), "1");
}

TEST_F(MetricsTest, AnAddressThatCannotBeHadIsAnError) {
  EXPECT_EQ(Metrics::Serve("nonsense:x", server_.registry()).status().code(),
            absl::StatusCode::kUnavailable);
}

TEST(TotalsTest, HistogramsAreSummedUp) {
  channel::CounterList list{};
  list.histogram[0][3] = 4;
  list.nanoseconds[0] = 2000;
  Totals totals;
  totals.Set(1, SumsOf(list, {}));
  totals.Set(2, SumsOf(list, {}));
  totals.Keep({2});
  const Sums sums = totals.Get();
  EXPECT_EQ(sums.latencies[0].counts[3], 8U);
  EXPECT_EQ(sums.latencies[0].nanoseconds, 4000U);
  EXPECT_EQ(sums.latencies[1].nanoseconds, 0U);
}

}  // namespace
}  // namespace tools::daemon
