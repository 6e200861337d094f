// The daemon as a whole: how it starts, is told to do this and that, and ends.
#include "tests/support/daemon.h"

#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include "tests/support/certificates.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "vfio/compat/v1/containers.grpc.pb.h"
#include "vfio/compat/v1/host.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::daemon {
namespace {

namespace v1 = vfio::compat::v1;

int Listening(int type, const std::string& path) {
  const int fd = socket(AF_UNIX, type | SOCK_CLOEXEC, 0);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  EXPECT_EQ(bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0) << path;
  EXPECT_EQ(listen(fd, 8), 0);
  return fd;
}

grpc::Status GetInfo(const std::shared_ptr<grpc::Channel>& channel, v1::GetInfoResponse& response) {
  grpc::ClientContext context;
  context.set_wait_for_ready(true);
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(10));
  return v1::Host::NewStub(channel)->GetInfo(&context, {}, &response);
}

std::shared_ptr<grpc::Channel> ChannelTo(const std::string& socket) {
  return grpc::CreateChannel("unix:" + socket, grpc::InsecureChannelCredentials());
}

// What the daemon says of options that it refuses.
std::string Refusal(std::vector<std::string> options) {
  options.insert(options.begin(), tests::Runfile("tools/daemon/vfio-compatd"));
  const tests::ShortFolder folder;
  for (const std::string& each : {std::string("--socket"), folder.path() + "/c",
                                  std::string("--session-socket"), folder.path() + "/s"}) {
    options.push_back(each);
  }
  const tests::CommandResult result = tests::Command(options).Run();
  EXPECT_NE(result.status, 0);
  EXPECT_LT(result.status, 128);
  return result.errors;
}

TEST(DaemonTest, SaysWhenItIsReadyAndWhenItEnds) {
  tests::Daemon daemon({});
  ASSERT_TRUE(daemon.is_ready());
  v1::GetInfoResponse response;
  ASSERT_TRUE(GetInfo(ChannelTo(daemon.socket()), response).ok());
  EXPECT_EQ(response.caller(), "uid " + std::to_string(geteuid()));
  kill(daemon.pid(), SIGTERM);
  EXPECT_EQ(daemon.NextNotification(), "STOPPING=1");
  EXPECT_EQ(daemon.Stop(), 0);
}

TEST(DaemonTest, ServesTheSocketsOfAServiceManager) {
  const tests::ShortFolder folder;
  const std::string api = folder.path() + "/api";
  const std::vector<int> sockets = {Listening(SOCK_SEQPACKET, folder.path() + "/session"),
                                    Listening(SOCK_STREAM, api)};
  const tests::Daemon daemon({}, sockets);
  for (const int fd : sockets) close(fd);
  ASSERT_TRUE(daemon.is_ready());
  v1::GetInfoResponse response;
  const grpc::Status status = GetInfo(ChannelTo(api), response);
  EXPECT_TRUE(status.ok()) << status.error_message();
}

TEST(DaemonTest, ReadsThePolicyAgainWhenToldTo) {
  SKIP_UNLESS_INSTALLED("openssl");
  const tests::Authority authority("authority");
  const tests::CertificateFiles own =
      authority.Issue({.name = "daemon", .alternatives = "IP:127.0.0.1"});
  const tests::CertificateFiles client = authority.Issue({.name = "client", .serial = "2"});
  const std::string policy = std::string(std::getenv("TEST_TMPDIR")) + "/policy";
  ASSERT_TRUE(tests::WriteFile(policy, "role client reader\n"));
  tests::Daemon daemon({"--listen", "127.0.0.1:0", "--tls-cert", own.certificate, "--tls-key",
                        own.key, "--tls-ca", authority.certificate(), "--policy", policy});
  const auto channel = grpc::CreateChannel(
      "127.0.0.1:" + std::to_string(daemon.PortOf("network")),
      grpc::SslCredentials({.pem_root_certs = tests::ReadFile(authority.certificate()),
                            .pem_private_key = tests::ReadFile(client.key),
                            .pem_cert_chain = tests::ReadFile(client.certificate)}));
  v1::GetInfoResponse response;
  ASSERT_TRUE(GetInfo(channel, response).ok());
  EXPECT_EQ(response.caller_role(), v1::ROLE_READER);
  EXPECT_EQ(response.caller(), "client");

  ASSERT_TRUE(tests::WriteFile(policy, "role client king\n"));
  daemon.Reload();
  ASSERT_TRUE(GetInfo(channel, response).ok());
  EXPECT_EQ(response.caller_role(), v1::ROLE_READER) << "a bad policy changes nothing";

  ASSERT_TRUE(tests::WriteFile(policy, "role client admin\n"));
  daemon.Reload();
  ASSERT_TRUE(GetInfo(channel, response).ok());
  EXPECT_EQ(response.caller_role(), v1::ROLE_ADMIN);

  ASSERT_TRUE(tests::WriteFile(policy, "role client admin\nrevoke 2\n"));
  daemon.Reload();
  EXPECT_EQ(GetInfo(channel, response).error_code(), grpc::StatusCode::UNAUTHENTICATED);
}

