#include "tools/daemon/services/watch_reactor.h"

#include <memory>
#include <mutex>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tools/daemon/services/convert.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/services/watch_pump.h"
#include "tools/daemon/sessions/registry.h"

namespace tools::daemon {
namespace {

namespace api = vfio::compat::v1;

constexpr size_t kMaxEvents = 1000;  // of one response

class WatchReactor;

// What the pump pokes: outlives the reactor by as long as the pump looks at it.
class Handle final : public Watcher {
 public:
  explicit Handle(WatchReactor& reactor) : reactor_(&reactor) {}
  void Poke() override;
  // The reactor ends: it is not poked again after this.
  void Forget() {
    const std::lock_guard lock(mutex_);
    reactor_ = nullptr;
  }

 private:
  std::mutex mutex_;
  WatchReactor* reactor_;
};

class WatchReactor final : public WatchWriter {
 public:
  WatchReactor(WatchPump& pump, Guard::Admission admission,
               std::unique_ptr<EventLog::Reader> reader)
      : pump_(pump),
        admission_(std::move(admission)),
        reader_(std::move(reader)),
        handle_(std::make_shared<Handle>(*this)) {
    // So that the caller knows from when on nothing is missed.
    StartSendInitialMetadata();
  }

  // The pump's thread: there are new events.
  void Poke() {
    const std::lock_guard lock(mutex_);
    has_news_ = true;
    if (!is_writing_) WriteNext();
  }

  void OnSendInitialMetadataDone(bool ok) override {
    if (ok) pump_.Add(handle_);
  }

  void OnWriteDone(bool ok) override {
    const std::lock_guard lock(mutex_);
    is_writing_ = false;
    if (!ok) return End();
    if (has_news_) WriteNext();
  }

  void OnCancel() override {
    const std::lock_guard lock(mutex_);
    End();
  }

  void OnDone() override {
    handle_->Forget();
    pump_.Remove(handle_);
    delete this;
  }

 private:
  // Under the mutex, while nothing is being written.
  void WriteNext() {
    while (has_news_ && !has_ended_) {
      const EventLog::Batch batch = reader_->Read(kMaxEvents);
      // What comes from now on is poked for.
      has_news_ = !batch.is_last;
      if (batch.events.empty() && batch.dropped == 0) continue;
      response_.Clear();
      for (const LoggedEvent& event : batch.events) Describe(event, *response_.add_events());
      response_.set_dropped(batch.dropped);
      response_.set_next_sequence(batch.next_sequence);
      is_writing_ = true;
      StartWrite(&response_);
      return;
    }
  }

  void End() {
    if (std::exchange(has_ended_, true)) return;
    Finish(grpc::Status::CANCELLED);
  }

  WatchPump& pump_;
  const Guard::Admission admission_;
  const std::unique_ptr<EventLog::Reader> reader_;
  const std::shared_ptr<Handle> handle_;
  std::mutex mutex_;  // of what follows
  api::WatchResponse response_;
  bool is_writing_ = false;
  bool has_news_ = false;
  bool has_ended_ = false;
};

void Handle::Poke() {
  const std::lock_guard lock(mutex_);
  if (reactor_ != nullptr) reactor_->Poke();
}

class Refusal final : public WatchWriter {
 public:
  explicit Refusal(const absl::Status& status) { Finish(ToGrpc(status)); }
  void OnDone() override { delete this; }
};

absl::StatusOr<EventFilter> FilterOf(const Parts& parts, const Guard::Admission& admission,
                                     const api::WatchRequest& request) {
  EventFilter filter = {.all_users = admission.caller.role_on_others >= Role::kReader,
                        .uid = admission.caller.uid};
  if (!request.session().empty()) {
    const auto session = FindSession(admission, parts.registry, request.session());
    if (!session.ok()) return session.status();
    filter.session = (*session)->identity().id;
  }
  if (request.kinds_size() == 0) return filter;
  filter.kinds = 0;
  for (int i = 0; i < request.kinds_size(); ++i) {
    const int kind = request.kinds(i);
    if (kind <= 0 || kind >= static_cast<int>(kEventKinds)) {
      return InvalidField(absl::StrCat("kinds[", i, "]"),
                          absl::StrCat(kind, " is no kind of event"));
    }
    filter.kinds |= 1u << kind;
  }
  return filter;
}

}  // namespace

WatchWriter* RefuseWatch(const absl::Status& status) { return new Refusal(status); }

WatchWriter* StartWatch(const Parts& parts, Guard::Admission admission,
                        const api::WatchRequest& request) {
  const absl::StatusOr<EventFilter> filter = FilterOf(parts, admission, request);
  if (!filter.ok()) return RefuseWatch(filter.status());
  auto reader = parts.log.Open(*filter, request.from_sequence());
  if (!reader) {
    return RefuseWatch(FieldError(
        absl::StatusCode::kOutOfRange, "SEQUENCE_NOT_REACHED", "from_sequence",
        absl::StrCat(request.from_sequence(), " was not reached yet: the newest event has number ",
                     parts.log.newest())));
  }
  return new WatchReactor(parts.watches, std::move(admission), std::move(reader));
}

}  // namespace tools::daemon
