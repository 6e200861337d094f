// The service Containers of vfio.compat.v1.
#ifndef TOOLS_DAEMON_REMOTE_CONTAINERS_SERVICE_H_
#define TOOLS_DAEMON_REMOTE_CONTAINERS_SERVICE_H_

#include <functional>
#include <string>
#include <utility>

#include "tools/daemon/access/caller.h"
#include "tools/daemon/remote/clients.h"
#include "vfio/compat/v1/containers.grpc.pb.h"

namespace tools::daemon::remote {

class ContainersService final : public vfio::compat::v1::Containers::Service {
 public:
  // Waits a second at most for the session (Session.id) that a process becomes; empty if there is
  // none.
  using FindSession = std::function<std::string(pid_t)>;

  // All outlive it.
  ContainersService(const CallerResolver& resolver, Clients& clients, FindSession find_session)
      : resolver_(resolver), clients_(clients), find_session_(std::move(find_session)) {}

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
  const CallerResolver& resolver_;
  Clients& clients_;
  const FindSession find_session_;
};

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_CONTAINERS_SERVICE_H_
