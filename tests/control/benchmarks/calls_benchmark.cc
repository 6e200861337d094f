// What calls to the daemon cost over its Unix socket: unary ones beside those of the least service
// that the same gRPC can serve, and mappings streamed.
#include <benchmark/benchmark.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/server.h>
#include <grpcpp/server_builder.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <memory>
#include <string>

#include "hello.grpc.pb.h"
#include "tests/control/benchmarks/daemon_process.h"
#include "tools/daemon/testing/fake_program.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"
#include "vfio/compat/v1/host.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tests::control {
namespace {

namespace v1 = vfio::compat::v1;
using tools::daemon::testing::FakeModel;
using tools::daemon::testing::FakeProgram;

constexpr uint64_t kSession = 0x1234;
constexpr uint64_t kMappings = 1'000'000;

class Greeter final : public hello::Greeter::Service {
  grpc::Status SayHello(grpc::ServerContext* /*context*/, const hello::HelloRequest* request,
                        hello::HelloReply* reply) override {
    reply->set_message("Hello " + request->name());
    return grpc::Status::OK;
  }
};

// Serves greetings in a process of its own, as the daemon is one.
class GreeterProcess {
 public:
  GreeterProcess() : socket_("/tmp/vfio-compat-greeter-" + std::to_string(getpid())) {
    process_ = fork();
    if (process_ != 0) return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    Greeter greeter;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(target(), grpc::InsecureServerCredentials());
    builder.RegisterService(&greeter);
    builder.BuildAndStart()->Wait();
    _exit(0);
  }
  ~GreeterProcess() {
    kill(process_, SIGKILL);
    waitpid(process_, nullptr, 0);
    unlink(socket_.c_str());
  }
  GreeterProcess(const GreeterProcess&) = delete;
  GreeterProcess& operator=(const GreeterProcess&) = delete;

  std::string target() const { return "unix:" + socket_; }

 private:
  std::string socket_;
  pid_t process_;
};

// Everything that is measured. The greeter goes first: gRPC does not survive a fork.
struct Servers {
  GreeterProcess greeter;
  DaemonProcess daemon;
  FakeProgram program{kSession, FakeModel::WithMappings(kMappings)};
};
std::unique_ptr<Servers> servers;

std::shared_ptr<grpc::Channel> Connect(const std::string& target) {
  grpc::ChannelArguments arguments;
  // A connection each, though there are others to the same server.
  arguments.SetInt("grpc.use_local_subchannel_pool", 1);
  return grpc::CreateCustomChannel(target, grpc::InsecureChannelCredentials(), arguments);
}

void Hello(benchmark::State& state) {
  const auto stub = hello::Greeter::NewStub(Connect(servers->greeter.target()));
  hello::HelloRequest request;
  request.set_name("world");
  for (auto _ : state) {
    grpc::ClientContext context;
    context.set_wait_for_ready(true);
    hello::HelloReply reply;
    if (!stub->SayHello(&context, request, &reply).ok()) state.SkipWithError("SayHello failed");
  }
  state.SetItemsProcessed(state.iterations());
}

void GetInfo(benchmark::State& state) {
  const auto stub = v1::Host::NewStub(Connect(servers->daemon.target()));
  for (auto _ : state) {
    grpc::ClientContext context;
    v1::GetInfoResponse response;
    if (!stub->GetInfo(&context, {}, &response).ok()) state.SkipWithError("GetInfo failed");
  }
  state.SetItemsProcessed(state.iterations());
}

// Which asks the program as well.
void GetSession(benchmark::State& state) {
  const auto stub = v1::Sessions::NewStub(Connect(servers->daemon.target()));
  v1::GetSessionRequest request;
  request.set_session("0000000000001234");
  for (auto _ : state) {
    grpc::ClientContext context;
    v1::Session session;
    if (!stub->GetSession(&context, request, &session).ok()) {
      state.SkipWithError("GetSession failed");
    }
  }
  state.SetItemsProcessed(state.iterations());
}

void ListMappings(benchmark::State& state) {
  const auto stub = v1::AddressSpaces::NewStub(Connect(servers->daemon.target()));
  v1::ListMappingsRequest request;
  request.set_session("0000000000001234");
  request.set_container(1);
  for (auto _ : state) {
    grpc::ClientContext context;
    const auto reader = stub->ListMappings(&context, request);
    v1::ListMappingsResponse response;
    uint64_t count = 0;
    while (reader->Read(&response)) count += static_cast<uint64_t>(response.mappings_size());
    if (!reader->Finish().ok() || count != kMappings) state.SkipWithError("mappings are missing");
  }
  state.SetItemsProcessed(state.iterations() * static_cast<int64_t>(kMappings));
}

BENCHMARK(Hello)->UseRealTime()->Threads(1)->Threads(4);
BENCHMARK(GetInfo)->UseRealTime()->Threads(1)->Threads(4);
BENCHMARK(GetSession)->UseRealTime()->Threads(1)->Threads(4);
BENCHMARK(ListMappings)->UseRealTime()->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace tests::control

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  tests::control::servers = std::make_unique<tests::control::Servers>();
  tests::control::servers->program.Connect(tests::control::servers->daemon.session_socket());
  benchmark::RunSpecifiedBenchmarks();
  tests::control::servers.reset();
  return 0;
}
