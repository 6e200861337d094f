// The services of vfio.compat.v1 that are about sessions and the host.
#ifndef TOOLS_DAEMON_SERVICES_SERVICES_H_
#define TOOLS_DAEMON_SERVICES_SERVICES_H_

#include <grpcpp/impl/service_type.h>

#include <memory>
#include <vector>

#include "tools/daemon/services/parts.h"

namespace tools::daemon {

std::unique_ptr<grpc::Service> MakeHostService(const Parts& parts);
std::unique_ptr<grpc::Service> MakeSessionsService(const Parts& parts);
std::unique_ptr<grpc::Service> MakeAddressSpacesService(const Parts& parts);
std::unique_ptr<grpc::Service> MakeActionsService(const Parts& parts);
std::unique_ptr<grpc::Service> MakeDirtyService(const Parts& parts);
std::unique_ptr<grpc::Service> MakeFaultsService(const Parts& parts);

// All of them. They are destroyed after the server that they are registered with.
std::vector<std::unique_ptr<grpc::Service>> MakeServices(const Parts& parts);

}  // namespace tools::daemon

#endif  // TOOLS_DAEMON_SERVICES_SERVICES_H_
