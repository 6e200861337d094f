#include "tools/daemon/sessions/session.h"

#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/daemon/errors/errors.h"
#include "tools/daemon/sessions/text.h"

namespace tools::daemon {
namespace {

namespace channel = compat::session;

absl::Status Ended(const SessionIdentity& identity) {
  return Error(absl::StatusCode::kNotFound, "SESSION_ENDED",
               absl::StrCat("session ", SessionName(identity.id), " has ended"),
               {{"session", SessionName(identity.id)}});
}

absl::Status Silent(const SessionIdentity& identity) {
  return WithRetry(Error(absl::StatusCode::kUnavailable, "SESSION_SILENT",
                         absl::StrCat("session ", SessionName(identity.id), ": process ",
                                      identity.pid, " does not answer; it may be stopped, or hang"),
                         {{"session", SessionName(identity.id)}}),
                   1);
}

absl::Status Busy(const SessionIdentity& identity) {
  return WithRetry(Error(absl::StatusCode::kResourceExhausted, "SESSION_BUSY",
                         absl::StrCat("session ", SessionName(identity.id), " is behind with ",
                                      kMaxPending, " requests"),
                         {{"session", SessionName(identity.id)}}),
                   1);
}

// What an answer with an errno says.
absl::Status Refused(const SessionIdentity& identity, int error,
                     std::span<const std::byte> packet) {
  std::string reason = "the session refuses";
  if (const auto* refusal = channel::BodyOf<channel::Refusal>(packet)) {
    if (const std::string text = Printable(refusal->reason); !text.empty()) reason = text;
  }
  const char* name = strerrorname_np(error);
  // Dirty tracking says so of somebody else's.
  const auto& header = *reinterpret_cast<const channel::MessageHeader*>(packet.data());
  const bool is_tracked =
      error == EBUSY &&
      header.kind == (static_cast<uint16_t>(channel::Kind::kDirty) | channel::kAnswerBit);
  return Error(is_tracked ? absl::StatusCode::kFailedPrecondition : CodeOf(error),
               "SESSION_REFUSED",
               absl::StrCat(reason, " (", name == nullptr ? std::to_string(error) : name, ")"),
               {{"session", SessionName(identity.id)}, {"errno", std::to_string(error)}});
}

}  // namespace

std::string SessionName(uint64_t id) { return absl::StrFormat("%016x", id); }

absl::StatusCode CodeOf(int error) {
  switch (error) {
    case ENOENT:
    case ENODATA:
      return absl::StatusCode::kNotFound;
    case EINVAL:
      return absl::StatusCode::kInvalidArgument;
    case ENODEV:
    case EOPNOTSUPP:
      return absl::StatusCode::kFailedPrecondition;
    case EBUSY:
      return absl::StatusCode::kUnavailable;
    case ENOSPC:
    case ENOMEM:
      return absl::StatusCode::kResourceExhausted;
    case ENOSYS:
      return absl::StatusCode::kUnimplemented;
    default:
      return absl::StatusCode::kInternal;
  }
}

Session::Session(SessionIdentity identity, UniqueFd socket, UniqueFd pidfd, AnswerTimer& timer)
    : identity_(std::move(identity)),
      pidfd_(std::move(pidfd)),
      timer_(timer),
      socket_(std::move(socket)) {}

absl::StatusOr<Packet> Session::Ask(channel::Kind kind, std::span<const std::byte> body,
                                    IfSilent if_silent) {
  std::mutex mutex;
  std::condition_variable answered;
  std::optional<absl::StatusOr<Packet>> result;
  AskAsync(
      kind, body,
      [&](absl::StatusOr<Packet> answer) {
        // Notified under the mutex: the waiting thread's frame ends as soon as it is free.
        const std::lock_guard lock(mutex);
        result = std::move(answer);
        answered.notify_one();
      },
      if_silent);
  std::unique_lock lock(mutex);
  answered.wait(lock, [&] { return result.has_value(); });
  return *std::move(result);
}

void Session::AskAsync(channel::Kind kind, std::span<const std::byte> body, AnswerCallback callback,
                       IfSilent if_silent) {
  absl::Status queued;
  {
    const std::lock_guard lock(mutex_);
    queued = Queue(kind, body, callback, if_silent);
  }
  if (queued.ok()) {
    timer_.Arm();
  } else {
    callback(std::move(queued));
  }
}

absl::Status Session::Queue(channel::Kind kind, std::span<const std::byte> body,
                            AnswerCallback& callback, IfSilent if_silent) {
  if (has_ended_) return Ended(identity_);
  if (!is_responsive_ && if_silent == IfSilent::kFail) return Silent(identity_);
  if (pending_.size() >= kMaxPending) return Busy(identity_);
  if (absl::Status sent = Send(kind, last_request_ + 1, body); !sent.ok()) return sent;
  pending_.push_back({++last_request_, kind, Clock::now() + kAnswerTime, std::move(callback)});
  return absl::OkStatus();
}

absl::Status Session::Send(channel::Kind kind, uint64_t request, std::span<const std::byte> body) {
  channel::MessageHeader header = {
      .magic = channel::kMagic,
      .version = channel::kVersion,
      .kind = static_cast<uint16_t>(kind),
      .size = static_cast<uint32_t>(sizeof(channel::MessageHeader) + body.size()),
      .error = 0,
      .request = request};
  iovec parts[] = {{&header, sizeof(header)}, {const_cast<std::byte*>(body.data()), body.size()}};
  msghdr message{};
  message.msg_iov = parts;
  message.msg_iovlen = 2;
  if (sendmsg(socket_.get(), &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) return absl::OkStatus();
  // What it has not read yet fills its socket.
  if (errno == EAGAIN || errno == ENOBUFS) return Busy(identity_);
  return Ended(identity_);
}

bool Session::TakeAnswer(std::span<const std::byte> packet) {
  const auto& header = *reinterpret_cast<const channel::MessageHeader*>(packet.data());
  AnswerCallback callback;
  {
    const std::lock_guard lock(mutex_);
    if (pending_.empty() || pending_.front().request != header.request ||
        (static_cast<uint16_t>(pending_.front().kind) | channel::kAnswerBit) != header.kind) {
      return false;
    }
    callback = std::move(pending_.front().callback);
    pending_.pop_front();
    if (pending_.empty() || pending_.front().deadline > Clock::now()) is_responsive_ = true;
  }
  if (callback) {
    if (header.error != 0) {
      callback(Refused(identity_, header.error, packet));
    } else {
      callback(Packet(packet.begin(), packet.end()));
    }
  }
  FollowWanted();
  return true;
}

std::optional<Clock::time_point> Session::Expire(Clock::time_point now) {
  std::vector<AnswerCallback> expired;
  std::optional<Clock::time_point> next;
  {
    const std::lock_guard lock(mutex_);
    for (Pending& pending : pending_) {
      if (pending.deadline > now) {
        next = pending.deadline;
        break;
      }
      is_responsive_ = false;
      // The answer is still to come, before those of later requests.
      if (pending.callback) expired.push_back(std::exchange(pending.callback, nullptr));
    }
  }
  for (const AnswerCallback& callback : expired) callback(Silent(identity_));
  SendReminders();
  const std::lock_guard lock(mutex_);
  if (!reminders_.empty() && !next) next = now + kAnswerTime;
  return next;
}

void Session::Remind(const channel::Act& act) {
  {
    const std::lock_guard lock(mutex_);
    // What it was told last about the same holds.
    std::erase_if(reminders_, [&act](const channel::Act& other) {
      return other.container == act.container && other.group == act.group;
    });
    if (reminders_.size() < kMaxPending) reminders_.push_back(act);
  }
  timer_.Arm();
}

void Session::SendReminders() {
  if (!is_responsive_) return;
  std::vector<channel::Act> reminders;
  {
    const std::lock_guard lock(mutex_);
    reminders.swap(reminders_);
  }
  for (const channel::Act& act : reminders) {
    AskAsync(
        channel::Kind::kAct, std::as_bytes(std::span(&act, 1)),
        [this, act](const absl::StatusOr<Packet>& answer) {
          if (answer.ok() || has_ended_) return;
          if (absl::IsUnavailable(answer.status()) || absl::IsResourceExhausted(answer.status())) {
            return Remind(act);
          }
          spdlog::error("session {} does not take over what was done without it: {}",
                        SessionName(identity_.id), std::string(answer.status().message()));
        });
  }
}

void Session::End() {
  std::deque<Pending> pending;
  {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
    socket_.reset();
    pending.swap(pending_);
  }
  for (const Pending& request : pending) {
    if (request.callback) request.callback(Ended(identity_));
  }
}

void Session::Cut(absl::string_view reason) {
  spdlog::warn("session {} (process {}, uid {}) is cut off: {}", SessionName(identity_.id),
               identity_.pid, identity_.uid, std::string(reason));
  channel::Goodbye goodbye{};
  reason.copy(goodbye.reason, sizeof(goodbye.reason) - 1);
  const std::lock_guard lock(mutex_);
  if (has_ended_) return;
  (void)Send(channel::Kind::kGoodbye, 0, std::as_bytes(std::span(&goodbye, 1)));
  // The server's thread sees it, and ends the session.
  shutdown(socket_.get(), SHUT_RDWR);
}

void Session::Subscribe(uint32_t kinds) {
  wanted_ = kinds;
  FollowWanted();
}

void Session::FollowWanted() {
  const std::lock_guard lock(subscribing_);
  const uint32_t wanted = wanted_;
  if (subscribed_.exchange(wanted) == wanted) return;
  const channel::Subscribe request = {.kinds = wanted, .reserved = 0};
  AskAsync(
      channel::Kind::kSubscribe, std::as_bytes(std::span(&request, 1)),
      [this](const absl::StatusOr<Packet>& answer) {
        // It could not be sent; tried again when the process has answered something.
        if (absl::IsResourceExhausted(answer.status())) subscribed_ = ~wanted_;
      },
      IfSilent::kQueue);
}

void Session::Remember(std::vector<channel::GroupInfo> groups) {
  const std::lock_guard lock(mutex_);
  groups_ = std::move(groups);
}

std::vector<channel::GroupInfo> Session::remembered_groups() const {
  const std::lock_guard lock(mutex_);
  return groups_;
}

}  // namespace tools::daemon
