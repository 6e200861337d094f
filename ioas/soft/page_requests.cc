#include "ioas/soft/page_requests.h"

#include <linux/futex.h>

#include <algorithm>
#include <ctime>
#include <span>

#include "ioas/base/system_call.h"

namespace ioas::soft {
namespace {

// Group indexes have nine bits (PCI Express, Page Request Message).
constexpr uint32_t kMaxGroup = (1u << 9) - 1;

bool IsOpen(PageRequestState state) {
  return state == PageRequestState::kWaiting || state == PageRequestState::kDelivered;
}

void WaitWhileOpen(const PageRequestEntry& entry, uint32_t milliseconds) {
  timespec end = {};
  SystemCall(SYS_clock_gettime, CLOCK_MONOTONIC, &end);
  end.tv_sec += milliseconds / 1000;
  end.tv_nsec += static_cast<long>(milliseconds % 1000) * 1000000;
  if (end.tv_nsec >= 1000000000) {
    ++end.tv_sec;
    end.tv_nsec -= 1000000000;
  }
  for (PageRequestState state = entry.state; IsOpen(state); state = entry.state) {
    // Until an absolute time, shared between processes.
    const long waited = SystemCall(SYS_futex, &entry.state, FUTEX_WAIT_BITSET,
                                   static_cast<uint32_t>(state), &end, nullptr, ~0u);
    if (waited == -ETIMEDOUT) return;
  }
}

}  // namespace

void PageRequests::Initialize(const EventFileName& file) {
  state_->mutex.Initialize();
  state_->file = file;
}

// One that nobody came to see the answer of makes room.
PageRequestEntry* PageRequests::Put(const PageRequest& request) {
  PageRequestEntry* const end = state_->entries + kMaxPageRequests;
  PageRequestEntry* entry = std::find_if(state_->entries, end, [](const PageRequestEntry& each) {
    return each.state == PageRequestState::kNone;
  });
  if (entry == end) {
    entry = std::find_if(state_->entries, end,
                         [](const PageRequestEntry& each) { return !IsOpen(each.state); });
  }
  if (entry == end) return nullptr;
  entry->order = state_->next_order++;
  entry->is_awaited = 0;
  entry->is_late = 0;
  entry->cookie = 0;
  entry->request = request;
  entry->state = PageRequestState::kWaiting;
  MakeReadable(state_->file);
  return entry;
}

void PageRequests::Raise(const PageRequest& request) {
  const RobustLock lock(state_->mutex);
  Put(request);
}

bool PageRequests::Ask(const PageRequest& request, uint32_t milliseconds) {
  PageRequestEntry* entry = nullptr;
  uint32_t order = 0;
  {
    const RobustLock lock(state_->mutex);
    if (HasLateOnes()) milliseconds = 0;
    entry = Put(request);
    if (entry == nullptr) return false;
    entry->request.group = state_->next_group++ & kMaxGroup;
    entry->is_awaited = 1;
    order = entry->order;
  }
  WaitWhileOpen(*entry, milliseconds);
  const RobustLock lock(state_->mutex);
  if (entry->order != order) return false;
  entry->is_awaited = 0;
  if (IsOpen(entry->state)) {
    entry->is_late = 1;
    return false;
  }
  return entry->state.exchange(PageRequestState::kNone) == PageRequestState::kGranted;
}

bool PageRequests::HasLateOnes() const {
  const std::span entries(state_->entries);
  return std::any_of(entries.begin(), entries.end(), [](const PageRequestEntry& each) {
    return each.is_late != 0 && IsOpen(each.state);
  });
}

PageRequestEntry* PageRequests::FindOldest() const {
  PageRequestEntry* oldest = nullptr;
  for (PageRequestEntry& each : state_->entries) {
    if (each.state != PageRequestState::kWaiting) continue;
    // Orders wrap around.
    if (oldest == nullptr || static_cast<int32_t>(each.order - oldest->order) < 0) oldest = &each;
  }
  return oldest;
}

uint32_t PageRequests::FreeCookie() const {
  const std::span entries(state_->entries);
  for (uint32_t cookie = 1;; ++cookie) {
    const auto has_it = [cookie](const PageRequestEntry& each) {
      return each.state == PageRequestState::kDelivered && each.cookie == cookie;
    };
    if (std::none_of(entries.begin(), entries.end(), has_it)) return cookie;
  }
}

std::optional<WaitingPageRequest> PageRequests::Oldest() const {
  const RobustLock lock(state_->mutex);
  const PageRequestEntry* const oldest = FindOldest();
  if (oldest == nullptr) return std::nullopt;
  return WaitingPageRequest{oldest->order, FreeCookie(), oldest->request};
}

void PageRequests::OnDelivered(const WaitingPageRequest& waiting, int fd) {
  const RobustLock lock(state_->mutex);
  for (PageRequestEntry& each : state_->entries) {
    if (each.state != PageRequestState::kWaiting || each.order != waiting.order) continue;
    each.cookie = waiting.cookie;
    each.state = PageRequestState::kDelivered;
  }
  FollowIn(fd);
}

bool PageRequests::Answer(uint32_t cookie, bool grant) {
  const RobustLock lock(state_->mutex);
  for (PageRequestEntry& each : state_->entries) {
    if (each.state != PageRequestState::kDelivered || each.cookie != cookie) continue;
    Settle(each, grant);
    return true;
  }
  return false;
}

void PageRequests::DenyAll(uint32_t device, uint32_t attachment, int fd) {
  const RobustLock lock(state_->mutex);
  for (PageRequestEntry& each : state_->entries) {
    const bool is_meant = each.request.device == device && each.request.attachment == attachment;
    if (IsOpen(each.state) && is_meant) Settle(each, /*grant=*/false);
  }
  FollowIn(fd);
}

void PageRequests::Settle(PageRequestEntry& entry, bool grant) {
  if (entry.is_awaited == 0) {
    entry.state = PageRequestState::kNone;
    return;
  }
  entry.state = grant ? PageRequestState::kGranted : PageRequestState::kDenied;
  SystemCall(SYS_futex, &entry.state, FUTEX_WAKE, 1);
}

void PageRequests::FollowIn(int fd) const {
  if (fd >= 0 && FindOldest() == nullptr) MakeUnreadable(fd);
}

}  // namespace ioas::soft
