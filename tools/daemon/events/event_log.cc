#include "tools/daemon/events/event_log.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace tools::daemon {
namespace {

// Events that one Read() looks at: what it holds the log's mutex for.
constexpr uint64_t kMaxScan = 8192;

int64_t Now() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::system_clock::now().time_since_epoch())
      .count();
}

}  // namespace

EventLog::EventLog(size_t capacity) : ring_(capacity) {}

uint64_t EventLog::Oldest() const {
  if (newest_ == 0) return 0;
  return newest_ > ring_.size() ? newest_ - ring_.size() + 1 : 1;
}

uint64_t EventLog::newest() const {
  const std::lock_guard lock(mutex_);
  return newest_;
}

uint64_t EventLog::oldest() const {
  const std::lock_guard lock(mutex_);
  return Oldest();
}

// Moves readers that have not read the event which the next one takes the place of beyond it.
void EventLog::MakeRoom() {
  if (newest_ < ring_.size()) return;
  const uint64_t leaving = Oldest();
  if (leaving < lowest_) return;
  lowest_ = UINT64_MAX;
  for (Reader* reader : readers_) {
    if (reader->next_ <= leaving) {
      if (reader->filter_.Wants(At(leaving))) ++reader->dropped_;
      reader->next_ = leaving + 1;
    }
    lowest_ = std::min(lowest_, reader->next_);
  }
}

uint64_t EventLog::Append(std::span<LoggedEvent> events) {
  const int64_t now = Now();
  uint64_t newest = 0;
  {
    const std::lock_guard lock(mutex_);
    for (LoggedEvent& event : events) {
      MakeRoom();
      event.sequence = ++newest_;
      event.time = now;
      ring_[newest_ % ring_.size()] = std::move(event);
    }
    newest = newest_;
  }
  arrived_.notify_all();
  return newest;
}

std::unique_ptr<EventLog::Reader> EventLog::Open(const EventFilter& filter, uint64_t from) {
  std::unique_ptr<Reader> reader(new Reader(*this, filter));
  {
    const std::lock_guard lock(mutex_);
    // Its destructor finds it in no set then.
    if (from > newest_ + 1) return nullptr;
    reader->next_ = from == 0 ? newest_ + 1 : from;
    if (const uint64_t oldest = Oldest(); reader->next_ < oldest) {
      reader->dropped_ = oldest - reader->next_;
      reader->next_ = oldest;
    }
    lowest_ = std::min(lowest_, reader->next_);
    readers_.insert(reader.get());
  }
  interest_changed_();
  return reader;
}

EventLog::Reader::~Reader() {
  {
    const std::lock_guard lock(log_.mutex_);
    if (log_.readers_.erase(this) == 0) return;
  }
  log_.interest_changed_();
}

EventLog::Batch EventLog::Reader::Read(size_t limit) {
  Batch batch;
  const std::lock_guard lock(log_.mutex_);
  const uint64_t end = std::min(log_.newest_ + 1, next_ + kMaxScan);
  while (next_ < end && batch.events.size() < limit) {
    const LoggedEvent& event = log_.At(next_++);
    if (filter_.Wants(event)) batch.events.push_back(event);
  }
  batch.dropped = std::exchange(dropped_, 0);
  batch.next_sequence = next_;
  batch.is_last = next_ > log_.newest_;
  return batch;
}

uint32_t EventLog::WantedKinds(uint64_t session, uint32_t uid) const {
  const std::lock_guard lock(mutex_);
  uint32_t kinds = 0;
  for (const Reader* reader : readers_) {
    if (reader->filter_.Wants(session, uid)) kinds |= reader->filter_.kinds;
  }
  return kinds;
}

uint64_t EventLog::WaitBeyond(uint64_t seen, Clock::time_point until) {
  std::unique_lock lock(mutex_);
  arrived_.wait_until(lock, until, [&] { return newest_ > seen || is_stopped_; });
  return newest_;
}

void EventLog::Stop() {
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = true;
  }
  arrived_.notify_all();
  stopped_.notify_all();
}

void EventLog::WaitForStop(Clock::time_point time) {
  std::unique_lock lock(mutex_);
  stopped_.wait_until(lock, time, [&] { return is_stopped_; });
}

bool EventLog::is_stopped() const {
  const std::lock_guard lock(mutex_);
  return is_stopped_;
}

}  // namespace tools::daemon
