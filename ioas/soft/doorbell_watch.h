// Noticing that a program writes to memory of a device that it has mapped, without a trap for each
// write and without looking at the memory all the time.
//
// The mappings are write-protected (userfaultfd) only while the device sleeps. The first write then
// stops in the kernel, which tells the device's thread; that thread takes the protection off, which
// lets the write go on, and looks at the memory itself for as long as there is work.
#ifndef IOAS_SOFT_DOORBELL_WATCH_H_
#define IOAS_SOFT_DOORBELL_WATCH_H_

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "ioas/base/robust_mutex.h"

namespace ioas::soft {

// As many separate mappings of one device as one process may have watched.
inline constexpr uint32_t kMaxWatchedMappings = 32;

// The list of mappings is one process's own. Mappings may come and go in any thread; everything
// else is for the device's thread, or for whoever starts and stops it.
class DoorbellWatch {
 public:
  DoorbellWatch() { mutex_.Initialize(); }
  ~DoorbellWatch() { Stop(); }
  DoorbellWatch(const DoorbellWatch&) = delete;
  DoorbellWatch& operator=(const DoorbellWatch&) = delete;

  // A mapping of device memory begins or ends; both page aligned. Removing a part of a mapping
  // leaves the rest. Whoever waits for a write to what is removed goes on.
  void Add(uintptr_t address, size_t size);
  void Remove(uintptr_t address, size_t size);
  bool empty() const;

  // Begins to watch, all mappings that are there included. Returns false where the kernel does not
  // let this process have a userfaultfd that can do this: Arm will then fail.
  bool Start();
  // Ends watching; the list stays.
  void Stop();

  // Makes writes to the mappings show. Returns false if some mapping cannot be watched, so that the
  // memory has to be looked at from time to time.
  bool Arm();
  // Lets writes pass, those that wait included. Costs nothing if not armed.
  void Disarm();

  // Readable when a write waits while armed; -1 if not started. After that, Disarm and drain it.
  int descriptor() const { return descriptor_; }
  void Drain() const;

  // In a forked child, before anything else: the mappings are there, the watch is the parent's.
  void AfterForkInChild();

  // Makes Start fail from now on, in this process: for tests, and for programs that cannot stand
  // it.
  static void DisableTrapping();

 private:
  struct Mapping {
    uintptr_t address;
    size_t size;  // 0: the slot is free
    bool registered;
  };

  void Insert(uintptr_t address, size_t size);
  bool Register(const Mapping& mapping) const;
  void Unregister(uintptr_t address, size_t size) const;

  mutable RobustMutex mutex_;  // guards the mappings
  Mapping mappings_[kMaxWatchedMappings] = {};
  bool overflowed_ = false;  // some mapping found no slot
  std::atomic<bool> armed_{false};
  int descriptor_ = -1;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_DOORBELL_WATCH_H_
