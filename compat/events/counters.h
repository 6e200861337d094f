// Counters of calls, and how long some of them took. Off, as they are without a session, they cost
// a load and a branch a call.
#ifndef COMPAT_EVENTS_COUNTERS_H_
#define COMPAT_EVENTS_COUNTERS_H_

#include <atomic>
#include <cstdint>

#include "compat/decode/call.h"

namespace compat::events {

// Stands beside the values of decode::Call for a call that nobody knows.
inline constexpr uint32_t kUnknownCall = decode::kCallCount;
// Errnos are below this; others count as 0.
inline constexpr uint32_t kErrnos = 134;

namespace internal {

extern std::atomic<bool> is_counting;

using Count = std::atomic<uint64_t>;

// Calls that succeeded are counted by thread, where adding is no locked instruction: the first
// threads have a shard each, and all others the last one together.
struct alignas(64) Shard {
  Count done[kUnknownCall + 1];
};
inline constexpr uint32_t kShards = 16;
extern Shard shards[kShards];
// The thread's; null: none yet.
extern __thread Shard* own_shard __attribute__((tls_model("initial-exec")));
Shard* TakeShard();

// One call in so many is timed.
inline constexpr uint64_t kSampling = 256;
// Nanoseconds, if `call` is of those that are timed; 0 otherwise.
int64_t StartTiming(uint32_t call);

}  // namespace internal

inline bool IsCounting() { return internal::is_counting.load(std::memory_order_relaxed); }
void StartCounting();
// Stops, and forgets all. In a process with one thread that makes calls.
void ForgetCounters();

// Counts a call of this thread, from its making to End. MAP_DMA and UNMAP_DMA are timed now and
// then: a clock costs as much as a part of them.
class CountedCall {
 public:
  // `call`: a decode::Call, or kUnknownCall.
  explicit CountedCall(uint32_t call) : call_(call), shard_(internal::own_shard) {
    if (shard_ == nullptr) [[unlikely]]
      shard_ = internal::TakeShard();
    const uint64_t done = shard_->done[call].load(std::memory_order_relaxed);
    if (done % internal::kSampling == 0) [[unlikely]]
      start_ = internal::StartTiming(call);
  }
  // It ended with an errno, or 0.
  void End(int error) const {
    const bool is_plain = error == 0 && start_ == 0;
    if (!is_plain || shard_ == &internal::shards[internal::kShards - 1]) [[unlikely]]
      return EndOther(error);
    internal::Count& done = shard_->done[call_];
    done.store(done.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }

 private:
  // What is not so common: it failed, was timed, or the shard is several threads'.
  void EndOther(int error) const;

  uint32_t call_;
  internal::Shard* shard_;  // where this thread counts
  int64_t start_ = 0;       // nanoseconds; 0: it is not timed
};

// How often `call` has ended with `error`.
uint64_t CountOf(uint32_t call, uint32_t error);

// Of the calls that were timed.
struct Latencies {
  uint64_t nanoseconds[2];    // MAP, UNMAP: what they took together
  uint64_t histogram[2][32];  // the same: bucket i counts those of at most 128 << i ns
};
Latencies ReadLatencies();

}  // namespace compat::events

#endif  // COMPAT_EVENTS_COUNTERS_H_
