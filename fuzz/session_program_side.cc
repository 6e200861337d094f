// What a responder answers is a message of the request's kind and number, which the daemon's own
// checks accept, or an errno that the channel has; requests that only ask, dry runs, and requests
// that are refused leave the program as it was; and the program goes on with its own calls.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/events/events.h"
#include "compat/session/responder.h"
#include "compat/settings/settings.h"
#include "compat/soft/test_host.h"
#include "fuzz/session_messages.h"
#include "fuzz/session_sides.h"
#include "ppc/container_personality.h"
#include "tools/daemon/sessions/answer_checks.h"

namespace fuzz {
namespace {

namespace abi = compat::abi;
namespace session = compat::session;
using compat::soft::TestHost;
using session::Kind;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMemorySize = 16 * kPage;
constexpr int kMaxSteps = 24;

// What is behind the body of an answer has to be elements that the daemon takes.
template <typename List, typename Element>
void CheckElements(std::span<const std::byte> packet) {
  const auto* const list = session::BodyOf<List>(packet);
  FUZZ_REQUIRE(list != nullptr);
  const auto elements = session::ArrayOf<List, Element>(packet, list->count);
  FUZZ_REQUIRE(elements.size() == list->count);
  FUZZ_REQUIRE(packet.size() ==
               sizeof(session::MessageHeader) + sizeof(List) + elements.size_bytes());
  for (const Element& element : elements) FUZZ_REQUIRE(tools::daemon::IsRight(element));
}

template <typename Body>
void CheckBody(std::span<const std::byte> packet) {
  FUZZ_REQUIRE(packet.size() == sizeof(session::MessageHeader) + sizeof(Body));
}

void CheckRefusal(std::span<const std::byte> packet, int error) {
  constexpr int kErrnos[] = {ENOENT,     ENODEV, ENODATA, EINVAL, EBUSY,
                             EOPNOTSUPP, ENOSPC, ENOMEM,  EIO,    ENOSYS};
  FUZZ_REQUIRE(std::find(std::begin(kErrnos), std::end(kErrnos), error) != std::end(kErrnos));
  CheckBody<session::Refusal>(packet);
  const char* const reason = session::BodyOf<session::Refusal>(packet)->reason;
  const size_t length = strnlen(reason, sizeof(session::Refusal::reason));
  FUZZ_REQUIRE(length != 0 && length < sizeof(session::Refusal::reason));
}

void CheckDirty(std::span<const std::byte> packet) {
  const auto* const dirty = session::BodyOf<session::DirtyAnswer>(packet);
  FUZZ_REQUIRE(dirty != nullptr && dirty->is_exact <= 1 && dirty->more <= 1);
  const size_t bytes = (dirty->bit_count + 7) / 8;
  FUZZ_REQUIRE(packet.size() ==
               sizeof(session::MessageHeader) + sizeof(session::DirtyAnswer) + bytes);
}

// The body of an answer without an error.
void CheckAnswerBody(Kind kind, std::span<const std::byte> packet) {
  switch (kind) {
    case Kind::kListContainers:
      return CheckElements<session::ContainerList, session::ContainerInfo>(packet);
    case Kind::kListIoases:
      return CheckElements<session::ContainerList, session::IoasInfo>(packet);
    case Kind::kListGroups:
      return CheckElements<session::GroupList, session::GroupInfo>(packet);
    case Kind::kGetAddressSpace:
      return CheckElements<session::AddressSpaceInfo, session::RangeInfo>(packet);
    case Kind::kListMappings:
      return CheckElements<session::MappingList, session::MappingInfo>(packet);
    case Kind::kGetCounters:
      return CheckElements<session::CounterList, session::Counter>(packet);
    case Kind::kListFaults:
      FUZZ_REQUIRE(tools::daemon::IsRight(*session::BodyOf<session::FaultList>(packet)));
      return CheckElements<session::FaultList, session::FaultInfo>(packet);
    case Kind::kFindRange:
      return CheckElements<session::FoundRange, session::IovaLimits>(packet);
    case Kind::kTranslate:
      return CheckBody<session::Translated>(packet);
    case Kind::kAct:
      return CheckBody<session::Acted>(packet);
    case Kind::kClearFaults:
      return CheckBody<session::FaultList>(packet);
    case Kind::kDirty:
      return CheckDirty(packet);
    default:
      FUZZ_REQUIRE(packet.size() == sizeof(session::MessageHeader));
  }
}

// Whether a request that was carried out may leave the program's state other than before.
bool MayChange(Kind kind, std::span<const std::byte> packet) {
  switch (kind) {
    case Kind::kAct:
      return session::BodyOf<session::Act>(packet)->dry_run == 0;
    case Kind::kSetLimits:
      return session::BodyOf<session::SetLimits>(packet)->dry_run == 0;
    case Kind::kInjectFaults:
      return session::BodyOf<session::InjectFaults>(packet)->dry_run == 0;
    case Kind::kDirty:
      return session::BodyOf<session::Dirty>(packet)->dry_run == 0;
    case Kind::kClearFaults:
      return true;
    default:
      return false;
  }
}

// What a request of the right size ends the connection for: more ranges than it has room for.
bool HasTooManyRanges(std::span<const std::byte> packet) {
  switch (static_cast<Kind>(session::CheckMessage(packet)->kind)) {
    case Kind::kSetLimits:
      return session::BodyOf<session::SetLimits>(packet)->limits.range_count >
             session::kMaxLimitRanges;
    case Kind::kInjectFaults:
      return session::BodyOf<session::InjectFaults>(packet)->count > session::kMaxLimitRanges;
    default:
      return false;
  }
}

// What the program's first container is, and on which machine.
struct Beginning {
  uint32_t type;
  compat::settings::PowerPlatform platform;
};

Beginning TakeBeginning(Input& input) {
  using compat::settings::PowerPlatform;
  // As most programs have it, mostly.
  constexpr Beginning kBeginnings[] = {{abi::kType1v2Iommu, PowerPlatform::kPowerNv},
                                       {abi::kType1v2Iommu, PowerPlatform::kPowerNv},
                                       {abi::kType1Iommu, PowerPlatform::kPowerNv},
                                       {abi::kSpaprTceV2Iommu, PowerPlatform::kPowerNv},
                                       {abi::kSpaprTceV2Iommu, PowerPlatform::kPSeries},
                                       {abi::kSpaprTceIommu, PowerPlatform::kPowerNv}};
  return kBeginnings[input.TakeBelow(std::size(kBeginnings))];
}

compat::settings::Settings SettingsOf(const Beginning& beginning) {
  compat::settings::Settings settings;
  settings.container = compat::settings::ContainerTypes::kBoth;
  settings.platform = beginning.platform;
  return settings;
}

// A message is as long as it says, and no packet that is shorter or longer is one.
void RequireWhole(SessionPacket packet) {
  FUZZ_REQUIRE(session::CheckMessage(packet)->size == packet.size());
  packet.push_back(std::byte{0});
  FUZZ_REQUIRE(session::CheckMessage(packet) == nullptr);
  packet.resize(packet.size() - 2);
  FUZZ_REQUIRE(session::CheckMessage(packet) == nullptr);
}

// Whether a request's range ends before it begins.
bool IsReversed(std::span<const std::byte> packet) {
  const auto kind = static_cast<Kind>(session::CheckMessage(packet)->kind);
  if (kind == Kind::kFindRange) {
    const auto* const find = session::BodyOf<session::FindRange>(packet);
    return find != nullptr && find->lowest > find->highest;
  }
  const auto* const list = session::BodyOf<session::ListMappings>(packet);
  return kind == Kind::kListMappings && list != nullptr && list->first > list->last;
}

// What was found for a request that was carried out is what it asked for.
void CheckFoundRange(std::span<const std::byte> request, std::span<const std::byte> answer) {
  if (static_cast<Kind>(session::CheckMessage(request)->kind) != Kind::kFindRange) return;
  const auto& found = *session::BodyOf<session::FoundRange>(answer);
  FUZZ_REQUIRE(tools::daemon::IsAnswerTo(
      *session::BodyOf<session::FindRange>(request), found,
      session::ArrayOf<session::FoundRange, session::IovaLimits>(answer, found.count)));
}

class Program {
 public:
  explicit Program(Input& input)
      : input_(input),
        beginning_(TakeBeginning(input)),
        settings_(SettingsOf(beginning_)),
        personality_(settings_),
        host_(personality_) {
    memory_ =
        mmap(nullptr, kMemorySize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    containers_.push_back(host_.ContainerOfType(beginning_.type, group_));
    if (is_spapr()) Register();
  }
  ~Program() {
    compat::events::AfterForkInChild();
    munmap(memory_, kMemorySize);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Step() {
    const uint32_t choice = input_.TakeBelow(8);
    if (choice == 0) return Map();
    if (choice == 1) return Unmap();
    if (choice == 2) return is_spapr() ? UsePower() : OpenOrClose();
    Request(choice == 3);
  }

 private:
  int TakeContainer() {
    return containers_[input_.TakeBelow(static_cast<uint32_t>(containers_.size()))];
  }
  bool is_spapr() const {
    return beginning_.type == abi::kSpaprTceIommu || beginning_.type == abi::kSpaprTceV2Iommu;
  }
  void Map();
  void Unmap();
  void OpenOrClose();
  // What only containers of POWER have.
  void Register();
  void UsePower();
  void Create();
  void Eeh();
  void Request(bool is_anything);
  // Asks, and checks the answer's form. An empty packet: the connection is to end.
  SessionPacket Answer(const SessionPacket& packet);
  // Everything that can be asked of what requests may change.
  std::vector<SessionPacket> State();

  Input& input_;
  void* memory_ = nullptr;
  const Beginning beginning_;
  const compat::settings::Settings settings_;
  const ppc::ContainerPersonality personality_;
  TestHost host_;
  int group_ = -1;
  std::vector<int> containers_;
  session::Responder responder_{host_.host(), -1};
};

void Program::Map() {
  abi::DmaMap map = {.argsz = sizeof(abi::DmaMap),
                     .flags = 1 + input_.TakeBelow(3),
                     .vaddr = reinterpret_cast<uint64_t>(memory_),
                     .iova = input_.TakeBelow(64) * kPage,
                     .size = (1 + input_.TakeBelow(16)) * kPage};
  (void)host_.Ioctl(TakeContainer(), abi::kIommuMapDma, &map);
}

void Program::Unmap() {
  abi::DmaUnmap unmap{};
  unmap.argsz = sizeof(unmap);
  unmap.iova = input_.TakeBelow(64) * kPage;
  unmap.size = (1 + input_.TakeBelow(64)) * kPage;
  (void)host_.Ioctl(TakeContainer(), abi::kIommuUnmapDma, &unmap);
}

void Program::OpenOrClose() {
  if (containers_.size() > 1 && input_.TakeBelow(2) != 0) {
    host_.Close(containers_.back());
    containers_.pop_back();
  } else if (containers_.size() < 4) {
    const int container = host_.OpenContainer();
    if (container >= 0) containers_.push_back(container);
  }
}

void Program::Register() {
  abi::SpaprRegisterMemory memory = {sizeof(memory), 0, reinterpret_cast<uint64_t>(memory_),
                                     kMemorySize};
  if (beginning_.type == abi::kSpaprTceIommu) {
    (void)host_.Ioctl(containers_[0], abi::kIommuEnable, uint64_t{0});
  } else {
    (void)host_.Ioctl(containers_[0], abi::kIommuSpaprRegisterMemory, &memory);
  }
}

void Program::UsePower() {
  switch (input_.TakeBelow(4)) {
    case 0:
      return OpenOrClose();
    case 1:
      return Create();
    case 2: {
      abi::SpaprTceRemove remove = {sizeof(remove), 0, input_.TakeBelow(2) * uint64_t{1} << 59};
      (void)host_.Ioctl(TakeContainer(), abi::kIommuSpaprTceRemove, &remove);
      return;
    }
    default:
      return Eeh();
  }
}

void Program::Create() {
  constexpr uint32_t kShifts[] = {12, 12, 12, 16, 21, 30};
  abi::SpaprTceCreate create{};
  create.argsz = sizeof(create);
  create.page_shift = kShifts[input_.TakeBelow(std::size(kShifts))];
  create.window_size = uint64_t{1} << (12 + input_.TakeBelow(48));
  create.levels = input_.TakeBelow(4);
  (void)host_.Ioctl(TakeContainer(), abi::kIommuSpaprTceCreate, &create);
}

void Program::Eeh() {
  abi::EehPeOp operation{};
  operation.argsz = input_.TakeBelow(8) == 7 ? 12 : sizeof(operation);
  operation.op = input_.TakeBelow(11);
  operation.err.type = input_.TakeBelow(3);
  operation.err.func = input_.TakeBelow(22);
  (void)host_.Ioctl(TakeContainer(), abi::kEehPeOp, &operation);
}

SessionPacket Program::Answer(const SessionPacket& packet) {
  SessionPacket answer(session::kMaxMessage);
  const size_t size = responder_.Answer(packet, answer);
  FUZZ_REQUIRE(size <= answer.size());
  answer.resize(size);
  if (size == 0) return answer;
  const session::MessageHeader* const header = session::CheckMessage(answer);
  const session::MessageHeader* const request = session::CheckMessage(packet);
  FUZZ_REQUIRE(header != nullptr && header->version == session::kVersion);
  FUZZ_REQUIRE(header->kind == (request->kind | session::kAnswerBit));
  FUZZ_REQUIRE(header->request == request->request);
  if (header->error != 0) {
    CheckRefusal(answer, header->error);
  } else {
    CheckAnswerBody(static_cast<Kind>(request->kind), answer);
  }
  return answer;
}

std::vector<SessionPacket> Program::State() {
  const auto ask = [this](Kind kind, const auto& body) {
    const auto bytes = std::span(reinterpret_cast<const uint8_t*>(&body), sizeof(body));
    return Answer(MakeMessage(static_cast<uint16_t>(kind), 0, 1, bytes));
  };
  std::vector<SessionPacket> state;
  state.push_back(ask(Kind::kListContainers, session::ListContainers{}));
  state.push_back(Answer(MakeMessage(static_cast<uint16_t>(Kind::kListGroups), 0, 1, {})));
  state.push_back(Answer(MakeMessage(static_cast<uint16_t>(Kind::kListFaults), 0, 1, {})));
  for (uint32_t number = 1; number <= 4; ++number) {
    state.push_back(ask(Kind::kGetAddressSpace, session::ContainerRef{number, 0}));
    state.push_back(ask(Kind::kListMappings, session::ListMappings{number, 0, 0, UINT64_MAX}));
  }
  for (const SessionPacket& packet : state) FUZZ_REQUIRE(!packet.empty());
  return state;
}

void Program::Request(bool is_anything) {
  SessionPacket packet;
  if (is_anything) {
    packet = TakeAnything(input_);
  } else {
    const uint32_t choice = input_.TakeBelow(std::size(kRequestBodies));
    const auto kind = static_cast<uint16_t>(static_cast<uint32_t>(Kind::kPing) + choice);
    const uint64_t number = input_.Take<uint8_t>();
    packet = MakeMessage(kind, 0, number, TakeBody(input_, kRequestBodies[choice]));
  }
  // Whoever receives looks at that first.
  const session::MessageHeader* const header = session::CheckMessage(packet);
  if (header == nullptr || header->version != session::kVersion) return;
  RequireWhole(packet);
  const std::vector<SessionPacket> before = State();
  const SessionPacket answer = Answer(packet);
  FUZZ_REQUIRE(is_anything || answer.empty() == HasTooManyRanges(packet));
  const bool is_carried_out = !answer.empty() && session::CheckMessage(answer)->error == 0;
  FUZZ_REQUIRE(!is_carried_out || !IsReversed(packet));
  if (is_carried_out) CheckFoundRange(packet, answer);
  if (!is_carried_out || !MayChange(static_cast<Kind>(header->kind), packet)) {
    FUZZ_REQUIRE(State() == before);
  }
}

}  // namespace

void FuzzProgramSide(Input& input) {
  Program program(input);
  for (int step = 0; step < kMaxSteps && !input.empty(); ++step) program.Step();
}

}  // namespace fuzz
