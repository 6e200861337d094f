// A session: a process that runs under the library, and the socket between it and the daemon.
// Nothing that it does or fails to do keeps the daemon waiting: requests are sent without waiting,
// and whoever asks waits a second at most.
#ifndef TOOLS_DAEMON_SESSIONS_SESSION_H_
#define TOOLS_DAEMON_SESSIONS_SESSION_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "compat/session/channel.h"
#include "tools/daemon/sessions/answer_timer.h"
#include "tools/daemon/sockets/unique_fd.h"

namespace tools::daemon {

// Requests that a session may be behind with.
inline constexpr size_t kMaxPending = 64;

// Who a process says it is, and what the kernel says of it.
struct SessionIdentity {
  uint64_t id = 0;    // its own choice
  uint64_t host = 0;  // the same in processes that share their containers
  int32_t pid = 0;    // as the daemon sees it
  uint32_t uid = 0;
  uint32_t backend = 0;     // as in Hello
  uint64_t start_time = 0;  // nanoseconds of CLOCK_REALTIME
  std::string command;      // printable UTF-8
};

// An id as callers see it: 16 hexadecimal digits.
std::string SessionName(uint64_t id);

// The code of an errno that the process refuses with (compat/session/channel.h says what it means).
absl::StatusCode CodeOf(int error);

// A message as it came, its header checked.
using Packet = std::vector<std::byte>;
using AnswerCallback = std::function<void(absl::StatusOr<Packet>)>;

// What to do if a process has not answered the last request in time: requests behind that one would
// not be answered either.
enum class IfSilent {
  kFail,   // fail at once
  kQueue,  // send it nevertheless: it is carried out when the process goes on
};

class Session {
 public:
  // `timer` outlives it.
  Session(SessionIdentity identity, UniqueFd socket, UniqueFd pidfd, AnswerTimer& timer);

  const SessionIdentity& identity() const { return identity_; }
  // The process, whatever becomes of its number.
  int pidfd() const { return pidfd_.get(); }
  // Whether the process has answered all that it has had time to.
  bool is_responsive() const { return is_responsive_; }

  // Asks the process and waits for its answer, which has no error. Errors:
  //   kUnavailable    it has not answered within a second ("SESSION_SILENT")
  //   kNotFound       it has ended ("SESSION_ENDED")
  //   kResourceExhausted  it is behind with kMaxPending requests ("SESSION_BUSY")
  //   as CodeOf() says      it has refused ("SESSION_REFUSED", with `errno` in the metadata)
  absl::StatusOr<Packet> Ask(compat::session::Kind kind, std::span<const std::byte> body,
                             IfSilent if_silent = IfSilent::kFail);

  // The same without waiting. `callback` is called once, by any thread, this one included; it does
  // not block, and asks nothing of this session.
  void AskAsync(compat::session::Kind kind, std::span<const std::byte> body,
                AnswerCallback callback, IfSilent if_silent = IfSilent::kFail);

  // Has the process carry `act` out as soon as it can, for it was done without it: it is asked
  // every second until it is neither silent nor short of a lock (EBUSY).
  void Remind(const compat::session::Act& act);
  // Asks for that now, if it answers: before what must come after it.
  void SendReminders();

  // Has the process send events of these kinds (bits as in compat::session::Subscribe) from now on;
  // one that is behind is told when it answers.
  void Subscribe(uint32_t kinds);
  // Those that it was told to send.
  uint32_t subscribed() const { return subscribed_; }

  // Ends the connection because of what the process sent; tells it and logs why.
  void Cut(absl::string_view reason);

  // The groups that it had when it was last asked (questions.h), for when it cannot be asked.
  void Remember(std::vector<compat::session::GroupInfo> groups);
  std::vector<compat::session::GroupInfo> remembered_groups() const;

  // --- The server's thread ---

  int socket() const { return socket_.get(); }
  // Takes an answer, and hands it to whoever asked. False if it was not asked for.
  bool TakeAnswer(std::span<const std::byte> packet);
  // Fails requests whose second is over, and sends reminders. Returns when to do so again, if ever.
  std::optional<Clock::time_point> Expire(Clock::time_point now);
  // Fails all requests, those to come included, and closes the socket.
  void End();

 private:
  struct Pending {
    uint64_t request;
    compat::session::Kind kind;
    Clock::time_point deadline;
    AnswerCallback callback;  // null: nobody waits any more
  };

  absl::Status Queue(compat::session::Kind kind, std::span<const std::byte> body,
                     AnswerCallback& callback, IfSilent if_silent);
  absl::Status Send(compat::session::Kind kind, uint64_t request, std::span<const std::byte> body);
  void FollowWanted();

  const SessionIdentity identity_;
  const UniqueFd pidfd_;
  AnswerTimer& timer_;
  std::atomic<bool> is_responsive_ = true;
  std::atomic<uint32_t> subscribed_ = 0;
  std::atomic<uint32_t> wanted_ = 0;
  // What is wanted is read and sent by one thread at a time, so that the last word is the newest.
  std::mutex subscribing_;

  mutable std::mutex mutex_;  // of what follows; not held while callbacks run
  UniqueFd socket_;
  std::atomic<bool> has_ended_ = false;
  uint64_t last_request_ = 0;
  std::deque<Pending> pending_;
  std::vector<compat::session::GroupInfo> groups_;
  std::vector<compat::session::Act> reminders_;
};

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SESSIONS_SESSION_H_
