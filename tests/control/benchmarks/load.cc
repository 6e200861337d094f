// Many sessions and many watchers for a while: how long GetSession takes, whether a watcher loses
// events, and whether the daemon grows.
#include <grpcpp/create_channel.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cinttypes>
#include <cstdio>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "tests/control/benchmarks/daemon_process.h"
#include "tests/control/benchmarks/watcher.h"
#include "tools/daemon/testing/fake_program.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tests::control {
namespace {

namespace v1 = vfio::compat::v1;
namespace session = compat::session;
using Clock = std::chrono::steady_clock;
using tools::daemon::testing::FakeModel;
using tools::daemon::testing::FakeProgram;

struct Options {
  int sessions = 200;
  uint64_t mappings = 5000;
  int watchers = 50;
  int seconds = 300;
  int rate = 1000;  // events a second, of all sessions together
};

std::string SessionName(uint64_t id) {
  char name[17];
  std::snprintf(name, sizeof(name), "%016" PRIx64, id);
  return name;
}

class Load {
 public:
  explicit Load(const Options& options) : options_(options) {
    for (int i = 0; i < options.sessions; ++i) {
      programs_.push_back(
          std::make_unique<FakeProgram>(i + 1, FakeModel::WithMappings(options.mappings)));
      programs_.back()->Connect(daemon_.session_socket());
    }
    for (int i = 0; i < options.watchers; ++i) {
      watchers_.push_back(std::make_unique<Watcher>(daemon_.target()));
    }
  }

  void Run() {
    const Clock::time_point end = Clock::now() + std::chrono::seconds(options_.seconds);
    std::thread events([this, end] { SendEvents(end); });
    std::thread calls([this, end] { GetSessions(end); });
    const int steps = std::min(options_.seconds, 10);
    for (int i = 1; i <= steps; ++i) {
      std::this_thread::sleep_until(end - std::chrono::seconds(options_.seconds) +
                                    std::chrono::seconds(options_.seconds) * i / steps);
      std::printf("%4d s: %6.1f MiB, %" PRIu64 " events sent\n", options_.seconds * i / steps,
                  static_cast<double>(daemon_.resident_bytes()) / (1 << 20), sent_.load());
      std::fflush(stdout);
    }
    events.join();
    calls.join();
    WaitForWatchers();
    Print();
  }

 private:
  // Each session in turn, so many a second.
  void SendEvents(Clock::time_point end) {
    for (auto& program : programs_) {
      program->WaitForSubscription(0xffe);
    }
    const auto start = Clock::now();
    for (uint64_t i = 0; Clock::now() < end; ++i) {
      const session::Event event = {.kind = static_cast<uint16_t>(session::EventKind::kMapped),
                                    .access = 3,
                                    .container = 1,
                                    .first = i << 12,
                                    .last = (i << 12) + 0xfff,
                                    .value = i << 12};
      programs_[i % programs_.size()]->SendEvents({&event, 1});
      sent_ = i + 1;
      std::this_thread::sleep_until(start +
                                    std::chrono::nanoseconds(1'000'000'000 / options_.rate) *
                                        static_cast<int64_t>(i + 1));
    }
  }

  void GetSessions(Clock::time_point end) {
    const auto stub = v1::Sessions::NewStub(
        grpc::CreateChannel(daemon_.target(), grpc::InsecureChannelCredentials()));
    for (uint64_t i = 0; Clock::now() < end; ++i) {
      grpc::ClientContext context;
      v1::GetSessionRequest request;
      request.set_session(SessionName(i % programs_.size() + 1));
      v1::Session answer;
      const auto before = Clock::now();
      if (!stub->GetSession(&context, request, &answer).ok()) ++failed_;
      times_.push_back(Clock::now() - before);
    }
  }

  bool HaveAll() const {
    return std::all_of(watchers_.begin(), watchers_.end(), [this](const auto& watcher) {
      return watcher->mapped() + watcher->dropped() >= sent_;
    });
  }
  void WaitForWatchers() const {
    const auto end = Clock::now() + std::chrono::seconds(10);
    while (!HaveAll() && Clock::now() < end)
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }

  void Print() {
    uint64_t lost = 0;
    for (const auto& watcher : watchers_) lost += sent_ - watcher->mapped();
    std::sort(times_.begin(), times_.end());
    const auto milliseconds = [this](double share) {
      const auto at = static_cast<size_t>(share * static_cast<double>(times_.size() - 1));
      return std::chrono::duration<double, std::milli>(times_[at]).count();
    };
    std::printf("GetSession: %zu calls, %" PRIu64
                " failed, p50 %.2f ms, p99 %.2f ms, most %.2f ms\n",
                times_.size(), failed_, milliseconds(0.5), milliseconds(0.99), milliseconds(1));
    std::printf("events: %" PRIu64 " sent to %zu watchers, %" PRIu64 " lost\n", sent_.load(),
                watchers_.size(), lost);
  }

  Options options_;
  DaemonProcess daemon_;
  std::vector<std::unique_ptr<FakeProgram>> programs_;
  std::vector<std::unique_ptr<Watcher>> watchers_;
  std::atomic<uint64_t> sent_ = 0;
  std::vector<Clock::duration> times_;
  uint64_t failed_ = 0;
};

}  // namespace
}  // namespace tests::control

int main(int argc, char** argv) {
  tests::control::Options options;
  CLI::App app("Puts a daemon under load and prints what it makes of it.", "load");
  app.add_option("--sessions", options.sessions, "Programs");
  app.add_option("--mappings", options.mappings, "Mappings of each");
  app.add_option("--watchers", options.watchers, "Readers of all events");
  app.add_option("--seconds", options.seconds, "How long");
  app.add_option("--rate", options.rate, "Events a second, of all programs together");
  CLI11_PARSE(app, argc, argv);
  tests::control::Load(options).Run();
  return 0;
}
