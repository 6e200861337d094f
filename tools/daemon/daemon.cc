#include "tools/daemon/daemon.h"

#include <grpcpp/ext/channelz_service_plugin.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/cli/version.h"
#include "tools/daemon/access/doors.h"
#include "tools/daemon/access/guard.h"
#include "tools/daemon/events/event_log.h"
#include "tools/daemon/health/health_service.h"
#include "tools/daemon/metrics/metrics.h"
#include "tools/daemon/remote/clients.h"
#include "tools/daemon/remote/containers_service.h"
#include "tools/daemon/services/replay_cache.h"
#include "tools/daemon/services/services.h"
#include "tools/daemon/sessions/registry.h"
#include "tools/daemon/sessions/session_server.h"
#include "tools/daemon/sockets/listen.h"
#include "tools/daemon/systemd/service_manager.h"

namespace tools::daemon {
namespace {

// Messages that are received: CallRequest has the largest, of 64 KiB and a little.
constexpr int kMaxReceived = 256 << 10;
constexpr int kMaxMetadata = 16 << 10;
// Of one connection.
constexpr int kMaxStreams = 256;
// All calls that the guard admits may wait for sessions at once; some threads wait for calls.
constexpr int kMaxThreads = 640;
constexpr size_t kMaxMemory = 512 << 20;
constexpr int kMilliseconds = 1000;
// What calls have to end on shutdown before they are cancelled.
constexpr std::chrono::milliseconds kGrace{200};

// A socket, and its file if this process has made it.
struct Listener {
  UniqueFd fd;
  std::string path;
};

absl::StatusOr<Listener> Listen(UniqueFd handed_over, const std::string& path, int type) {
  if (handed_over.ok()) return Listener{std::move(handed_over), ""};
  absl::StatusOr<UniqueFd> made = ListenAt(path, type, 0666);
  if (!made.ok()) return made.status();
  return Listener{*std::move(made), path};
}

// Bounds and what there is of gRPC's own.
void SetUp(grpc::ServerBuilder& builder) {
  builder.SetMaxReceiveMessageSize(kMaxReceived);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadata);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  // A caller that has gone without a word is found out within 80 seconds.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 60 * kMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20 * kMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS,
                             10 * kMilliseconds);
  grpc::ResourceQuota quota("vfio-compatd");
  quota.Resize(kMaxMemory).SetMaxThreads(kMaxThreads);
  builder.SetResourceQuota(quota);
}

class RunningDaemon final : public Daemon {
 public:
  RunningDaemon(const Options& options, Listener sessions, std::string socket_path,
                std::unique_ptr<Doors> doors)
      : paths_{sessions.path, std::move(socket_path)},
        doors_(std::move(doors)),
        guard_(doors_->resolver()),
        registry_(log_),
        clients_({.process = {.program = options.remote,
                              .library = options.library,
                              .control = options.session_socket}}),
        containers_(guard_, replays_, registry_, clients_),
        services_(MakeServices({.guard = guard_,
                                .registry = registry_,
                                .log = log_,
                                .replays = replays_,
                                .version = cli::kVersion,
                                .start_time = std::chrono::system_clock::now()})),
        sessions_(std::move(sessions.fd), registry_, log_, {},
                  [this](uint32_t uid) { return clients_.UserOf(uid); }) {}

  ~RunningDaemon() override {
    for (const std::string& path : paths_) {
      if (!path.empty()) unlink(path.c_str());
    }
    doors_->Close();
    metrics_.reset();
    // Watching ends.
    log_.Stop();
    if (server_) server_->Shutdown(std::chrono::system_clock::now() + kGrace);
  }

  absl::Status Serve(const Options& options) {
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
    grpc::channelz::experimental::InitChannelzService();
    grpc::ServerBuilder builder;
    SetUp(builder);
    for (const auto& service : services_) builder.RegisterService(service.get());
    builder.RegisterService(&containers_);
    builder.RegisterService(&health_);
    doors_->AddTo(builder);
    server_ = builder.BuildAndStart();
    if (!server_) {
      return absl::UnavailableError(options.network.listen + ": cannot be listened on");
    }
    if (!options.metrics.empty()) {
      auto metrics = Metrics::Serve(options.metrics, registry_);
      if (!metrics.ok()) return metrics.status();
      metrics_ = *std::move(metrics);
    }
    doors_->Open(*server_);
    return absl::OkStatus();
  }

  absl::Status Reload() override { return doors_->Reload(); }

  std::string Describe() const override {
    std::string text;
    if (doors_->port() != 0) absl::StrAppend(&text, ", network on port ", doors_->port());
    if (metrics_ != nullptr) absl::StrAppend(&text, ", metrics on port ", metrics_->port());
    return text;
  }

 private:
  // What each uses stands before it.
  const std::vector<std::string> paths_;  // of sockets that this process has made
  const std::unique_ptr<Doors> doors_;
  Guard guard_;
  EventLog log_;
  Registry registry_;
  ReplayCache replays_;
  remote::Clients clients_;
  remote::ContainersService containers_;
  HealthService health_;
  const std::vector<std::unique_ptr<grpc::Service>> services_;
  SessionServer sessions_;
  std::unique_ptr<Metrics> metrics_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<Daemon>> Daemon::Start(const Options& options) {
  absl::StatusOr<ActivationSockets> activation = TakeActivationSockets();
  if (!activation.ok()) return activation.status();
  absl::StatusOr<Listener> sessions =
      Listen(std::move(activation->session), options.session_socket, SOCK_SEQPACKET);
  if (!sessions.ok()) return sessions.status();
  absl::StatusOr<Listener> callers =
      Listen(std::move(activation->api), options.socket, SOCK_STREAM);
  if (!callers.ok()) return callers.status();
  absl::StatusOr<std::unique_ptr<Doors>> doors =
      Doors::Prepare({.listener = std::move(callers->fd),
                      .network = options.network,
                      .readers_group = options.readers_group,
                      .bounds = {}});
  if (!doors.ok()) return doors.status();
  auto daemon = std::make_unique<RunningDaemon>(options, *std::move(sessions), callers->path,
                                                *std::move(doors));
  if (absl::Status served = daemon->Serve(options); !served.ok()) return served;
  return daemon;
}

}  // namespace tools::daemon
