#include "ioas/soft/device_worker.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/prctl.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <ctime>

#include "ioas/base/own_thread.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

constexpr int64_t kMicrosecond = 1000;
constexpr int64_t kMillisecond = 1000 * kMicrosecond;
// How long to go on looking after the last work: a trap costs the program some 8 microseconds, and
// a program that waits for one command to send the next one is back within this.
constexpr int64_t kPatience = 50 * kMicrosecond;
// How long to sleep where pages cannot be watched.
constexpr int64_t kShortestNap = 50 * kMicrosecond;
constexpr int64_t kLongestNap = 1 * kMillisecond;
// How long to sleep while a forked child may write unseen.
constexpr int64_t kSharedNap = 5 * kMillisecond;
constexpr int64_t kForever = -1;

int64_t Now() {
  timespec now = {};
  SystemCall(SYS_clock_gettime, CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1000 * kMillisecond + now.tv_nsec;
}

// Whether this process may run on more than one CPU. On a single one, looking takes the time of the
// very program that is to write.
bool HasSeveralCpus() {
  uint64_t mask[128] = {};
  const long bytes = SystemCall(SYS_sched_getaffinity, 0, sizeof(mask), mask);
  int cpus = 0;
  for (long i = 0; i < bytes / static_cast<long>(sizeof(mask[0])); ++i) {
    cpus += std::popcount(mask[i]);
  }
  return cpus > 1;
}

}  // namespace

Status DeviceWorker::Start() {
  if (running()) return {};
  const Result<int> hidden =
      OpenHidden([] { return SystemCall(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK); });
  if (!hidden.ok()) return hidden.error();
  wake_descriptor_ = *hidden;
  patience_ = HasSeveralCpus() ? kPatience : 0;
  stopping_ = false;
  shares_mappings_ = false;
  watch_.Start();

  if (StartOwnThread(thread_, Scheduling::kInherited, &ThreadMain, this) != 0) {
    watch_.Stop();
    CloseHidden(wake_descriptor_);
    wake_descriptor_ = -1;
    return Error{ENOMEM, "no thread for a device is to be had"};
  }
  running_.store(true, std::memory_order_release);
  return {};
}

void DeviceWorker::Stop() {
  if (!running()) return;
  stopping_ = true;
  const uint64_t one = 1;
  SystemCall(SYS_write, wake_descriptor_, &one, sizeof(one));
  pthread_join(thread_, nullptr);
  running_.store(false, std::memory_order_release);
  watch_.Stop();
  CloseHidden(wake_descriptor_);
  wake_descriptor_ = -1;
}

void DeviceWorker::Wake() {
  if (!sleeping_.exchange(false)) return;
  const uint64_t one = 1;
  SystemCall(SYS_write, wake_descriptor_, &one, sizeof(one));
}

void DeviceWorker::AfterForkInParent() {
  if (!running() || watch_.empty()) return;
  shares_mappings_ = true;
  Wake();
}

void DeviceWorker::AfterForkInChild() {
  running_ = false;
  sleeping_ = false;
  watch_.AfterForkInChild();
  CloseHidden(wake_descriptor_);
  wake_descriptor_ = -1;
}

void* DeviceWorker::ThreadMain(void* worker) {
  SystemCall(SYS_prctl, PR_SET_NAME, "vfio-compat");
  static_cast<DeviceWorker*>(worker)->Run();
  return nullptr;
}

void DeviceWorker::Run() {
  bool look = true;
  while (!stopping_) {
    if (look) PollUntilIdle();
    // From here on Wake writes to the eventfd.
    sleeping_ = true;
    const int client_descriptor = client_.WakeDescriptor();
    const bool watched = watch_.Arm();
    // Once more: what was written just before does not show otherwise.
    look = client_.Poll() || Sleep(watched, client_descriptor);
    sleeping_ = false;
    watch_.Disarm();
  }
}

void DeviceWorker::PollUntilIdle() {
  nap_ = 0;
  int64_t deadline = Now() + patience_;
  do {
    while (client_.Poll() && !stopping_) deadline = Now() + patience_;
  } while (!stopping_ && Now() < deadline);
}

int64_t DeviceWorker::SleepLimit(bool watched) {
  if (!watched) {
    nap_ = std::clamp(nap_ * 2, kShortestNap, kLongestNap);
    return nap_;
  }
  return shares_mappings_ ? kSharedNap : kForever;
}

bool DeviceWorker::Sleep(bool watched, int client_descriptor) {
  const int64_t limit = SleepLimit(watched);
  const timespec timeout = {limit / (1000 * kMillisecond), limit % (1000 * kMillisecond)};
  // Descriptors below 0 are passed over.
  pollfd waits[] = {{wake_descriptor_, POLLIN, 0},
                    {watch_.descriptor(), POLLIN, 0},
                    {client_descriptor, POLLIN, 0}};
  const long ready =
      SystemCall(SYS_ppoll, waits, 3L, limit == kForever ? nullptr : &timeout, nullptr, 0L);
  if (ready <= 0) return false;
  if (waits[0].revents != 0) {
    uint64_t events = 0;
    SystemCall(SYS_read, wake_descriptor_, &events, sizeof(events));
  }
  if (waits[1].revents != 0) {
    watch_.Disarm();
    watch_.Drain();
  }
  if (waits[2].revents != 0) client_.OnWakeDescriptor();
  return true;
}

}  // namespace ioas::soft
