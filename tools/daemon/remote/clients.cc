#include "tools/daemon/remote/clients.h"

#include <sys/random.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <future>
#include <utility>

#include "tools/daemon/errors/errors.h"

namespace tools::daemon::remote {
namespace {

std::string NewId() {
  uint64_t number = 0;
  // Cannot fail for so few bytes once the system has started.
  (void)!getrandom(&number, sizeof(number), 0);
  std::array<char, 17> text{};
  std::snprintf(text.data(), text.size(), "%016llx", static_cast<unsigned long long>(number));
  return text.data();
}

absl::Status TooMany(absl::string_view what) {
  return Error(absl::StatusCode::kResourceExhausted, "TOO_MANY_CLIENTS", what);
}

// Has the process make its host, as it does at its first call.
absl::Status MakeHost(Process& process) {
  std::string out;
  const absl::StatusOr<Answer> opened =
      process.Make({.operation = Operation::kOpen}, "/dev/vfio/vfio", out);
  if (!opened.ok()) return opened.status();
  if (opened->result < 0) {
    return Error(absl::StatusCode::kInvalidArgument, "CLIENT_HAS_NO_HOST",
                 "no host can be made of these devices");
  }
  const auto fd = static_cast<int32_t>(opened->result);
  return process.Make({.operation = Operation::kClose, .fd = fd}, "", out).status();
}

}  // namespace

struct Clients::Client {
  ClientInfo info;
  std::string owner;
  size_t slot = 0;
  std::chrono::milliseconds idle{};
  std::unique_ptr<Process> process;
  // The rest is under the mutex of Clients.
  Clock::time_point last_use;
  bool is_leased = false;
  bool is_calling = false;
  std::function<void()> on_end;
};

Clients::Lease::~Lease() {
  if (client_ == nullptr) return;
  const std::lock_guard lock(clients_->mutex_);
  client_->is_leased = false;
  client_->on_end = nullptr;
}

void Clients::Lease::SetCalling(bool is_calling) {
  const std::lock_guard lock(clients_->mutex_);
  client_->is_calling = is_calling;
  client_->last_use = Clock::now();
}

absl::StatusOr<Answer> Clients::Lease::Make(const Call& call, absl::string_view bytes,
                                            std::string& out) {
  SetCalling(true);
  absl::StatusOr<Answer> answer = client_->process->Make(call, bytes, out);
  SetCalling(false);
  return answer;
}

Clients::Clients(ClientsOptions options)
    : options_(std::move(options)), keeper_([this] { Keep(); }) {}

Clients::~Clients() {
  {
    const std::lock_guard lock(mutex_);
    is_ending_ = true;
  }
  wakes_keeper_.notify_one();
  keeper_.join();
}

absl::StatusOr<size_t> Clients::ReserveSlot(const ClientOwner& owner) {
  const std::lock_guard lock(mutex_);
  const auto count = std::count_if(slots_.begin(), slots_.end(), [&owner](const ClientOwner& each) {
    return each.name == owner.name;
  });
  if (count >= std::ptrdiff_t{kMaxClientsOfCaller}) {
    return TooMany("the caller has 8 clients already");
  }
  const auto free = std::find_if(slots_.begin(), slots_.end(),
                                 [](const ClientOwner& each) { return each.name.empty(); });
  if (free == slots_.end()) return TooMany("all callers together have 64 clients already");
  *free = owner;
  return static_cast<size_t>(free - slots_.begin());
}

void Clients::FreeSlot(size_t slot) {
  const std::lock_guard lock(mutex_);
  slots_[slot] = {};
}

absl::StatusOr<std::unique_ptr<Process>> Clients::Start(const ClientSettings& settings,
                                                        size_t slot) {
  const uint32_t user = geteuid() == 0 ? options_.first_user + static_cast<uint32_t>(slot) : 0;
  std::promise<absl::StatusOr<std::unique_ptr<Process>>> started;
  {
    const std::lock_guard lock(mutex_);
    tasks_.emplace_back([&] {
      started.set_value(Process::Start(options_.process, settings.host, settings.disk_bytes, user));
    });
  }
  wakes_keeper_.notify_one();
  auto process = started.get_future().get();
  if (!process.ok()) return process;
  const absl::Status has_host = MakeHost(**process);
  if (!has_host.ok()) return has_host;
  return process;
}

absl::StatusOr<ClientInfo> Clients::Open(const ClientOwner& owner, const ClientSettings& settings) {
  const absl::StatusOr<size_t> slot = ReserveSlot(owner);
  if (!slot.ok()) return slot.status();
  auto process = Start(settings, *slot);
  if (!process.ok()) {
    FreeSlot(*slot);
    return process.status();
  }
  auto client = std::make_shared<Client>();
  client->info = {NewId(), (*process)->pid(), std::chrono::system_clock::now()};
  client->owner = owner.name;
  client->slot = *slot;
  client->idle = settings.idle;
  client->process = *std::move(process);
  client->last_use = Clock::now();
  const std::lock_guard lock(mutex_);
  clients_.emplace(client->info.id, client);
  wakes_keeper_.notify_one();
  return client->info;
}

absl::StatusOr<Clients::ClientMap::iterator> Clients::Find(const std::string& caller,
                                                           const std::string& id) {
  const auto found = clients_.find(id);
  if (found == clients_.end() || found->second->owner != caller) {
    return Error(absl::StatusCode::kNotFound, "CLIENT_NOT_FOUND", "no client '" + id + "'",
                 {{"client", id}});
  }
  return found;
}

void Clients::End(std::unique_lock<std::mutex>& lock, ClientMap::iterator found) {
  const std::shared_ptr<Client> client = found->second;
  clients_.erase(found);
  if (client->on_end) client->on_end();
  lock.unlock();
  client->process->End();
  lock.lock();
  // Not before: another client must not be the same user.
  slots_[client->slot] = {};
}

absl::Status Clients::Close(const std::string& caller, const std::string& id) {
  std::unique_lock lock(mutex_);
  const absl::StatusOr<ClientMap::iterator> found = Find(caller, id);
  if (!found.ok()) return found.status();
  End(lock, *found);
  return absl::OkStatus();
}

std::vector<ClientInfo> Clients::List(const std::string& caller) const {
  std::vector<ClientInfo> list;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, client] : clients_) {
    if (client->owner == caller) list.push_back(client->info);
  }
  return list;
}

