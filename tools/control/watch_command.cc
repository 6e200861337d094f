// watch.
#include <google/protobuf/util/time_util.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "compat/decode/call.h"
#include "compat/settings/text.h"
#include "tools/control/commands.h"
#include "tools/control/format.h"
#include "tools/control/print.h"
#include "tools/control/table.h"
#include "vfio/compat/v1/sessions.grpc.pb.h"

namespace tools::control {
namespace {

namespace v1 = vfio::compat::v1;

// "mapped" for KIND_MAPPED, "group-attached" for KIND_GROUP_ATTACHED.
std::string KindName(v1::Event::Kind kind) {
  std::string name = v1::Event::Kind_Name(kind);
  name.erase(0, sizeof("KIND_") - 1);
  for (char& c : name) c = c == '_' ? '-' : static_cast<char>(c - 'A' + 'a');
  return name;
}

Failure ReadKinds(const CommandOptions& options, v1::WatchRequest& request) {
  for (const std::string& name : options.kinds) {
    std::string expected;
    bool found = false;
    for (int i = v1::Event::Kind_MIN + 1; i <= v1::Event::Kind_MAX; ++i) {
      const std::string known = KindName(static_cast<v1::Event::Kind>(i));
      expected += " " + known;
      if (known != name) continue;
      request.add_kinds(static_cast<v1::Event::Kind>(i));
      found = true;
    }
    if (!found) {
      return {cli::kUsage,
              "--kind " + compat::settings::Quoted(name) + ": expected one of" + expected};
    }
  }
  return {};
}

std::string CallName(uint32_t request) {
  const auto rows = compat::decode::CallsNumbered(request);
  return rows.empty() ? Hex(request) : Hex(request) + " (" + rows.front().name + " elsewhere)";
}

std::string Details(const v1::Event& event) {
  std::string range = HexRange(event.range().first(), event.range().last());
  switch (event.kind()) {
    case v1::Event::KIND_TYPE_SET:
      return TypeName(event.type());
    case v1::Event::KIND_GROUP_ATTACHED:
    case v1::Event::KIND_GROUP_DETACHED:
      return "group " + std::to_string(event.group());
    case v1::Event::KIND_MAPPED:
      return range + " to " + Hex(event.user_address()) + " " + AccessName(event.access());
    case v1::Event::KIND_WINDOW_CREATED:
    case v1::Event::KIND_WINDOW_REMOVED:
    case v1::Event::KIND_UNMAPPED:
      return range;
    case v1::Event::KIND_FAULT:
      return event.device() + " at " + Hex(event.range().first()) + " " +
             AccessName(event.access());
    case v1::Event::KIND_UNKNOWN_CALL:
      return CallName(event.request());
    case v1::Event::KIND_ACTION:
      return event.action() + " by " + event.actor();
    case v1::Event::KIND_LOST:
      return Count(event.dropped()) + " events";
    default:
      return "";
  }
}

void PrintEvent(const v1::Event& event) {
  const std::string time = google::protobuf::util::TimeUtil::ToString(event.time());
  std::string container;
  if (event.container() != 0) container = " container " + std::to_string(event.container());
  std::string line = std::to_string(event.sequence()) + " " + time + " " + event.session() +
                     container + " " + KindName(event.kind()) + " " + Details(event);
  line.erase(line.find_last_not_of(' ') + 1);
  std::printf("%s\n", Printable(std::move(line)).c_str());
}

// Prints a message's events, at most `left` of them.
void Print(const v1::WatchResponse& response, bool json, uint64_t left) {
  if (response.dropped() != 0) {
    std::fprintf(stderr, "vfio-compat: watch: %s events were lost\n",
                 Count(response.dropped()).c_str());
  }
  for (const v1::Event& event : response.events()) {
    if (left-- == 0) return;
    if (json) {
      PrintJson(event, true);
    } else {
      PrintEvent(event);
    }
  }
  std::fflush(stdout);
}

}  // namespace

Failure Watch(const Client& client, const CommandOptions& options) {
  v1::WatchRequest request;
  if (!options.session.empty()) {
    if (Failure failure = client.FindSession(options.session, *request.mutable_session())) {
      return failure;
    }
  }
  request.set_from_sequence(options.from_sequence);
  if (Failure failure = ReadKinds(options, request)) return failure;
  grpc::ClientContext context;
  const auto stub = v1::Sessions::NewStub(client.channel());
  const auto reader = stub->Watch(&context, request);
  uint64_t left = options.count == 0 ? UINT64_MAX : options.count;
  v1::WatchResponse response;
  while (left != 0 && reader->Read(&response)) {
    Print(response, client.options().json, left);
    left -= std::min<uint64_t>(left, static_cast<uint64_t>(response.events_size()));
  }
  if (left == 0) {
    context.TryCancel();
    return {};
  }
  return Explain("watch", reader->Finish());
}

}  // namespace tools::control
