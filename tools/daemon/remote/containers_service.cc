#include "tools/daemon/remote/containers_service.h"

#include <chrono>
#include <cstdint>
#include <memory>
#include <thread>

#include "tools/daemon/errors/errors.h"
#include "tools/daemon/remote/call_translation.h"
#include "tools/daemon/remote/client_settings.h"
#include "tools/daemon/services/once.h"
#include "tools/daemon/services/requests.h"
#include "tools/daemon/sessions/session.h"

namespace tools::daemon::remote {
namespace {

using vfio::compat::v1::CallRequest;
using vfio::compat::v1::CallResponse;
using vfio::compat::v1::CloseClientRequest;
using vfio::compat::v1::CloseClientResponse;
using vfio::compat::v1::ListClientsRequest;
using vfio::compat::v1::ListClientsResponse;
using vfio::compat::v1::OpenClientRequest;
using ClientMessage = vfio::compat::v1::Client;

// How long a process may take to become a session, and how often to look.
constexpr std::chrono::seconds kSessionTime{1};
constexpr std::chrono::milliseconds kSessionPause{2};

void Describe(const ClientInfo& client, const std::string& session, ClientMessage& message) {
  message.set_id(client.id);
  message.set_session(session);
  const auto since = client.start_time.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  message.mutable_start_time()->set_seconds(seconds.count());
  message.mutable_start_time()->set_nanos(static_cast<int32_t>(
      std::chrono::duration_cast<std::chrono::nanoseconds>(since - seconds).count()));
}

// Makes one call. The answer goes into `response`.
absl::Status MakeCall(Clients::Lease& lease, const CallRequest& request, CallResponse& response) {
  const absl::StatusOr<TranslatedCall> call = Translate(request);
  if (!call.ok()) return call.status();
  response.Clear();
  const absl::StatusOr<Answer> answer =
      lease.Make(call->call, call->bytes, *response.mutable_bytes());
  if (!answer.ok()) return answer.status();
  response.set_result(answer->result);
  response.set_error(answer->error);
  return absl::OkStatus();
}

}  // namespace

std::string ContainersService::SessionOf(pid_t pid) const {
  for (const std::shared_ptr<Session>& session : registry_.List()) {
    if (session->identity().pid == pid) return SessionName(session->identity().id);
  }
  return "";
}

absl::Status ContainersService::Open(const Caller& caller, const OpenClientRequest& request,
                                     ClientMessage& response) {
  const absl::StatusOr<ClientSettings> settings = ReadSettings(request);
  if (!settings.ok()) return settings.status();
  const absl::StatusOr<ClientInfo> client = clients_.Open({caller.name, caller.uid}, *settings);
  if (!client.ok()) return client.status();
  // The process has said who it is, or is about to.
  const auto end = Clock::now() + kSessionTime;
  std::string session = SessionOf(client->pid);
  while (session.empty() && clients_.has_control() && Clock::now() < end) {
    std::this_thread::sleep_for(kSessionPause);
    session = SessionOf(client->pid);
  }
  Describe(*client, session, response);
  return absl::OkStatus();
}

grpc::Status ContainersService::OpenClient(grpc::ServerContext* context,
                                           const OpenClientRequest* request,
                                           ClientMessage* response) {
  constexpr char kMethod[] = "Containers.OpenClient";
  return Guarded(guard_, *context, kMethod, [&](const Guard::Admission& admission) {
    return Once(replays_, admission, kMethod, *request, false, *response,
                [&] { return Open(admission.caller, *request, *response); });
  });
}

grpc::Status ContainersService::CloseClient(grpc::ServerContext* context,
                                            const CloseClientRequest* request,
                                            CloseClientResponse* /*response*/) {
  return Guarded(guard_, *context, "Containers.CloseClient",
                 [&](const Guard::Admission& admission) {
                   return clients_.Close(admission.caller.name, request->client());
                 });
}

grpc::Status ContainersService::ListClients(grpc::ServerContext* context,
                                            const ListClientsRequest* /*request*/,
                                            ListClientsResponse* response) {
  return Guarded(guard_, *context, "Containers.ListClients",
                 [&](const Guard::Admission& admission) {
                   for (const ClientInfo& client : clients_.List(admission.caller.name)) {
                     Describe(client, SessionOf(client.pid), *response->add_clients());
                   }
                   return absl::OkStatus();
                 });
}

absl::Status ContainersService::MakeCalls(
    const Caller& caller, grpc::ServerContext& context,
    grpc::ServerReaderWriter<CallResponse, CallRequest>& stream) {
  CallRequest request;
  CallResponse response;
  if (!stream.Read(&request)) return absl::OkStatus();
  const std::string id = request.client();
  absl::StatusOr<Clients::Lease> lease =
      clients_.Use(caller.name, id, [&context] { context.TryCancel(); });
  if (!lease.ok()) return lease.status();
  do {
    if (request.client() != id) {
      return InvalidField("client", "another one than the stream began with");
    }
    absl::Status status = MakeCall(*lease, request, response);
    if (!status.ok()) return status;
    if (!stream.Write(response)) break;
  } while (stream.Read(&request));
  return absl::OkStatus();
}

grpc::Status ContainersService::Call(grpc::ServerContext* context,
                                     grpc::ServerReaderWriter<CallResponse, CallRequest>* stream) {
  return Guarded(guard_, *context, "Containers.Call", [&](const Guard::Admission& admission) {
    return MakeCalls(admission.caller, *context, *stream);
  });
}

}  // namespace tools::daemon::remote