uint32_t Clients::UserOf(uint32_t uid) const {
  if (uid < options_.first_user || uid - options_.first_user >= kMaxClients) return uid;
  const std::lock_guard lock(mutex_);
  return slots_[uid - options_.first_user].uid.value_or(uid);
}

absl::StatusOr<Clients::Lease> Clients::Use(const std::string& caller, const std::string& id,
                                            std::function<void()> on_end) {
  const std::lock_guard lock(mutex_);
  const absl::StatusOr<ClientMap::iterator> found = Find(caller, id);
  if (!found.ok()) return found.status();
  const std::shared_ptr<Client>& client = (*found)->second;
  if (client->is_leased) {
    return Error(absl::StatusCode::kFailedPrecondition, "CLIENT_IN_USE",
                 "another stream makes calls by client '" + id + "'", {{"client", id}});
  }
  client->is_leased = true;
  client->on_end = std::move(on_end);
  client->last_use = Clock::now();
  return Lease(this, client);
}

Clients::Clock::time_point Clients::EndIdle(std::unique_lock<std::mutex>& lock) {
  auto next = Clock::time_point::max();
  for (auto each = clients_.begin(); each != clients_.end();) {
    const Client& client = *each->second;
    const Clock::time_point end =
        (client.is_calling ? Clock::now() : client.last_use) + client.idle;
    if (is_ending_ || end <= Clock::now()) {
      End(lock, each);
      each = clients_.begin();  // others came and went meanwhile
      next = Clock::time_point::max();
    } else {
      next = std::min(next, end);
      ++each;
    }
  }
  return next;
}

void Clients::Keep() {
  std::unique_lock lock(mutex_);
  while (!is_ending_) {
    for (const auto& task : std::exchange(tasks_, {})) {
      lock.unlock();
      task();
      lock.lock();
    }
    const Clock::time_point next = EndIdle(lock);
    if (!tasks_.empty() || is_ending_) continue;
    if (next == Clock::time_point::max()) {
      wakes_keeper_.wait(lock);
    } else {
      wakes_keeper_.wait_until(lock, next);
    }
  }
  EndIdle(lock);
}

}  // namespace tools::daemon::remote
