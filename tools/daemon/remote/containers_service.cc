#include "tools/daemon/remote/containers_service.h"

#include <chrono>
#include <cstdint>
#include <optional>

#include "tools/daemon/errors/errors.h"
#include "tools/daemon/remote/call_translation.h"
#include "tools/daemon/remote/client_settings.h"

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

void Describe(const ClientInfo& client, const std::string& session, ClientMessage& message) {
  message.set_id(client.id);
  message.set_session(session);
  const auto since = client.start_time.time_since_epoch();
  const auto seconds = std::chrono::duration_cast<std::chrono::seconds>(since);
  message.mutable_start_time()->set_seconds(seconds.count());
  message.mutable_start_time()->set_nanos(
      static_cast<int32_t>(std::chrono::nanoseconds(since - seconds).count()));
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

grpc::Status ContainersService::OpenClient(grpc::ServerContext* context,
                                           const OpenClientRequest* request,
                                           ClientMessage* response) {
  const absl::StatusOr<Caller> caller = resolver_.Resolve(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  const absl::StatusOr<ClientSettings> settings = ReadSettings(*request);
  if (!settings.ok()) return ToGrpc(settings.status());
  const absl::StatusOr<ClientInfo> client = clients_.Open({caller->name, caller->uid}, *settings);
  if (!client.ok()) return ToGrpc(client.status());
  Describe(*client, find_session_(client->pid), *response);
  return grpc::Status::OK;
}

grpc::Status ContainersService::CloseClient(grpc::ServerContext* context,
                                            const CloseClientRequest* request,
                                            CloseClientResponse* /*response*/) {
  const absl::StatusOr<Caller> caller = resolver_.Resolve(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  return ToGrpc(clients_.Close(caller->name, request->client()));
}

grpc::Status ContainersService::ListClients(grpc::ServerContext* context,
                                            const ListClientsRequest* /*request*/,
                                            ListClientsResponse* response) {
  const absl::StatusOr<Caller> caller = resolver_.Resolve(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  for (const ClientInfo& client : clients_.List(caller->name)) {
    Describe(client, find_session_(client.pid), *response->add_clients());
  }
  return grpc::Status::OK;
}

grpc::Status ContainersService::Call(grpc::ServerContext* context,
                                     grpc::ServerReaderWriter<CallResponse, CallRequest>* stream) {
  const absl::StatusOr<Caller> caller = resolver_.Resolve(*context);
  if (!caller.ok()) return ToGrpc(caller.status());
  CallRequest request;
  CallResponse response;
  if (!stream->Read(&request)) return grpc::Status::OK;
  const std::string id = request.client();
  absl::StatusOr<Clients::Lease> lease =
      clients_.Use(caller->name, id, [context] { context->TryCancel(); });
  if (!lease.ok()) return ToGrpc(lease.status());
  do {
    if (request.client() != id) {
      return ToGrpc(InvalidField("client", "another one than the stream began with"));
    }
    const absl::Status status = MakeCall(*lease, request, response);
    if (!status.ok()) return ToGrpc(status);
    if (!stream->Write(response)) break;
  } while (stream->Read(&request));
  return grpc::Status::OK;
}

}  // namespace tools::daemon::remote
