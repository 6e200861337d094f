#include "compat/events/counters.h"

#include <algorithm>
#include <bit>
#include <ctime>

namespace compat::events {
namespace {

using internal::Count;
using internal::Shard;
using internal::shards;

std::atomic<uint32_t> shards_taken{0};

// All others, without those of errno 0.
Count failed[decode::kCallCount + 1][kErrnos];

struct {
  Count nanoseconds[2];
  Count histogram[2][32];
} latencies;

int64_t Now() {
  timespec now = {};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

void Add(Count& count, uint64_t more) { count.fetch_add(more, std::memory_order_relaxed); }

bool IsTimed(uint32_t call) {
  return call == static_cast<uint32_t>(decode::Call::kIommuMapDma) ||
         call == static_cast<uint32_t>(decode::Call::kIommuUnmapDma);
}

}  // namespace

namespace internal {

std::atomic<bool> is_counting{false};
Shard shards[kShards];
__thread Shard* own_shard __attribute__((tls_model("initial-exec")));

Shard* TakeShard() {
  const uint32_t taken = shards_taken.fetch_add(1, std::memory_order_relaxed);
  own_shard = &shards[std::min(taken, kShards - 1)];
  return own_shard;
}

int64_t StartTiming(uint32_t call) { return IsTimed(call) ? Now() : 0; }

}  // namespace internal

void StartCounting() { internal::is_counting.store(true, std::memory_order_relaxed); }

void ForgetCounters() {
  if (!internal::is_counting.exchange(false)) return;
  for (Shard& shard : shards) {
    for (Count& count : shard.done) count = 0;
  }
  for (auto& of_call : failed) {
    for (Count& count : of_call) count = 0;
  }
  for (Count& nanoseconds : latencies.nanoseconds) nanoseconds = 0;
  for (auto& histogram : latencies.histogram) {
    for (Count& count : histogram) count = 0;
  }
}

void CountedCall::EndOther(int error) const {
  if (start_ != 0) {
    const auto took = static_cast<uint64_t>(std::max<int64_t>(Now() - start_, 0));
    // The lowest i with took <= 128 << i.
    const auto bucket =
        static_cast<uint32_t>(std::bit_width((std::max<uint64_t>(took, 1) - 1) >> 7));
    const int place = call_ == static_cast<uint32_t>(decode::Call::kIommuUnmapDma) ? 1 : 0;
    Add(latencies.nanoseconds[place], took);
    Add(latencies.histogram[place][std::min(bucket, 31u)], 1);
  }
  if (error > 0 && static_cast<uint32_t>(error) < kErrnos) {
    return Add(failed[call_][error], 1);
  }
  // Also where nobody else adds.
  Add(shard_->done[call_], 1);
}

uint64_t CountOf(uint32_t call, uint32_t error) {
  if (error != 0) return failed[call][error].load(std::memory_order_relaxed);
  uint64_t sum = 0;
  for (const Shard& shard : shards) sum += shard.done[call].load(std::memory_order_relaxed);
  return sum;
}

Latencies ReadLatencies() {
  Latencies read = {};
  for (int call = 0; call < 2; ++call) {
    read.nanoseconds[call] = latencies.nanoseconds[call];
    for (int i = 0; i < 32; ++i) read.histogram[call][i] = latencies.histogram[call][i];
  }
  return read;
}

}  // namespace compat::events
