// Metrics as Prometheus has them.
#ifndef TOOLS_DAEMON_METRICS_FAMILIES_H_
#define TOOLS_DAEMON_METRICS_FAMILIES_H_

#include <prometheus/metric_family.h>

#include <array>
#include <cstdint>
#include <vector>

#include "tools/daemon/metrics/totals.h"

namespace tools::daemon {

// What there is at one time.
struct Snapshot {
  std::array<uint64_t, 2> sessions{};  // on the software host, on the kernel's IOMMU
  uint64_t containers = 0;
  uint64_t mappings = 0;
  uint64_t mapped_bytes = 0;
  uint64_t missed = 0;  // sessions that were not asked, or did not answer
  Sums sums;
};

std::vector<prometheus::MetricFamily> FamiliesOf(const Snapshot& snapshot);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_METRICS_FAMILIES_H_
