// A program under the library, as far as the daemon can tell: it connects, says who it is, and
// answers what it is asked out of a model. Tests make it answer wrongly, late or never.
#ifndef TOOLS_DAEMON_TESTING_FAKE_PROGRAM_H_
#define TOOLS_DAEMON_TESTING_FAKE_PROGRAM_H_

#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "compat/session/channel.h"
#include "tools/daemon/sockets/unique_fd.h"

namespace tools::daemon::testing {

using Bytes = std::vector<std::byte>;

template <typename Body>
std::span<const std::byte> BytesOf(const Body& body) {
  return std::as_bytes(std::span(&body, 1));
}
void Append(Bytes& bytes, std::span<const std::byte> more);

// A message of any kind, with a header that is right.
Bytes Message(uint16_t kind, uint64_t request, int32_t error, std::span<const std::byte> body);
// The answer to `request`.
Bytes AnswerTo(const compat::session::MessageHeader& request, std::span<const std::byte> body);
Bytes RefusalOf(const compat::session::MessageHeader& request, int error, const char* reason);

// What the program has. Containers, groups and mappings ascend.
struct FakeModel {
  std::vector<compat::session::ContainerInfo> containers;
  std::vector<compat::session::IoasInfo> ioases;
  std::vector<compat::session::GroupInfo> groups;
  std::vector<compat::session::RangeInfo> ranges;      // of every container
  std::vector<compat::session::MappingInfo> mappings;  // of every container
  std::vector<compat::session::FaultInfo> faults;
  std::vector<compat::session::Counter> counters;
  compat::session::Limits limits{};  // as they were set last

  // Container 1 of type 1 with group 7, of a device, and so many mappings of 4096 bytes from 0 on,
  // which is the only aperture.
  static FakeModel WithMappings(uint64_t mappings);
};

class FakeProgram {
 public:
  // What a request is answered with; nothing: it is not.
  using Handler = std::function<std::optional<Bytes>(const compat::session::MessageHeader& request,
                                                     std::span<const std::byte> packet)>;

  // Does nothing before Connect().
  FakeProgram(uint64_t session, FakeModel model);
  // Closes its socket, as a process that ends.
  ~FakeProgram();
  FakeProgram(const FakeProgram&) = delete;
  FakeProgram& operator=(const FakeProgram&) = delete;

  // Has requests of a kind answered by `handler` instead. Before Connect().
  void Handle(compat::session::Kind kind, Handler handler);

  // Connects to the daemon's socket, says Hello (its `session` is set here), and answers.
  void Connect(const std::string& socket);
  void Connect(const std::string& socket, compat::session::Hello hello);
  // Only connects: nothing is said, and nothing is read.
  void ConnectSilently(const std::string& socket);

  // Sends any bytes as one packet.
  void Send(std::span<const std::byte> packet);
  void SendEvents(std::span<const compat::session::Event> events, uint64_t dropped = 0);

  // Waits until the daemon has ended the connection. Returns the reason of its Goodbye, if any.
  std::string WaitForEnd();
  // Waits until it is subscribed to just these kinds.
  void WaitForSubscription(uint32_t kinds);
  // Stops reading, as a stopped process, until Resume().
  void Stop();
  void Resume();

  // The model, to look at.
  FakeModel model() const;

 private:
  void Run();
  std::optional<Bytes> Answer(const compat::session::MessageHeader& request,
                              std::span<const std::byte> packet);
  Bytes Act(const compat::session::MessageHeader& request, std::span<const std::byte> packet);
  Bytes ListMappings(const compat::session::MessageHeader& request,
                     std::span<const std::byte> packet);
  Bytes Translate(const compat::session::MessageHeader& request, std::span<const std::byte> packet);
  Bytes FindRange(const compat::session::MessageHeader& request,
                  std::span<const std::byte> packet) const;
  bool HasContainer(uint32_t number) const;

  const uint64_t session_;
  std::map<uint16_t, Handler> handlers_;
  UniqueFd socket_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  FakeModel model_;
  uint32_t subscribed_ = 0;
  bool is_stopped_ = false;
  bool has_ended_ = false;
  std::string goodbye_;
  std::thread thread_;
};

}  // namespace tools::daemon::testing

#endif  // TOOLS_DAEMON_TESTING_FAKE_PROGRAM_H_
