#include "tools/daemon/testing/fake_program.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <utility>

namespace tools::daemon::testing {
namespace {

namespace channel = compat::session;

constexpr size_t kMappingsPerMessage =
    (channel::kMaxMessage - sizeof(channel::MessageHeader) - sizeof(channel::MappingList)) /
    sizeof(channel::MappingInfo);

template <typename Body, typename Element>
Bytes ListAnswer(const channel::MessageHeader& request, Body body,
                 std::span<const Element> elements) {
  body.count = static_cast<uint32_t>(elements.size());
  Bytes bytes;
  Append(bytes, BytesOf(body));
  Append(bytes, std::as_bytes(elements));
  return AnswerTo(request, bytes);
}

}  // namespace

void Append(Bytes& bytes, std::span<const std::byte> more) {
  bytes.insert(bytes.end(), more.begin(), more.end());
}

Bytes Message(uint16_t kind, uint64_t request, int32_t error, std::span<const std::byte> body) {
  const channel::MessageHeader header = {
      .magic = channel::kMagic,
      .version = channel::kVersion,
      .kind = kind,
      .size = static_cast<uint32_t>(sizeof(channel::MessageHeader) + body.size()),
      .error = error,
      .request = request};
  Bytes bytes;
  Append(bytes, BytesOf(header));
  Append(bytes, body);
  return bytes;
}

Bytes AnswerTo(const channel::MessageHeader& request, std::span<const std::byte> body) {
  return Message(request.kind | channel::kAnswerBit, request.request, 0, body);
}

Bytes RefusalOf(const channel::MessageHeader& request, int error, const char* reason) {
  channel::Refusal refusal{};
  std::strncpy(refusal.reason, reason, sizeof(refusal.reason) - 1);
  return Message(request.kind | channel::kAnswerBit, request.request, error, BytesOf(refusal));
}

FakeModel FakeModel::WithMappings(uint64_t mappings) {
  FakeModel model;
  channel::ContainerInfo container{};
  container.number = 1;
  container.type = 1;
  container.opener = getpid();
  container.groups = 1;
  container.live_mappings = mappings;
  container.bytes_mapped = mappings * 4096;
  model.containers = {container};
  channel::GroupInfo group{};
  group.number = 7;
  group.container = 1;
  group.device_count = 1;
  std::strcpy(group.devices[0], "0000:00:05.0");
  model.groups = {group};
  channel::RangeInfo aperture{};
  aperture.last = (1ull << 39) - 1;
  aperture.kind = static_cast<uint32_t>(channel::RangeKind::kAperture);
  model.ranges = {aperture};
  for (uint64_t i = 0; i < mappings; ++i) {
    model.mappings.push_back({.first = i * 4096,
                              .last = i * 4096 + 4095,
                              .user_address = 0x7f0000000000 + i * 4096,
                              .pid = getpid(),
                              .access = 3});
  }
  return model;
}

FakeProgram::FakeProgram(uint64_t session, FakeModel model)
    : session_(session), model_(std::move(model)) {}

FakeProgram::~FakeProgram() {
  Resume();
  if (socket_.ok()) shutdown(socket_.get(), SHUT_RDWR);
  if (thread_.joinable()) thread_.join();
}

void FakeProgram::Handle(channel::Kind kind, Handler handler) {
  handlers_[static_cast<uint16_t>(kind)] = std::move(handler);
}

void FakeProgram::ConnectSilently(const std::string& socket) {
  socket_.reset(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof(address.sun_path) - 1);
  if (connect(socket_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) {
    std::abort();
  }
}

void FakeProgram::Connect(const std::string& socket) {
  channel::Hello hello{};
  hello.host = session_;
  hello.start_time = 1'700'000'000'000'000'000;
  hello.pid = getpid();
  hello.backend = 1;
  std::strcpy(hello.command, "fake --program");
  Connect(socket, hello);
}

void FakeProgram::Connect(const std::string& socket, channel::Hello hello) {
  ConnectSilently(socket);
  hello.session = session_;
  Send(Message(static_cast<uint16_t>(channel::Kind::kHello), 0, 0, BytesOf(hello)));
  thread_ = std::thread([this] { Run(); });
}

void FakeProgram::Send(std::span<const std::byte> packet) {
  (void)send(socket_.get(), packet.data(), packet.size(), MSG_NOSIGNAL);
}

void FakeProgram::SendEvents(std::span<const channel::Event> events, uint64_t dropped) {
  Bytes bytes;
  Append(bytes,
         BytesOf(channel::EventBatch{
             .count = static_cast<uint32_t>(events.size()), .reserved = 0, .dropped = dropped}));
  Append(bytes, std::as_bytes(events));
  Send(Message(static_cast<uint16_t>(channel::Kind::kEvents), 0, 0, bytes));
}

std::string FakeProgram::WaitForEnd() {
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return has_ended_; });
  return goodbye_;
}

