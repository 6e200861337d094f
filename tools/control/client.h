// A daemon, as the commands speak to it.
#ifndef TOOLS_CONTROL_CLIENT_H_
#define TOOLS_CONTROL_CLIENT_H_

#include <grpcpp/channel.h>
#include <grpcpp/client_context.h>
#include <grpcpp/support/status.h>

#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "tools/cli/exit_status.h"
#include "tools/control/options.h"

namespace vfio::compat::v1 {
class Session;
class Container;
}  // namespace vfio::compat::v1

namespace tools::control {

// The exit status where the daemon cannot be reached or refuses.
inline constexpr int kRefused = 1;

// Where the local daemon listens.
inline constexpr char kDefaultDaemon[] = "unix:/run/vfio-compat/control.sock";

// Why a command ends early; empty if it does not.
using Failure = cli::Failure;

// One line about a call that failed: what the status says, and the fields that its details name.
Failure Explain(std::string_view what, const grpc::Status& status);

class Client {
 public:
  // Reads certificates where `options` name a host on the network. Fails on options that do not go
  // together and files that cannot be read; the daemon is called first with the first call.
  static Failure Open(const CommonOptions& options, std::unique_ptr<Client>& client);

  const CommonOptions& options() const { return options_; }
  const std::shared_ptr<grpc::Channel>& channel() const { return channel_; }

  // Makes a call of `Service` with the time limit of the options: `method` is a member function of
  // its stub, as in Call<Host>(&Host::Stub::GetInfo, request, response).
  template <typename Service, typename Request, typename Response>
  grpc::Status Call(grpc::Status (Service::Stub::*method)(grpc::ClientContext*, const Request&,
                                                          Response*),
                    const std::type_identity_t<Request>& request,
                    std::type_identity_t<Response>* response) const {
    grpc::ClientContext context;
    SetDeadline(context);
    typename Service::Stub stub(channel_);
    return (stub.*method)(&context, request, response);
  }

  // Gives a call its time limit.
  void SetDeadline(grpc::ClientContext& context) const;

  // All sessions that the caller may see, in the order of their ids.
  Failure ListSessions(std::vector<vfio::compat::v1::Session>& sessions) const;
  // Turns an id, its first four digits or more, or a process id, which goes first, into the id of
  // the one session that it means.
  Failure FindSession(const std::string& text, std::string& id) const;
  // The session, whole.
  Failure GetSession(const std::string& id, vfio::compat::v1::Session& session) const;
  // The container or IOAS that `number` means; for 0 the only one of the session that has an IOMMU.
  Failure FindContainer(const std::string& id, uint32_t number, uint32_t& found) const;

 private:
  Client(const CommonOptions& options, std::shared_ptr<grpc::Channel> channel)
      : options_(options), channel_(std::move(channel)) {}

  CommonOptions options_;
  std::shared_ptr<grpc::Channel> channel_;
};

}  // namespace tools::control

#endif  // TOOLS_CONTROL_CLIENT_H_
