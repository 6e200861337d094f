// top.
#include <poll.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "tools/control/commands.h"
#include "tools/control/format.h"
#include "tools/control/table.h"
#include "vfio/compat/v1/address_spaces.grpc.pb.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;
using Clock = std::chrono::steady_clock;

struct Sample {
  Clock::time_point time;
  v1::Statistics statistics;
};
// By session and container.
using Samples = std::map<std::pair<std::string, uint32_t>, Sample>;

// What became more of something in a second.
std::string Rate(uint64_t now, uint64_t before, double seconds, bool bytes) {
  const auto rate = static_cast<uint64_t>(static_cast<double>(now - before) / seconds);
  return bytes ? Bytes(rate) + "/s" : Count(rate) + "/s";
}

// The figures of one container. What was not there at the last look has no rates.
std::vector<std::string> RowOf(const v1::Session& session, uint32_t container, const Sample& sample,
                               const Sample* before) {
  const v1::Statistics& now = sample.statistics;
  std::vector<std::string> row = {session.id(), std::to_string(session.pid()),
                                  std::to_string(container), Bytes(now.mapped_bytes()),
                                  Count(now.mapping_count())};
  if (before == nullptr) {
    row.insert(row.end(), 4, "-");
  } else {
    const double seconds = std::chrono::duration<double>(sample.time - before->time).count();
    const v1::Statistics& old = before->statistics;
    row.push_back(Rate(now.maps(), old.maps(), seconds, false));
    row.push_back(Rate(now.unmaps(), old.unmaps(), seconds, false));
    row.push_back(Rate(now.dma_read_bytes(), old.dma_read_bytes(), seconds, true));
    row.push_back(Rate(now.dma_written_bytes(), old.dma_written_bytes(), seconds, true));
  }
  row.push_back(Count(now.faults()));
  row.push_back(session.command());
  return row;
}

Table NewTable() {
  const auto number = [](const char* title) {
    return Column{.title = title, .is_right_aligned = true};
  };
  return Table({{"SESSION"},
                number("PID"),
                number("CT"),
                number("MAPPED"),
                number("MAPPINGS"),
                number("MAP"),
                number("UNMAP"),
                number("DMA READ"),
                number("DMA WRITE"),
                number("FAULTS"),
                {.title = "COMMAND", .may_shrink = true}});
}

// Looks at one session. Sessions and containers that end meanwhile are left out.
void Look(const Client& client, const v1::Session& listed, const Samples& before, Samples& now,
          Table& table) {
  v1::Session session;
  if (client.GetSession(listed.id(), session)) return;
  for (const v1::Container& container : session.containers()) {
    if (container.type() == v1::CONTAINER_TYPE_UNSPECIFIED) continue;
    v1::GetAddressSpaceRequest request;
    request.set_session(session.id());
    request.set_container(container.number());
    v1::AddressSpace space;
    const grpc::Status status =
        client.Call<v1::AddressSpaces>(&v1::AddressSpaces::Stub::GetAddressSpace, request, &space);
    if (!status.ok()) continue;
    const auto key = std::make_pair(session.id(), container.number());
    const Sample& sample = now[key] = {Clock::now(), space.statistics()};
    const auto old = before.find(key);
    table.AddRow(
        RowOf(session, container.number(), sample, old == before.end() ? nullptr : &old->second));
  }
}

Failure LookAtAll(const Client& client, Samples& samples, std::string& text) {
  std::vector<v1::Session> sessions;
  if (Failure failure = client.ListSessions(sessions)) return failure;
  Table table = NewTable();
  Samples now;
  for (const v1::Session& session : sessions) Look(client, session, samples, now, table);
  samples = std::move(now);
  text = table.Text(Terminal::OfStandardOutput());
  return {};
}

// Waits until the next look is due. Returns false if the user wants no more: q, or the end of
// input.
bool WaitFor(double seconds) {
  pollfd input = {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0};
  const bool listens = isatty(STDIN_FILENO) != 0;
  const int ready = poll(&input, listens ? 1 : 0, static_cast<int>(seconds * 1000));
  if (ready <= 0) return true;
  char key = 0;
  return read(STDIN_FILENO, &key, 1) == 1 && key != 'q';
}

}  // namespace

Failure Top(const Client& client, const CommandOptions& options) {
  const bool is_terminal = Terminal::OfStandardOutput().width != 0;
  Samples samples;
  for (uint64_t look = 1;; ++look) {
    std::string text;
    if (Failure failure = LookAtAll(client, samples, text)) return failure;
    // From the upper left corner, over what is there.
    std::printf("%s%s", is_terminal ? "\x1b[H\x1b[2J" : "", text.c_str());
    std::fflush(stdout);
    if (look == options.count || !WaitFor(options.interval)) return {};
  }
}

}  // namespace tools::control