void FakeProgram::WaitForSubscription(uint32_t kinds) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this, kinds] { return subscribed_ == kinds || has_ended_; });
}

void FakeProgram::Stop() {
  const std::lock_guard lock(mutex_);
  is_stopped_ = true;
}

void FakeProgram::Resume() {
  {
    const std::lock_guard lock(mutex_);
    is_stopped_ = false;
  }
  changed_.notify_all();
}

FakeModel FakeProgram::model() const {
  const std::lock_guard lock(mutex_);
  return model_;
}

void FakeProgram::Run() {
  Bytes buffer(channel::kMaxMessage);
  while (true) {
    const ssize_t size = recv(socket_.get(), buffer.data(), buffer.size(), 0);
    if (size <= 0) break;
    const auto packet = std::span<const std::byte>(buffer).first(size);
    const channel::MessageHeader* header = channel::CheckMessage(packet);
    if (header == nullptr) std::abort();
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [this] { return !is_stopped_; });
    if (header->kind == static_cast<uint16_t>(channel::Kind::kGoodbye)) {
      goodbye_ = channel::BodyOf<channel::Goodbye>(packet)->reason;
      continue;
    }
    if (const std::optional<Bytes> answer = Answer(*header, packet)) Send(*answer);
  }
  {
    const std::lock_guard lock(mutex_);
    has_ended_ = true;
  }
  changed_.notify_all();
}

bool FakeProgram::HasContainer(uint32_t number) const {
  return std::ranges::any_of(
      model_.containers, [number](const auto& container) { return container.number == number; });
}

std::optional<Bytes> FakeProgram::Answer(const channel::MessageHeader& request,
                                         std::span<const std::byte> packet) {
  if (const auto handler = handlers_.find(request.kind); handler != handlers_.end()) {
    return handler->second(request, packet);
  }
  switch (static_cast<channel::Kind>(request.kind)) {
    case channel::Kind::kPing:
    case channel::Kind::kInjectFaults:
      return AnswerTo(request, {});
    case channel::Kind::kListContainers: {
      const uint32_t after = channel::BodyOf<channel::ListContainers>(packet)->after;
      const auto first = std::ranges::find_if(
          model_.containers, [after](const auto& container) { return container.number > after; });
      return ListAnswer<channel::ContainerList, channel::ContainerInfo>(
          request, {}, std::span(first, model_.containers.end()));
    }
    case channel::Kind::kListIoases:
      return ListAnswer<channel::ContainerList, channel::IoasInfo>(request, {}, model_.ioases);
    case channel::Kind::kListGroups:
      return ListAnswer<channel::GroupList, channel::GroupInfo>(request, {}, model_.groups);
    case channel::Kind::kGetAddressSpace: {
      channel::AddressSpaceInfo info{};
      info.page_sizes = 4096;
      info.live_mappings = model_.mappings.size();
      if (!HasContainer(channel::BodyOf<channel::ContainerRef>(packet)->container)) {
        return RefusalOf(request, ENOENT, "there is no such container");
      }
      return ListAnswer<channel::AddressSpaceInfo, channel::RangeInfo>(request, info,
                                                                       model_.ranges);
    }
    case channel::Kind::kListMappings:
      return ListMappings(request, packet);
    case channel::Kind::kTranslate:
      return Translate(request, packet);
    case channel::Kind::kFindRange:
      return FindRange(request, packet);
    case channel::Kind::kSubscribe:
      subscribed_ = channel::BodyOf<channel::Subscribe>(packet)->kinds;
      changed_.notify_all();
      return AnswerTo(request, {});
    case channel::Kind::kAct:
      return Act(request, packet);
    case channel::Kind::kSetLimits: {
      const auto* const set = channel::BodyOf<channel::SetLimits>(packet);
      if (set->dry_run == 0) model_.limits = set->limits;
      return AnswerTo(request, {});
    }
    case channel::Kind::kGetCounters:
      return ListAnswer<channel::CounterList, channel::Counter>(request, {}, model_.counters);
    case channel::Kind::kListFaults: {
      channel::FaultList list{};
      list.total = model_.faults.size();
      return ListAnswer<channel::FaultList, channel::FaultInfo>(request, list, model_.faults);
    }
    case channel::Kind::kClearFaults: {
      channel::FaultList list{};
      list.count = static_cast<uint32_t>(model_.faults.size());
      model_.faults.clear();
      return AnswerTo(request, BytesOf(list));
    }
    default:
      return RefusalOf(request, ENOSYS, "the fake does not know this");
  }
}

