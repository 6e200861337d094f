// The service Containers of vfio.compat.v1.
#ifndef TOOLS_DAEMON_REMOTE_CONTAINERS_SERVICE_H_
#define TOOLS_DAEMON_REMOTE_CONTAINERS_SERVICE_H_

#include <sys/types.h>

#include <string>

#include "tools/daemon/access/guard.h"
#include "tools/daemon/remote/clients.h"
#include "tools/daemon/services/replay_cache.h"
#include "tools/daemon/sessions/registry.h"
#include "vfio/compat/v1/containers.grpc.pb.h"

namespace tools::daemon::remote {

class ContainersService final : public vfio::compat::v1::Containers::Service {
 public:
  // All outlive it. `registry` is where the processes become sessions.
  ContainersService(Guard& guard, ReplayCache& replays, const Registry& registry, Clients& clients)
      : guard_(guard), replays_(replays), registry_(registry), clients_(clients) {}

  grpc::Status OpenClient(grpc::ServerContext* context,
                          const vfio::compat::v1::OpenClientRequest* request,
                          vfio::compat::v1::Client* response) override;
  grpc::Status CloseClient(grpc::ServerContext* context,
                           const vfio::compat::v1::CloseClientRequest* request,
                           vfio::compat::v1::CloseClientResponse* response) override;
  grpc::Status ListClients(grpc::ServerContext* context,
                           const vfio::compat::v1::ListClientsRequest* request,
                           vfio::compat::v1::ListClientsResponse* response) override;
  grpc::Status Call(grpc::ServerContext* context,
                    grpc::ServerReaderWriter<vfio::compat::v1::CallResponse,
                                             vfio::compat::v1::CallRequest>* stream) override;

 private:
  absl::Status Open(const Caller& caller, const vfio::compat::v1::OpenClientRequest& request,
                    vfio::compat::v1::Client& response);
  absl::Status MakeCalls(const Caller& caller, grpc::ServerContext& context,
                         grpc::ServerReaderWriter<vfio::compat::v1::CallResponse,
                                                  vfio::compat::v1::CallRequest>& stream);
  // Session.id of a process; empty if it is none.
  std::string SessionOf(pid_t pid) const;

  Guard& guard_;
  ReplayCache& replays_;
  const Registry& registry_;
  Clients& clients_;
};

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_CONTAINERS_SERVICE_H_
