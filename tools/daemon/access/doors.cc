#include "tools/daemon/access/doors.h"

#include <grp.h>
#include <grpcpp/server.h>
#include <spdlog/spdlog.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "tools/daemon/access/own_services_gate.h"

namespace tools::daemon {
namespace {

absl::StatusOr<std::optional<gid_t>> FindReaders(const std::string& named) {
  const std::string name = named.empty() ? kReadersGroup : named;
  std::vector<char> buffer(1 << 20);
  group entry{};
  group* found = nullptr;
  getgrnam_r(name.c_str(), &entry, buffer.data(), buffer.size(), &found);
  if (found != nullptr) return found->gr_gid;
  if (named.empty()) return std::nullopt;
  return absl::InvalidArgumentError("there is no group '" + name + "'");
}

}  // namespace

Doors::Doors(DoorOptions options, std::shared_ptr<grpc::ServerCredentials> credentials,
             std::optional<gid_t> readers)
    : listener_(std::move(options.listener)),
      network_(std::move(options.network)),
      credentials_(std::move(credentials)),
      policy_(network_.policy),
      peers_(options.bounds),
      resolver_(peers_, policy_, readers) {}

absl::StatusOr<std::unique_ptr<Doors>> Doors::Prepare(DoorOptions options) {
  auto credentials = NetworkCredentials(options.network);
  if (!credentials.ok()) return credentials.status();
  const absl::StatusOr<std::optional<gid_t>> readers = FindReaders(options.readers_group);
  if (!readers.ok()) return readers.status();
  std::unique_ptr<Doors> doors(new Doors(std::move(options), *std::move(credentials), *readers));
  absl::Status policy = doors->Reload();
  if (!policy.ok()) return policy;
  return doors;
}

void Doors::AddTo(grpc::ServerBuilder& builder) {
  if (credentials_ != nullptr) builder.AddListeningPort(network_.listen, credentials_, &port_);
  std::vector<std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>> gates;
  gates.push_back(std::make_unique<OwnServicesGate>(resolver_));
  builder.experimental().SetInterceptorCreators(std::move(gates));
}

void Doors::Open(grpc::Server& server) {
  if (!listener_.ok()) return;
  acceptor_ = std::make_unique<Acceptor>(
      std::move(listener_), peers_, server,
      [](const std::string& why) { spdlog::warn("a connection was refused: {}", why); });
}

absl::Status Doors::Reload() {
  if (network_.policy.empty()) return absl::OkStatus();
  const absl::Status status = policy_.Load();
  return status.ok() ? absl::OkStatus() : absl::InvalidArgumentError(status.message());
}

}  // namespace tools::daemon