Bytes FakeProgram::ListMappings(const channel::MessageHeader& request,
                                std::span<const std::byte> packet) {
  const auto& body = *channel::BodyOf<channel::ListMappings>(packet);
  if (!HasContainer(body.container)) {
    return RefusalOf(request, ENOENT, "there is no such container");
  }
  const auto first =
      std::ranges::lower_bound(model_.mappings, body.first, {}, &channel::MappingInfo::last);
  const auto last =
      std::ranges::upper_bound(model_.mappings, body.last, {}, &channel::MappingInfo::first);
  std::span<const channel::MappingInfo> found;
  if (first < last) found = std::span(first, last);
  channel::MappingList list{};
  if (found.size() > kMappingsPerMessage) {
    found = found.first(kMappingsPerMessage);
    list.more = 1;
    list.next = found.back().last + 1;
  }
  return ListAnswer<channel::MappingList, channel::MappingInfo>(request, list, found);
}

Bytes FakeProgram::Translate(const channel::MessageHeader& request,
                             std::span<const std::byte> packet) {
  const auto& body = *channel::BodyOf<channel::Translate>(packet);
  for (const channel::MappingInfo& mapping : model_.mappings) {
    if (body.iova < mapping.first || body.iova > mapping.last) continue;
    const channel::Translated translated = {
        .mapping = mapping,
        .user_address = mapping.user_address + (body.iova - mapping.first),
        .contiguous = mapping.last - body.iova + 1};
    return AnswerTo(request, BytesOf(translated));
  }
  return RefusalOf(request, ENOENT, "nothing is mapped there");
}

Bytes FakeProgram::FindRange(const channel::MessageHeader& request,
                             std::span<const std::byte> packet) const {
  const auto& body = *channel::BodyOf<channel::FindRange>(packet);
  if (!HasContainer(body.container) || model_.ranges.empty()) {
    return RefusalOf(request, ENOENT, "there is no such container");
  }
  // All mappings lie at the beginning of the only aperture.
  const uint64_t free = std::max(body.lowest, uint64_t{model_.mappings.size() * 4096});
  const uint64_t last = std::min(body.highest, model_.ranges[0].last);
  channel::FoundRange found{};
  found.alignment = body.alignment != 0 ? body.alignment : 4096;
  if (free > last) {
    return ListAnswer<channel::FoundRange, channel::IovaLimits>(request, found, {});
  }
  const uint64_t first = (free + (found.alignment - 1)) & -found.alignment;
  if (first >= free && first <= last) {
    found.has_largest = 1;
    found.largest = {first, last};
    found.is_found = last - first >= body.size - 1 ? 1 : 0;
    if (found.is_found != 0) found.range = {first, first + (body.size - 1)};
  }
  const channel::IovaLimits free_ranges[] = {{free, last}};
  return ListAnswer<channel::FoundRange, channel::IovaLimits>(request, found, free_ranges);
}

Bytes FakeProgram::Act(const channel::MessageHeader& request, std::span<const std::byte> packet) {
  const auto& act = *channel::BodyOf<channel::Act>(packet);
  channel::Acted acted{};
  for (size_t i = 0; i < model_.groups.size(); ++i) {
    channel::GroupInfo& group = model_.groups[i];
    if (act.container != 0 ? group.container != act.container : group.number != act.group) continue;
    acted.groups |= uint64_t{1} << i;
    const auto action = static_cast<channel::Action>(act.action);
    if (action != channel::Action::kFreeze && action != channel::Action::kThaw) continue;
    const uint32_t flags = action == channel::Action::kFreeze ? channel::kGroupIsFrozen : 0u;
    acted.was_in_force = group.flags == flags ? 1 : 0;
    if (act.dry_run == 0) group.flags = flags;
  }
  if (act.action == static_cast<uint32_t>(channel::Action::kUnmap)) {
    const auto lies_inside = [&act](const channel::MappingInfo& mapping) {
      return mapping.first >= act.first && mapping.last <= act.last;
    };
    acted.mappings = std::ranges::count_if(model_.mappings, lies_inside);
    acted.bytes = acted.mappings * 4096;
    if (act.dry_run == 0) std::erase_if(model_.mappings, lies_inside);
  }
  return AnswerTo(request, BytesOf(acted));
}

}  // namespace tools::daemon::testing
