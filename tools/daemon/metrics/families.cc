#include "tools/daemon/metrics/families.h"

#include <limits>
#include <string>
#include <utility>

namespace tools::daemon {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr double kFirstBound = 128e-9;

ClientMetric Gauge(uint64_t value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.gauge.value = static_cast<double>(value);
  return metric;
}

ClientMetric Counter(uint64_t value, std::vector<ClientMetric::Label> labels = {}) {
  ClientMetric metric;
  metric.label = std::move(labels);
  metric.counter.value = static_cast<double>(value);
  return metric;
}

MetricFamily CallsFamily(const Sums& sums) {
  MetricFamily family{"vfio_compat_calls_total",
                      "Legacy calls by name and errno, empty for success.",
                      MetricType::Counter,
                      {}};
  for (const auto& [labels, count] : sums.calls) {
    family.metric.push_back(Counter(count, {{"call", labels.first}, {"errno", labels.second}}));
  }
  return family;
}

ClientMetric Histogram(const LatencyHistogram& latency, const char* call) {
  ClientMetric metric;
  metric.label = {{"call", call}};
  uint64_t count = 0;
  double bound = kFirstBound;
  for (size_t i = 0; i < LatencyHistogram::kBuckets; ++i, bound *= 2) {
    count += latency.counts[i];
    const bool is_last = i + 1 == LatencyHistogram::kBuckets;
    metric.histogram.bucket.push_back(
        {count, is_last ? std::numeric_limits<double>::infinity() : bound});
  }
  metric.histogram.sample_count = count;
  metric.histogram.sample_sum = static_cast<double>(latency.nanoseconds) * 1e-9;
  return metric;
}

}  // namespace

std::vector<MetricFamily> FamiliesOf(const Snapshot& snapshot) {
  const Sums& sums = snapshot.sums;
  return {
      {"vfio_compat_sessions",
       "Processes that run under the library.",
       MetricType::Gauge,
       {Gauge(snapshot.sessions[0], {{"backend", "software"}}),
        Gauge(snapshot.sessions[1], {{"backend", "kernel"}})}},
      {"vfio_compat_sessions_missed",
       "Sessions that did not answer this scrape.",
       MetricType::Gauge,
       {Gauge(snapshot.missed)}},
      {"vfio_compat_containers",
       "Containers that are open.",
       MetricType::Gauge,
       {Gauge(snapshot.containers)}},
      {"vfio_compat_mappings", "Live mappings.", MetricType::Gauge, {Gauge(snapshot.mappings)}},
      {"vfio_compat_mapped_bytes",
       "Bytes that are mapped, and pinned where the kernel carries it out.",
       MetricType::Gauge,
       {Gauge(snapshot.mapped_bytes)}},
      CallsFamily(sums),
      {"vfio_compat_unknown_calls_total",
       "Calls that the library does not know.",
       MetricType::Counter,
       {Counter(sums.unknown_calls)}},
      {"vfio_compat_faults_total",
       "DMA of emulated devices that failed.",
       MetricType::Counter,
       {Counter(sums.faults)}},
      {"vfio_compat_map_seconds",
       "What a sample of the calls took.",
       MetricType::Histogram,
       {Histogram(sums.latencies[0], "VFIO_IOMMU_MAP_DMA"),
        Histogram(sums.latencies[1], "VFIO_IOMMU_UNMAP_DMA")}},
  };
}

}  // namespace tools::daemon
