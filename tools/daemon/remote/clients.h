// The processes that make calls for callers: bounded, each its caller's own, ended when they are
// not used.
#ifndef TOOLS_DAEMON_REMOTE_CLIENTS_H_
#define TOOLS_DAEMON_REMOTE_CLIENTS_H_

#include <array>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "compat/settings/settings.h"
#include "tools/daemon/remote/process.h"

namespace tools::daemon::remote {

inline constexpr size_t kMaxClients = 64;
inline constexpr size_t kMaxClientsOfCaller = 8;

struct ClientsOptions {
  ProcessOptions process;
  // Where the daemon is root, clients are users of their own: this one and the 63 above it. They
  // need no names and should be nobody else's.
  uint32_t first_user = 0x7ffe0000;
};

// How a client is to be.
struct ClientSettings {
  compat::settings::Settings host;  // its devices have no images
  uint64_t disk_bytes = 0;
  std::chrono::milliseconds idle{60'000};
};

// Who opens and uses clients.
struct ClientOwner {
  std::string name;  // Caller::name
  std::optional<uint32_t> uid;
};

// What is known of a client.
struct ClientInfo {
  std::string id;
  pid_t pid = 0;
  std::chrono::system_clock::time_point start_time;
};

// Used by many threads at once. Callers are known by Caller::name.
class Clients {
 private:
  struct Client;

 public:
  // The right to make calls, which one stream at a time has.
  class Lease {
   public:
    Lease(Lease&&) = default;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    // Process::Make; the client counts as used.
    absl::StatusOr<Answer> Make(const Call& call, absl::string_view bytes, std::string& out);

   private:
    friend class Clients;
    Lease(Clients* clients, std::shared_ptr<Client> client)
        : clients_(clients), client_(std::move(client)) {}

    void SetCalling(bool is_calling);

    Clients* clients_;
    std::shared_ptr<Client> client_;
  };

  explicit Clients(ClientsOptions options);
  Clients(const Clients&) = delete;
  Clients& operator=(const Clients&) = delete;
  // Ends them all. There must be no leases any more.
  ~Clients();

  // Whether clients become sessions.
  bool has_control() const { return !options_.process.control.empty(); }

  // Starts a client; its host is there when this returns. kResourceExhausted if the caller, or all
  // of them, have too many; kUnavailable.
  absl::StatusOr<ClientInfo> Open(const ClientOwner& owner, const ClientSettings& settings);

  // Ends one. kNotFound if the caller has none of that id.
  absl::Status Close(const std::string& caller, const std::string& id);

  // The caller's, by id.
  std::vector<ClientInfo> List(const std::string& caller) const;

  // Whose sessions a process of user `uid` is: clients that are users of their own are sessions of
  // the users that opened them. Other users are who they are.
  uint32_t UserOf(uint32_t uid) const;

  // Makes calls possible. `on_end` is called, by another thread, if the client ends meanwhile.
  // kNotFound; kFailedPrecondition if there is another lease.
  absl::StatusOr<Lease> Use(const std::string& caller, const std::string& id,
                            std::function<void()> on_end);

 private:
  using Clock = std::chrono::steady_clock;
  using ClientMap = std::map<std::string, std::shared_ptr<Client>>;

  absl::StatusOr<size_t> ReserveSlot(const ClientOwner& owner);
  void FreeSlot(size_t slot);
  absl::StatusOr<std::unique_ptr<Process>> Start(const ClientSettings& settings, size_t slot);
  absl::StatusOr<ClientMap::iterator> Find(const std::string& caller, const std::string& id);
  void End(std::unique_lock<std::mutex>& lock, ClientMap::iterator found);
  void Keep();
  // Ends what was not used for its idle time. Returns when to look again.
  Clock::time_point EndIdle(std::unique_lock<std::mutex>& lock);

  const ClientsOptions options_;
  mutable std::mutex mutex_;
  std::condition_variable wakes_keeper_;
  ClientMap clients_;
  // Whose each slot is; without a name: nobody's.
  std::array<ClientOwner, kMaxClients> slots_;
  std::vector<std::function<void()>> tasks_;
  bool is_ending_ = false;
  // Starts all processes: they die with the thread that does so.
  std::thread keeper_;
};

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_CLIENTS_H_
