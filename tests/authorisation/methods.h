// The methods that the daemon serves, as it says itself.
#ifndef TESTS_AUTHORISATION_METHODS_H_
#define TESTS_AUTHORISATION_METHODS_H_

#include <grpcpp/channel.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <string>
#include <vector>

namespace tests::authorisation {

struct Method {
  std::string name;     // "/vfio.compat.v1.Host/GetInfo"
  std::string request;  // serialized
};

// All methods of all services that the daemon lists by reflection; of gRPC's own one each. Requests
// are about container 1 of `session` where they are about one, and dry runs where there are such.
std::vector<Method> MethodsOf(const std::shared_ptr<grpc::Channel>& channel,
                              const std::string& session);

// Sends one request and ends the call after the first answer, or a quarter of a second. The status
// is OK if it was answered, or admitted and not answered.
grpc::Status Call(const std::shared_ptr<grpc::Channel>& channel, const Method& method);

}  // namespace tests::authorisation

#endif  // TESTS_AUTHORISATION_METHODS_H_
