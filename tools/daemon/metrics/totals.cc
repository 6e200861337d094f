#include "tools/daemon/metrics/totals.h"

#include <cstring>

#include "compat/decode/call.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;

constexpr uint16_t kUnknownCall = 0xffff;
constexpr char kOther[] = "other";

std::string CallName(uint16_t call) {
  for (const compat::decode::CallRow& row : compat::decode::AllCalls()) {
    if (static_cast<uint16_t>(row.call) == call) return row.name;
  }
  return kOther;
}

std::string ErrorName(uint16_t error) {
  if (error == 0) return "";
  const char* const name = strerrorname_np(error);
  return name != nullptr ? name : kOther;
}

}  // namespace

Sums& Sums::operator+=(const Sums& other) {
  for (const auto& [labels, count] : other.calls) calls[labels] += count;
  unknown_calls += other.unknown_calls;
  faults += other.faults;
  for (size_t i = 0; i < latencies.size(); ++i) {
    latencies[i].nanoseconds += other.latencies[i].nanoseconds;
    for (size_t j = 0; j < LatencyHistogram::kBuckets; ++j) {
      latencies[i].counts[j] += other.latencies[i].counts[j];
    }
  }
  return *this;
}

Sums SumsOf(const channel::CounterList& list, std::span<const channel::Counter> counters) {
  Sums sums;
  for (const channel::Counter& counter : counters) {
    if (counter.call == kUnknownCall) {
      sums.unknown_calls += counter.count;
    } else {
      sums.calls[{CallName(counter.call), ErrorName(counter.error)}] += counter.count;
    }
  }
  for (size_t i = 0; i < sums.latencies.size(); ++i) {
    sums.latencies[i].nanoseconds = list.nanoseconds[i];
    for (size_t j = 0; j < LatencyHistogram::kBuckets; ++j) {
      sums.latencies[i].counts[j] = list.histogram[i][j];
    }
  }
  return sums;
}

void Totals::Keep(const std::set<uint64_t>& keys) {
  for (auto each = live_.begin(); each != live_.end();) {
    if (keys.count(each->first) != 0) {
      ++each;
      continue;
    }
    ended_ += each->second;
    each = live_.erase(each);
  }
}

Sums Totals::Get() const {
  Sums sums = ended_;
  for (const auto& [key, each] : live_) sums += each;
  return sums;
}

}  // namespace tools::daemon
