// The thread that carries a device on, one for each process and device that is in use.
#ifndef IOAS_SOFT_DEVICE_WORKER_H_
#define IOAS_SOFT_DEVICE_WORKER_H_

#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "ioas/base/result.h"
#include "ioas/soft/doorbell_watch.h"

namespace ioas::soft {

// It looks at the device's memory while there is work and for a moment after, then sleeps until a
// watched page is written, somebody wakes it, or an eventfd asks for INTx to be unmasked. Where
// pages cannot be watched it looks again after a while.
class DeviceWorker {
 public:
  // What the thread works on. All calls come from the thread.
  class Client {
   public:
    virtual ~Client() = default;

    // Does a bounded part of what is due. Returns whether there was anything.
    virtual bool Poll() = 0;
    // A descriptor to wait on besides, or -1. Asked before each sleep.
    virtual int WakeDescriptor() = 0;
    // That descriptor is readable.
    virtual void OnWakeDescriptor() = 0;
  };

  DeviceWorker(Client& client, DoorbellWatch& watch) : client_(client), watch_(watch) {}
  ~DeviceWorker() { Stop(); }
  DeviceWorker(const DeviceWorker&) = delete;
  DeviceWorker& operator=(const DeviceWorker&) = delete;

  // Starts the thread, if it does not run: no signal handlers run on it, and programs that ask for
  // their threads' names see "vfio-compat". ENOMEM or EMFILE if it is not to be had.
  Status Start();
  // Ends the thread and waits for it. Not to be called with a lock that Client::Poll takes.
  void Stop();
  bool running() const { return running_.load(std::memory_order_acquire); }

  // Makes the thread look at once, and ask again for the descriptor to wait on. Costs one load
  // unless it sleeps.
  void Wake();

  // To be called in both processes after a fork. The parent's thread cannot see what the child
  // writes to mappings that it inherits, so from then on it looks for itself every few
  // milliseconds.
  void AfterForkInParent();
  void AfterForkInChild();

 private:
  static void* ThreadMain(void* worker);
  void Run();
  void PollUntilIdle();
  // Waits for something to happen, and returns whether something did (or time is up: false).
  bool Sleep(bool watched, int client_descriptor);
  int64_t SleepLimit(bool watched);

  Client& client_;
  DoorbellWatch& watch_;
  pthread_t thread_ = {};
  std::atomic<bool> running_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> sleeping_{false};
  std::atomic<bool> shares_mappings_{false};  // with a child, after a fork
  int64_t nap_ = 0;                           // nanoseconds: how long the last blind sleep was
  int64_t patience_ = 0;                      // nanoseconds to go on looking without any work
  int wake_descriptor_ = -1;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_DEVICE_WORKER_H_
