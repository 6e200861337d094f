// Page requests: what devices ask a program for that a page table does not lead to (PCI Express's
// Page Request Interface), until the program has answered.
#ifndef IOAS_SOFT_PAGE_REQUESTS_H_
#define IOAS_SOFT_PAGE_REQUESTS_H_

#include <atomic>
#include <cstdint>
#include <optional>

#include "ioas/base/robust_mutex.h"
#include "ioas/soft/event_file.h"

namespace ioas::soft {

struct PageRequest {
  uint32_t device;  // the number that the program knows the device by
  uint32_t has_pasid;
  uint32_t pasid;
  uint32_t group;   // the page request group index
  uint32_t access;  // Access bits
  uint64_t address;
  // The PASID whose page table lacks it; 0: it is the device's.
  uint32_t attachment = 0;
};

inline constexpr uint32_t kMaxPageRequests = 64;

// What has become of a request; the values lie in shared memory.
enum class PageRequestState : uint32_t {
  kNone = 0,
  kWaiting,    // to be read
  kDelivered,  // read, to be answered
  kGranted,    // answered, as a device has yet to see
  kDenied,
};

struct PageRequestEntry {
  std::atomic<PageRequestState> state;
  uint32_t order;       // the lowest is the oldest one's
  uint32_t is_awaited;  // a device waits for the answer
  uint32_t is_late;     // it has given up waiting
  uint32_t cookie;      // of one that is delivered
  PageRequest request;
};

// Lies in the arena. Its lock is one of the last to be taken.
struct PageRequestsState {
  RobustMutex mutex;
  EventFileName file;  // readable while a request is to be read
  uint32_t next_order;
  uint32_t next_group;
  PageRequestEntry entries[kMaxPageRequests];
};

// One that is to be read.
struct WaitingPageRequest {
  uint32_t order;
  uint32_t cookie;  // what it is to be answered by: the lowest that is free, from 1 on
  PageRequest request;
};

// A view: one pointer. Any thread and process may call.
class PageRequests {
 public:
  explicit PageRequests(PageRequestsState* state) : state_(state) {}

  // Makes the queue usable; its memory is all zero.
  void Initialize(const EventFileName& file);

  // Puts `request` into the queue, for nobody who waits. Lost if kMaxPageRequests are there.
  void Raise(const PageRequest& request);
  // Puts it in with a group index of its own, and waits for the answer, for at most `milliseconds`.
  // Returns whether it was granted. Does not wait if an earlier one was in vain and is still not
  // answered: a program that does not answer delays its devices once.
  bool Ask(const PageRequest& request, uint32_t milliseconds);

  // The oldest that is to be read. Readers see to it that there is one of them at a time.
  std::optional<WaitingPageRequest> Oldest() const;
  // `waiting` was read. `fd`: a descriptor of the file, unless it is negative.
  void OnDelivered(const WaitingPageRequest& waiting, int fd);
  // Answers the request that was delivered with `cookie`. False if there is none.
  bool Answer(uint32_t cookie, bool grant);
  // Denies all requests of `device` through `attachment`, read or not: that is about to be
  // detached. `fd` as above.
  void DenyAll(uint32_t device, uint32_t attachment, int fd);

 private:
  PageRequestEntry* Put(const PageRequest& request);
  PageRequestEntry* FindOldest() const;
  bool HasLateOnes() const;
  uint32_t FreeCookie() const;
  void Settle(PageRequestEntry& entry, bool grant);
  void FollowIn(int fd) const;

  PageRequestsState* state_;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_PAGE_REQUESTS_H_
