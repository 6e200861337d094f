// What sessions count, summed up so that it never goes down: what sessions counted that have ended
// stays.
#ifndef TOOLS_DAEMON_METRICS_TOTALS_H_
#define TOOLS_DAEMON_METRICS_TOTALS_H_

#include <array>
#include <cstdint>
#include <map>
#include <set>
#include <span>
#include <string>
#include <utility>

#include "compat/session/channel.h"

namespace tools::daemon {

// Of MAP_DMA or UNMAP_DMA.
struct LatencyHistogram {
  static constexpr size_t kBuckets = 32;
  std::array<uint64_t, kBuckets> counts{};  // of those in each bucket; see CounterList
  uint64_t nanoseconds = 0;
};

// Sums of sessions' counters, and of hosts' faults.
struct Sums {
  // By the call's name and the errno's: "VFIO_IOMMU_MAP_DMA", "EINVAL". A call that succeeded: "".
  // Names that there are not are "other", so there is a bound.
  std::map<std::pair<std::string, std::string>, uint64_t> calls;
  uint64_t unknown_calls = 0;
  std::array<LatencyHistogram, 2> latencies;  // MAP_DMA, UNMAP_DMA
  uint64_t faults = 0;

  Sums& operator+=(const Sums& other);
};

// The sums of one session's answer.
Sums SumsOf(const compat::session::CounterList& list,
            std::span<const compat::session::Counter> counters);

class Totals {
 public:
  // What a session, or the faults of a host, amount to now.
  void Set(uint64_t key, const Sums& sums) { live_[key] = sums; }
  // All but these have ended.
  void Keep(const std::set<uint64_t>& keys);
  // Of all that there are and were.
  Sums Get() const;

 private:
  std::map<uint64_t, Sums> live_;
  Sums ended_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_METRICS_TOTALS_H_
