#include "tools/control/client.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>

#include <chrono>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "google/rpc/error_details.pb.h"
#include "google/rpc/status.pb.h"
#include "tools/control/format.h"
#include "tools/files/read_file.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

// Digits of Session.id.
constexpr size_t kIdLength = 16;
constexpr size_t kLeastBeginning = 4;

bool IsPath(const std::string& host) { return host.rfind("unix:", 0) == 0; }

Failure ReadFile(const char* option, const std::string& path, std::string& text) {
  if (path.empty()) {
    return {cli::kUsage, std::string("a daemon on the network needs ") + option};
  }
  absl::StatusOr<std::string> read = files::ReadFile(path);
  if (!read.ok()) return {cli::kUsage, absl::StrCat(option, " ", read.status().message())};
  text = *std::move(read);
  return {};
}

Failure MakeCredentials(const CommonOptions& options,
                        std::shared_ptr<grpc::ChannelCredentials>& credentials) {
  if (IsPath(options.host)) {
    credentials = grpc::InsecureChannelCredentials();
    return {};
  }
  grpc::SslCredentialsOptions tls;
  if (Failure failure = ReadFile("--tls-ca", options.tls_ca, tls.pem_root_certs)) return failure;
  if (Failure failure = ReadFile("--tls-cert", options.tls_cert, tls.pem_cert_chain))
    return failure;
  if (Failure failure = ReadFile("--tls-key", options.tls_key, tls.pem_private_key)) return failure;
  credentials = grpc::SslCredentials(tls);
  return {};
}

// The fields that the details of `status` complain of, each with why, as far as the message does
// not say so itself.
std::string FieldsOf(const grpc::Status& status) {
  google::rpc::Status details;
  if (!details.ParseFromString(status.error_details())) return "";
  std::string text;
  for (const google::protobuf::Any& detail : details.details()) {
    google::rpc::BadRequest bad;
    if (!detail.UnpackTo(&bad)) continue;
    for (const auto& violation : bad.field_violations()) {
      const std::string problem = violation.field() + ": " + violation.description();
      if (status.error_message().find(problem) == std::string::npos) text += "; " + problem;
    }
  }
  return text;
}

std::string OneLine(std::string text) {
  for (char& c : text) {
    if (c == '\n' || c == '\r') c = ' ';
  }
  return text;
}

// Whether `text` is the beginning of an id: long enough not to be taken for a process id.
bool IsBeginning(const std::string& text, const v1::Session& session) {
  return text.size() >= kLeastBeginning && session.id().rfind(text, 0) == 0;
}

}  // namespace

Failure Explain(std::string_view what, const grpc::Status& status) {
  if (status.ok()) return {};
  std::string text = std::string(what) + ": ";
  if (status.error_code() == grpc::StatusCode::UNAVAILABLE && status.error_details().empty()) {
    text += "the daemon cannot be reached: ";
  } else if (status.error_code() == grpc::StatusCode::DEADLINE_EXCEEDED) {
    text += "no answer in time: ";
  }
  return {kRefused, text + OneLine(status.error_message()) + FieldsOf(status)};
}

Failure Client::Open(const CommonOptions& options, std::unique_ptr<Client>& client) {
  CommonOptions complete = options;
  if (complete.host.empty()) complete.host = kDefaultDaemon;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (Failure failure = MakeCredentials(complete, credentials)) return failure;
  grpc::ChannelArguments arguments;
  // No other daemon would be meant, and no proxy leads to this one.
  arguments.SetInt("grpc.enable_http_proxy", 0);
  auto channel = grpc::CreateCustomChannel(complete.host, credentials, arguments);
  client.reset(new Client(complete, std::move(channel)));
  return {};
}

void Client::SetDeadline(grpc::ClientContext& context) const {
  const auto limit = std::chrono::duration<double>(options_.timeout);
  context.set_deadline(std::chrono::system_clock::now() +
                       std::chrono::duration_cast<std::chrono::system_clock::duration>(limit));
}

Failure Client::ListSessions(std::vector<v1::Session>& sessions) const {
  v1::ListSessionsRequest request;
  v1::ListSessionsResponse response;
  do {
    request.set_page_token(response.next_page_token());
    const grpc::Status status =
        Call<v1::Sessions>(&v1::Sessions::Stub::ListSessions, request, &response);
    if (!status.ok()) return Explain("sessions", status);
    sessions.insert(sessions.end(), response.sessions().begin(), response.sessions().end());
  } while (!response.next_page_token().empty());
  return {};
}

Failure Client::FindSession(const std::string& text, std::string& id) const {
  if (text.size() == kIdLength) {
    id = text;
    return {};
  }
  std::vector<v1::Session> sessions;
  if (Failure failure = ListSessions(sessions)) return failure;
  std::vector<std::string> found;
  for (const v1::Session& session : sessions) {
    if (text == std::to_string(session.pid())) {
      id = session.id();
      return {};
    }
    if (IsBeginning(text, session)) found.push_back(session.id());
  }
  if (found.size() == 1) {
    id = found.front();
    return {};
  }
  if (found.empty()) return {kRefused, "no session " + text + ": vfio-compat ps lists them"};
  return {kRefused, "session " + text + " could be " + found[0] + " or " + found[1]};
}

Failure Client::GetSession(const std::string& id, v1::Session& session) const {
  v1::GetSessionRequest request;
  request.set_session(id);
  return Explain("session " + id,
                 Call<v1::Sessions>(&v1::Sessions::Stub::GetSession, request, &session));
}

Failure Client::FindContainer(const std::string& id, uint32_t number, uint32_t& found) const {
  found = number;
  if (number != 0) return {};
  v1::Session session;
  if (Failure failure = GetSession(id, session)) return failure;
  std::string numbers;
  for (const v1::Container& container : session.containers()) {
    if (container.type() == v1::CONTAINER_TYPE_UNSPECIFIED) continue;
    numbers += (numbers.empty() ? "" : ", ") + std::to_string(container.number());
    found = found == 0 ? container.number() : UINT32_MAX;
  }
  for (const v1::Ioas& ioas : session.ioases()) {
    numbers += (numbers.empty() ? "" : ", ") + Hex(ioas.number());
    found = found == 0 ? ioas.number() : UINT32_MAX;
  }
  if (numbers.empty()) {
    return {kRefused, "session " + session.id() + " has no container with an IOMMU, and no IOAS"};
  }
  if (found == UINT32_MAX) {
    return {cli::kUsage,
            "session " + session.id() + " has containers " + numbers + ": --container chooses"};
  }
  return {};
}

}  // namespace tools::control
