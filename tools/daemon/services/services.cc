#include "tools/daemon/services/services.h"

namespace tools::daemon {

std::vector<std::unique_ptr<grpc::Service>> MakeServices(const Parts& parts) {
  std::vector<std::unique_ptr<grpc::Service>> services;
  services.push_back(MakeHostService(parts));
  services.push_back(MakeSessionsService(parts));
  services.push_back(MakeAddressSpacesService(parts));
  services.push_back(MakeActionsService(parts));
  services.push_back(MakeDirtyService(parts));
  services.push_back(MakeFaultsService(parts));
  return services;
}

}  // namespace tools::daemon