TEST(DaemonTest, ListensOnNoNetworkWithoutCertificates) {
  EXPECT_NE(Refusal({"--listen", "127.0.0.1:0"}).find("--tls-cert is missing"), std::string::npos);
  EXPECT_NE(Refusal({"--policy", "/dev/null"}).find("--listen is missing"), std::string::npos);
}

TEST(DaemonTest, RefusesWhatIsNotThere) {
  EXPECT_NE(Refusal({"--readers-group", "no such group"}).find("no such group"), std::string::npos);
  EXPECT_NE(Refusal({"--metrics", "nonsense"}).find("nonsense"), std::string::npos);
  EXPECT_NE(Refusal({"--log-level", "loud"}).find("loud"), std::string::npos);
}

TEST(DaemonTest, ServesMetrics) {
  SKIP_UNLESS_INSTALLED("curl");
  const tests::Daemon daemon({"--metrics", "127.0.0.1:0"});
  ASSERT_TRUE(daemon.is_ready());
  const tests::CommandResult result =
      tests::Command({"curl", "--silent", "--show-error",
                      "http://127.0.0.1:" + std::to_string(daemon.PortOf("metrics")) + "/metrics"})
          .Run();
  EXPECT_NE(result.output.find("vfio_compat_sessions{backend=\"software\"} 0"), std::string::npos)
      << result.output << result.errors;
}

// Opens a client on the daemon.
v1::Client OpenClient(v1::Containers::Stub& containers, const v1::OpenClientRequest& request) {
  v1::Client client;
  grpc::ClientContext context;
  const grpc::Status status = containers.OpenClient(&context, request, &client);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return client;
}

// The status of a stream of one call, which makes an eventfd.
grpc::Status MakeEventfd(v1::Containers::Stub& containers, const std::string& client) {
  grpc::ClientContext context;
  const auto stream = containers.Call(&context);
  v1::CallRequest request;
  request.set_client(client);
  request.mutable_eventfd();
  stream->Write(request);
  stream->WritesDone();
  v1::CallResponse response;
  while (stream->Read(&response)) EXPECT_GE(response.result(), 0);
  return stream->Finish();
}

v1::Session GetSession(const std::shared_ptr<grpc::Channel>& channel, const std::string& id) {
  v1::GetSessionRequest request;
  request.set_session(id);
  v1::Session session;
  grpc::ClientContext context;
  const grpc::Status status =
      v1::Sessions::NewStub(channel)->GetSession(&context, request, &session);
  EXPECT_TRUE(status.ok()) << status.error_message();
  return session;
}

TEST(DaemonTest, ClientsOfContainersAreSessions) {
  const tests::Daemon daemon({});
  ASSERT_TRUE(daemon.is_ready());
  const auto channel = ChannelTo(daemon.socket());
  const auto containers = v1::Containers::NewStub(channel);
  v1::OpenClientRequest request;
  request.set_request_id("once");
  const v1::Client client = OpenClient(*containers, request);
  EXPECT_EQ(OpenClient(*containers, request).id(), client.id()) << "carried out once";
  const v1::Session session = GetSession(channel, client.session());
  EXPECT_EQ(session.backend(), v1::BACKEND_SOFTWARE);
  EXPECT_EQ(session.command().substr(0, 18), "vfio-compat-remote");
}

TEST(DaemonTest, TheEndOfAClientsProcessIsAnErrorOfTheCall) {
  const tests::Daemon daemon({});
  ASSERT_TRUE(daemon.is_ready());
  const auto channel = ChannelTo(daemon.socket());
  const auto containers = v1::Containers::NewStub(channel);
  const v1::Client client = OpenClient(*containers, {});
  EXPECT_TRUE(MakeEventfd(*containers, client.id()).ok());
  ASSERT_EQ(kill(GetSession(channel, client.session()).pid(), SIGKILL), 0);
  EXPECT_EQ(MakeEventfd(*containers, client.id()).error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_TRUE(MakeEventfd(*containers, OpenClient(*containers, {}).id()).ok());
}

TEST(DaemonTest, AStreamEndsWithItsClient) {
  const tests::Daemon daemon({});
  ASSERT_TRUE(daemon.is_ready());
  const auto containers = v1::Containers::NewStub(ChannelTo(daemon.socket()));
  v1::OpenClientRequest request;
  request.set_idle_seconds(1);
  v1::CallRequest call;
  call.set_client(OpenClient(*containers, request).id());
  call.mutable_eventfd();
  grpc::ClientContext context;
  const auto stream = containers->Call(&context);
  v1::CallResponse response;
  ASSERT_TRUE(stream->Write(call));
  ASSERT_TRUE(stream->Read(&response));
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::StatusCode::CANCELLED);
}

}  // namespace
}  // namespace tools::daemon
