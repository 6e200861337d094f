// What happened in all sessions: one bounded log, whose events are numbered from 1, and any number
// of readers with a place of their own in it. A reader costs no memory but its place; one that
// falls behind by more than the log holds loses events and is told how many.
#ifndef TOOLS_DAEMON_EVENTS_EVENT_LOG_H_
#define TOOLS_DAEMON_EVENTS_EVENT_LOG_H_

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <vector>

namespace tools::daemon {

// vfio.compat.v1.Event.Kind, with the same numbers; the first eleven are
// compat::session::EventKind.
enum class EventKind : uint16_t {
  kOpened = 1,
  kTypeSet = 2,
  kGroupAttached = 3,
  kGroupDetached = 4,
  kWindowCreated = 5,
  kWindowRemoved = 6,
  kMapped = 7,
  kUnmapped = 8,
  kFault = 9,
  kUnknownCall = 10,
  kClosed = 11,
  kAction = 12,
  kLost = 13,
};
inline constexpr uint32_t kEventKinds = 14;

constexpr uint32_t KindBit(EventKind kind) { return 1u << static_cast<uint32_t>(kind); }
inline constexpr uint32_t kAllEventKinds = (1u << kEventKinds) - 2;
// Those that sessions tell of; the daemon itself knows of the others.
inline constexpr uint32_t kSessionEventKinds =
    (1u << static_cast<uint32_t>(EventKind::kAction)) - 2;

struct LoggedEvent {
  uint64_t sequence = 0;  // the log's to set
  int64_t time = 0;       // nanoseconds of CLOCK_REALTIME; the log's to set
  uint64_t session = 0;
  uint32_t uid = 0;  // of the session: who may see it
  EventKind kind = EventKind::kOpened;
  uint16_t access = 0;
  uint32_t container = 0;
  uint64_t first = 0;
  uint64_t last = 0;
  uint64_t value = 0;  // as in compat::session::Event; kLost: how many; kAction: the group
  std::string action;  // kAction
  std::string actor;
};

// Which events a reader wants and may see.
struct EventFilter {
  uint64_t session = 0;  // 0: of all
  uint32_t kinds = kAllEventKinds;
  bool all_users = false;       // otherwise `uid`'s alone
  std::optional<uint32_t> uid;  // nobody's without one

  bool Wants(uint64_t of_session, uint32_t of_uid) const {
    return (session == 0 || session == of_session) && (all_users || uid == of_uid);
  }
  bool Wants(const LoggedEvent& event) const {
    return (kinds & KindBit(event.kind)) != 0 && Wants(event.session, event.uid);
  }
};

// Usable by many threads at once.
class EventLog {
 public:
  static constexpr size_t kCapacity = 65536;

  // What Reader::Read returns.
  struct Batch {
    std::vector<LoggedEvent> events;
    uint64_t dropped = 0;        // wanted events that were lost since the batch before
    uint64_t next_sequence = 0;  // where the next batch begins
    bool is_last = true;         // there is nothing behind it yet
  };

  // A place in the log. Used by one thread at a time; not longer than the log.
  class Reader {
   public:
    ~Reader();
    Reader(const Reader&) = delete;
    Reader& operator=(const Reader&) = delete;

    // The next wanted events, `limit` at most; looks at a bounded number of others.
    Batch Read(size_t limit);

   private:
    friend class EventLog;
    Reader(EventLog& log, const EventFilter& filter) : log_(log), filter_(filter) {}

    EventLog& log_;
    const EventFilter filter_;
    // Under the log's mutex.
    uint64_t next_ = 0;
    uint64_t dropped_ = 0;
  };

  explicit EventLog(size_t capacity = kCapacity);
  EventLog(const EventLog&) = delete;
  EventLog& operator=(const EventLog&) = delete;

  // Adds events in this order, and takes their strings. Returns the last one's number.
  uint64_t Append(std::span<LoggedEvent> events);

  // The numbers of the newest event and the oldest one that is kept; 0 if there is none.
  uint64_t newest() const;
  uint64_t oldest() const;

  // A reader that begins at event `from`; 0: the next that happens. Those that are not kept any
  // more count as dropped, wanted or not. Null if `from` is beyond the next event's number.
  std::unique_ptr<Reader> Open(const EventFilter& filter, uint64_t from);

  // The kinds that any reader wants of a session.
  uint32_t WantedKinds(uint64_t session, uint32_t uid) const;

  // Has `listener` called, by the threads that open and close readers, after what WantedKinds says
  // may have changed. Set before the first reader opens.
  void OnInterestChanged(std::function<void()> listener) {
    interest_changed_ = std::move(listener);
  }

  using Clock = std::chrono::steady_clock;
  // Waits until there is an event beyond number `seen`, until `until`, or until Stop() was called.
  // Returns the newest event's number.
  uint64_t WaitBeyond(uint64_t seen, Clock::time_point until = Clock::time_point::max());
  // Waits until `time`, or until Stop() was called.
  void WaitForStop(Clock::time_point time);
  // Ends all waiting, for good.
  void Stop();
  bool is_stopped() const;

 private:
  const LoggedEvent& At(uint64_t sequence) const { return ring_[sequence % ring_.size()]; }
  uint64_t Oldest() const;
  void MakeRoom();

  mutable std::mutex mutex_;
  std::condition_variable arrived_;
  std::condition_variable stopped_;
  std::vector<LoggedEvent> ring_;
  uint64_t newest_ = 0;
  std::set<Reader*> readers_;
  uint64_t lowest_ = UINT64_MAX;  // no reader's next event has a lower number
  bool is_stopped_ = false;
  std::function<void()> interest_changed_ = [] {};
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_EVENTS_EVENT_LOG_H_
