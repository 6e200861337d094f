#include "compat/session/responder.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <string>
#include <thread>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/events/counters.h"
#include "compat/events/events.h"
#include "compat/session/testing/message.h"
#include "compat/soft/test_host.h"

namespace compat::session {
namespace {

using soft::TestHost;
using testing::Message;

class ResponderTest : public ::testing::Test {
 protected:
  ~ResponderTest() override {
    events::AfterForkInChild();
    munmap(memory_, kBytes);
  }

  // The answer; an empty message if the connection is to end.
  Message Answer(const Message& request) {
    std::vector<std::byte> answer(kMaxMessage);
    answer.resize(responder_.Answer(request.bytes(), answer));
    return Message(std::move(answer));
  }
  template <typename Body>
  Message Ask(Kind kind, const Body& body) {
    return Answer(Message(kind, body, 77));
  }
  template <typename Body>
  int ErrorOf(Kind kind, const Body& body) {
    const Message answer = Ask(kind, body);
    return answer.IsRight() ? answer.header().error : -1;
  }
  uint64_t address() const { return reinterpret_cast<uint64_t>(memory_); }
  long MapAt(int container, uint64_t iova, uint64_t size) {
    abi::DmaMap map = {.argsz = sizeof(abi::DmaMap),
                       .flags = abi::kDmaMapFlagRead,
                       .vaddr = address(),
                       .iova = iova,
                       .size = size};
    return host_.Ioctl(container, abi::kIommuMapDma, &map);
  }
  std::vector<ContainerInfo> Containers() {
    const Message answer = Ask(Kind::kListContainers, ListContainers{});
    return answer.elements<ContainerList, ContainerInfo>(answer.body<ContainerList>().count);
  }
  std::vector<MappingInfo> Mappings(uint64_t first, uint64_t last) {
    const Message answer =
        Ask(Kind::kListMappings,
            ListMappings{.container = 1, .reserved = 0, .first = first, .last = last});
    return answer.elements<MappingList, MappingInfo>(answer.body<MappingList>().count);
  }

  static constexpr size_t kBytes = 1 << 20;
  void* memory_ = mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  TestHost host_;
  Responder responder_{host_.host(), -1};
};

TEST_F(ResponderTest, AnswersAPingWithItsNumber) {
  const Message answer = Answer(Message(Kind::kPing, 77));
  ASSERT_TRUE(answer.IsRight());
  EXPECT_EQ(answer.header().kind, static_cast<uint16_t>(Kind::kPing) | kAnswerBit);
  EXPECT_EQ(answer.header().request, 77u);
  EXPECT_EQ(answer.header().error, 0);
  EXPECT_EQ(answer.header().size, sizeof(MessageHeader));
}

TEST_F(ResponderTest, RefusesKindsThatItDoesNotKnow) {
  const Message answer = Answer(Message(static_cast<Kind>(1000), 5));
  ASSERT_TRUE(answer.IsRight());
  EXPECT_EQ(answer.header().error, ENOSYS);
  EXPECT_STREQ(answer.body<Refusal>().reason, "no such request");
}

TEST_F(ResponderTest, EndsTheConnectionForWhatIsNoRequest) {
  for (const uint16_t kind : {0, 1, 2, 15, 16 | 0x8000, 17 | 0x8000}) {
    EXPECT_FALSE(Answer(Message(static_cast<Kind>(kind))).IsRight()) << kind;
  }
  Message with_error(Kind::kPing);
  with_error.header().error = 1;
  EXPECT_FALSE(Answer(with_error).IsRight());
}

TEST_F(ResponderTest, EndsTheConnectionForBodiesOfAnotherSize) {
  for (uint16_t kind = 16; kind < 30; ++kind) {
    for (const size_t size : {1, 7, 3, 4000}) {
      Message message(static_cast<Kind>(kind));
      message.bytes().resize(sizeof(MessageHeader) + size);
      message.header().size = static_cast<uint32_t>(message.bytes().size());
      EXPECT_FALSE(Answer(message).IsRight()) << kind << ", " << size;
    }
  }
}

TEST_F(ResponderTest, ListsContainersAndGroups) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  const int empty = host_.OpenContainer();
  ASSERT_EQ(MapAt(container, 0x10000, 0x2000), 0);
  EXPECT_LT(host_.Ioctl(container, 0x3bff, uint64_t{0}), 0);

  const std::vector<ContainerInfo> containers = Containers();
  ASSERT_EQ(containers.size(), 2u);
  EXPECT_EQ(containers[0].number, 1u);
  EXPECT_EQ(containers[0].type, static_cast<uint32_t>(decode::ContainerType::kType1v2));
  EXPECT_EQ(containers[0].opener, getpid());
  EXPECT_EQ(containers[0].groups, 1u);
  EXPECT_EQ(containers[0].live_mappings, 1u);
  EXPECT_EQ(containers[0].bytes_mapped, 0x2000u);
  EXPECT_EQ(containers[0].unknown_calls, 1u);
  EXPECT_EQ(containers[1].number, 2u);
  EXPECT_EQ(containers[1].type, 0u);
  EXPECT_EQ(containers[1].groups, 0u);

  const Message groups = Answer(Message(Kind::kListGroups));
  ASSERT_EQ(groups.body<GroupList>().count, 2u);
  const auto infos = groups.elements<GroupList, GroupInfo>(2);
  EXPECT_EQ(infos[0].number, TestHost::kGroup);
  EXPECT_EQ(infos[0].container, 1u);
  ASSERT_EQ(infos[0].device_count, 1u);
  EXPECT_STREQ(infos[0].devices[0], TestHost::kDevice);
  EXPECT_EQ(infos[1].container, 0u);
  ASSERT_EQ(infos[1].device_count, 2u);
  EXPECT_STREQ(infos[1].devices[1], TestHost::kFarDevice);

  host_.Close(empty);
  EXPECT_EQ(Containers().size(), 1u);
}

TEST_F(ResponderTest, ListsManyContainersInParts) {
  constexpr uint32_t kCount = 450;
  std::vector<int> open;
  for (uint32_t i = 0; i < kCount; ++i) open.push_back(host_.OpenContainer());
  // Slots are used again, so the list is in another order than the numbers.
  for (uint32_t i = 0; i < 50; ++i) host_.Close(open[i * 3]);
  for (uint32_t i = 0; i < 50; ++i) open[i * 3] = host_.OpenContainer();
  uint32_t after = 0;
  uint32_t parts = 0;
  uint32_t seen = 0;
  for (bool more = true; more; ++parts) {
    const Message answer =
        Ask(Kind::kListContainers, ListContainers{.after = after, .reserved = 0});
    const auto list = answer.body<ContainerList>();
    for (const auto& info : answer.elements<ContainerList, ContainerInfo>(list.count)) {
      ASSERT_GT(info.number, after);
      after = info.number;
      ++seen;
    }
    more = list.more != 0;
  }
  EXPECT_EQ(seen, kCount);
  EXPECT_EQ(after, kCount + 50);
  EXPECT_GT(parts, 1u);
}

TEST_F(ResponderTest, ShowsAnAddressSpace) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(MapAt(container, 0x10000, 0x2000), 0);
  const Message answer = Ask(Kind::kGetAddressSpace, ContainerRef{.container = 1, .reserved = 0});
  const auto info = answer.body<AddressSpaceInfo>();
  EXPECT_EQ(info.maps, 1u);
  EXPECT_EQ(info.unmaps, 0u);
  EXPECT_EQ(info.live_mappings, 1u);
  EXPECT_EQ(info.bytes_mapped, 0x2000u);
  EXPECT_NE(info.page_sizes & 4096, 0u);
  const auto ranges = answer.elements<AddressSpaceInfo, RangeInfo>(info.count);
  ASSERT_GE(ranges.size(), 2u);
  EXPECT_EQ(ranges[0].kind, static_cast<uint32_t>(RangeKind::kAperture));
  EXPECT_EQ(ranges[0].first, 0u);
  EXPECT_EQ(ranges[1].kind, static_cast<uint32_t>(RangeKind::kReserved));
  EXPECT_EQ(ranges[1].owner, ~0u);
}

TEST_F(ResponderTest, ListsMappingsOfARange) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(MapAt(container, 0x10000, 0x2000), 0);
  ASSERT_EQ(MapAt(container, 0x20000, 0x1000), 0);
  const std::vector<MappingInfo> all = Mappings(0, UINT64_MAX);
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].first, 0x10000u);
  EXPECT_EQ(all[0].last, 0x11fffu);
  EXPECT_EQ(all[0].user_address, address());
  EXPECT_EQ(all[0].pid, getpid());
  EXPECT_EQ(all[0].access, 1u);
  EXPECT_EQ(Mappings(0x11000, 0x1ffff).size(), 1u);
  EXPECT_EQ(Mappings(0x12000, 0x1ffff).size(), 0u);
  EXPECT_EQ(Mappings(0x11fff, 0x20000).size(), 2u);
}

TEST_F(ResponderTest, ListsManyMappingsInPartsThatGoOn) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  constexpr uint64_t kCount = 5000;
  for (uint64_t i = 1; i <= kCount; ++i) ASSERT_EQ(MapAt(container, i * 8192, 4096), 0);
  uint64_t first = 0;
  uint64_t seen = 0;
  for (bool more = true; more;) {
    const Message answer =
        Ask(Kind::kListMappings,
            ListMappings{.container = 1, .reserved = 0, .first = first, .last = UINT64_MAX});
    const auto list = answer.body<MappingList>();
    for (const auto& info : answer.elements<MappingList, MappingInfo>(list.count)) {
      ASSERT_EQ(info.first, ++seen * 8192);
    }
    more = list.more != 0;
    first = list.next;
  }
  EXPECT_EQ(seen, kCount);
}

TEST_F(ResponderTest, Translates) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(MapAt(container, 0x10000, 0x2000), 0);
  const auto translated =
      Ask(Kind::kTranslate, Translate{.container = 1, .reserved = 0, .iova = 0x10123})
          .body<Translated>();
  EXPECT_EQ(translated.mapping.first, 0x10000u);
  EXPECT_EQ(translated.user_address, address() + 0x123);
  EXPECT_EQ(translated.contiguous, 0x2000u - 0x123);
  EXPECT_EQ(ErrorOf(Kind::kTranslate, Translate{.container = 1, .reserved = 0, .iova = 0x12000}),
            ENODATA);
}

TEST_F(ResponderTest, SaysWhichContainersThereAreNot) {
  host_.OpenContainer();
  EXPECT_EQ(ErrorOf(Kind::kGetAddressSpace, ContainerRef{.container = 9, .reserved = 0}), ENOENT);
  EXPECT_EQ(ErrorOf(Kind::kGetAddressSpace, ContainerRef{.container = 1, .reserved = 0}), ENODEV);
  EXPECT_EQ(ErrorOf(Kind::kTranslate, Translate{.container = 0, .reserved = 0, .iova = 0}), ENOENT);
  EXPECT_EQ(ErrorOf(Kind::kListMappings,
                    ListMappings{.container = 1, .reserved = 0, .first = 0, .last = 1}),
            ENODEV);
  EXPECT_EQ(ErrorOf(Kind::kListMappings,
                    ListMappings{.container = 1, .reserved = 0, .first = 2, .last = 1}),
            EINVAL);
}

// A thread of the program that hangs inside the host keeps nobody waiting.
TEST_F(ResponderTest, GivesUpOnLocksThatAreHeld) {
  int group = -1;
  host_.ContainerOfType(abi::kType1v2Iommu, group);
  {
    const vfio::Host::Lock lock(host_.host());
    std::thread([&] {
      EXPECT_EQ(ErrorOf(Kind::kListContainers, ListContainers{}), EBUSY);
      EXPECT_EQ(Answer(Message(Kind::kListGroups)).header().error, EBUSY);
    }).join();
  }
  ioas::Arena arena = host_.host().arena();
  ioas::AddressSpace space(arena, arena.Get(host_.host().state().containers)->space);
  const ioas::AddressSpace::Lock lock(space);
  std::thread([&] {
    EXPECT_EQ(ErrorOf(Kind::kListContainers, ListContainers{}), EBUSY);
    EXPECT_EQ(ErrorOf(Kind::kTranslate, Translate{.container = 1, .reserved = 0, .iova = 0}),
              EBUSY);
  }).join();
}

TEST_F(ResponderTest, CallsAreEventsWhileSubscribed) {
  ASSERT_EQ(ErrorOf(Kind::kSubscribe, Subscribe{.kinds = ~0u, .reserved = 0}), 0);
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(MapAt(container, 0x10000, 0x2000), 0);
  abi::DmaUnmap unmap = {
      .argsz = sizeof(abi::DmaUnmap), .flags = 0, .iova = 0x10000, .size = 0x2000};
  ASSERT_EQ(host_.Ioctl(container, abi::kIommuUnmapDma, &unmap), 0);
  EXPECT_LT(host_.Ioctl(container, 0x3bff, uint64_t{0}), 0);
  ASSERT_EQ(MapAt(container, 0x30000, 0x1000), 0);
  host_.Close(group);
  host_.Close(container);
  ASSERT_EQ(ErrorOf(Kind::kSubscribe, Subscribe{}), 0);
  host_.OpenContainer();

  Event events[32];
  const size_t count = events::TheRings()->Take(events);
  std::vector<EventKind> kinds;
  for (const Event& event : std::span(events, count)) {
    EXPECT_EQ(event.container, 1u);
    kinds.push_back(static_cast<EventKind>(event.kind));
  }
  ASSERT_EQ(kinds, (std::vector<EventKind>{EventKind::kOpened, EventKind::kGroupAttached,
                                           EventKind::kTypeSet, EventKind::kMapped,
                                           EventKind::kUnmapped, EventKind::kUnknownCall,
                                           EventKind::kMapped, EventKind::kGroupDetached,
                                           EventKind::kUnmapped, EventKind::kClosed}));
  EXPECT_EQ(events[1].value, TestHost::kGroup);
  EXPECT_EQ(events[2].value, abi::kType1v2Iommu);
  EXPECT_EQ(events[3].first, 0x10000u);
  EXPECT_EQ(events[3].last, 0x11fffu);
  EXPECT_EQ(events[3].value, address());
  EXPECT_EQ(events[3].access, 1);
  EXPECT_EQ(events[4].first, 0x10000u);
  EXPECT_EQ(events[4].last, 0x11fffu);
  EXPECT_EQ(events[5].value, 0x3bffu);
}

// --- Actions ---

TEST_F(ResponderTest, FreezesAndThaws) {
  int group = -1;
  host_.ContainerOfType(abi::kType1v2Iommu, group);
  Act act = {};
  act.action = static_cast<uint32_t>(Action::kFreeze);
  act.container = 1;
  act.dry_run = 1;
  EXPECT_EQ(Ask(Kind::kAct, act).body<Acted>().groups, 1u);
  EXPECT_EQ(Containers()[0].flags, 0u);
  act.dry_run = 0;
  EXPECT_EQ(Ask(Kind::kAct, act).body<Acted>().was_in_force, 0u);
  EXPECT_EQ(Ask(Kind::kAct, act).body<Acted>().was_in_force, 1u);
  EXPECT_EQ(Containers()[0].flags, kIsFrozen);
  const auto groups = [&] {
    return Answer(Message(Kind::kListGroups)).elements<GroupList, GroupInfo>(2);
  };
  EXPECT_EQ(groups()[0].flags, kGroupIsFrozen);
  act.action = static_cast<uint32_t>(Action::kThaw);
  EXPECT_EQ(ErrorOf(Kind::kAct, act), 0);
  EXPECT_EQ(Containers()[0].flags, 0u);
  EXPECT_EQ(groups()[0].flags, 0u);

  act = {};
  act.action = static_cast<uint32_t>(Action::kFreeze);
  act.group = TestHost::kOtherGroup;
  EXPECT_EQ(Ask(Kind::kAct, act).body<Acted>().groups, 2u);
  EXPECT_EQ(groups()[1].flags, kGroupIsFrozen);
  act.action = static_cast<uint32_t>(Action::kThaw);
  EXPECT_EQ(ErrorOf(Kind::kAct, act), 0);
  EXPECT_EQ(groups()[1].flags, 0u);
}

TEST_F(ResponderTest, UnmapsAndRevokes) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(MapAt(container, 0x10000, 0x2000), 0);
  ASSERT_EQ(MapAt(container, 0x20000, 0x1000), 0);
  Act act = {};
  act.action = static_cast<uint32_t>(Action::kUnmap);
  act.container = 1;
  act.first = 0x10000;
  act.last = 0x10fff;
  EXPECT_EQ(ErrorOf(Kind::kAct, act), EINVAL);
  act.last = 0x11fff;
  const auto unmapped = Ask(Kind::kAct, act).body<Acted>();
  EXPECT_EQ(unmapped.mappings, 1u);
  EXPECT_EQ(unmapped.bytes, 0x2000u);
  act.action = static_cast<uint32_t>(Action::kRevoke);
  EXPECT_EQ(Ask(Kind::kAct, act).body<Acted>().mappings, 1u);
  EXPECT_EQ(MapAt(container, 0x10000, 0x2000), -ENODEV);
  EXPECT_EQ(Containers()[0].flags, kIsRevoked);
  EXPECT_EQ(Containers()[0].groups, 0u);
}

TEST_F(ResponderTest, RefusesActionsThatThereAreNot) {
  int group = -1;
  host_.ContainerOfType(abi::kType1v2Iommu, group);
  Act act = {};
  act.container = 1;
  EXPECT_EQ(ErrorOf(Kind::kAct, act), EINVAL);
  act.action = static_cast<uint32_t>(Action::kFreeze);
  act.dry_run = 2;
  EXPECT_EQ(ErrorOf(Kind::kAct, act), EINVAL);
  act.dry_run = 0;
  act.container = 2;
  EXPECT_EQ(ErrorOf(Kind::kAct, act), ENOENT);
  act.container = 0;
  act.group = 99;
  EXPECT_EQ(ErrorOf(Kind::kAct, act), ENOENT);
  act.group = TestHost::kGroup;
  act.action = static_cast<uint32_t>(Action::kRevoke);
  EXPECT_EQ(ErrorOf(Kind::kAct, act), EINVAL);
}

TEST_F(ResponderTest, SetsLimitsAndShowsThem) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  SetLimits request = {};
  request.container = 1;
  request.dry_run = 1;
  request.limits.mapped_bytes = 0x1000;
  request.limits.mapping_count = 7;
  request.limits.types = 1u << 1;
  request.limits.range_count = 1;
  request.limits.ranges[0] = {0x10000, 0x1ffff};
  EXPECT_EQ(ErrorOf(Kind::kSetLimits, request), 0);
  EXPECT_EQ(Containers()[0].limits.mapped_bytes, 0u);
  request.dry_run = 0;
  EXPECT_EQ(ErrorOf(Kind::kSetLimits, request), 0);
  const Limits shown = Containers()[0].limits;
  EXPECT_EQ(shown.mapped_bytes, 0x1000u);
  EXPECT_EQ(shown.mapping_count, 7u);
  EXPECT_EQ(shown.types, 2u);
  ASSERT_EQ(shown.range_count, 1u);
  EXPECT_EQ(shown.ranges[0].last, 0x1ffffu);
  EXPECT_EQ(MapAt(container, 0x20000, 0x1000), -EINVAL);
  EXPECT_EQ(MapAt(container, 0x10000, 0x2000), -ENOMEM);
  EXPECT_EQ(MapAt(container, 0x10000, 0x1000), 0);

  request.container = 0;
  EXPECT_EQ(ErrorOf(Kind::kSetLimits, request), 0);
  host_.OpenContainer();
  EXPECT_EQ(Containers()[1].limits.mapping_count, 7u);
  request.container = 9;
  EXPECT_EQ(ErrorOf(Kind::kSetLimits, request), ENOENT);
  request.limits.range_count = kMaxLimitRanges + 1;
  EXPECT_EQ(ErrorOf(Kind::kSetLimits, request), -1);
}

// --- Counters, faults, dirty pages ---

TEST_F(ResponderTest, CountsCallsByNameAndErrno) {
  events::StartCounting();
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(MapAt(container, 0x10000, 0x2000), 0);
  ASSERT_EQ(MapAt(container, 0x20000, 0x2000), 0);
  ASSERT_EQ(MapAt(container, 0x20000, 0x2000), -EEXIST);
  EXPECT_LT(host_.Ioctl(container, 0x3bff, uint64_t{0}), 0);
  const Message answer = Answer(Message(Kind::kGetCounters));
  events::ForgetCounters();
  const auto list = answer.body<CounterList>();
  const auto count = [&](uint16_t call, uint16_t error) -> uint64_t {
    for (const Counter& counter : answer.elements<CounterList, Counter>(list.count)) {
      if (counter.call == call && counter.error == error) return counter.count;
    }
    return 0;
  };
  EXPECT_EQ(count(static_cast<uint16_t>(decode::Call::kIommuMapDma), 0), 2u);
  EXPECT_EQ(count(static_cast<uint16_t>(decode::Call::kIommuMapDma), EEXIST), 1u);
  EXPECT_EQ(count(static_cast<uint16_t>(decode::Call::kSetIommu), 0), 1u);
  EXPECT_EQ(count(static_cast<uint16_t>(decode::Call::kGroupSetContainer), 0), 1u);
  EXPECT_EQ(count(0xffff, ENOTTY), 1u);
  EXPECT_EQ(list.count, 5u);
}

TEST_F(ResponderTest, ListsFaultsAndClearsThem) {
  ioas::soft::FaultLog log = host_.platform().soft().faults();
  log.Record({0x1000, 5u << 3, ioas::kAccessWrite, ioas::soft::FaultReason::kNotMapped, 1});
  log.Record({0x1000, 5u << 3, ioas::kAccessWrite, ioas::soft::FaultReason::kNotMapped, 1});
  const Message answer = Answer(Message(Kind::kListFaults));
  const auto list = answer.body<FaultList>();
  EXPECT_EQ(list.total, 2u);
  ASSERT_EQ(list.count, 1u);
  const auto fault = answer.elements<FaultList, FaultInfo>(1)[0];
  EXPECT_EQ(fault.iova, 0x1000u);
  EXPECT_EQ(fault.count, 2u);
  EXPECT_EQ(fault.device, 5u << 3);
  EXPECT_EQ(fault.access, 2u);
  EXPECT_STREQ(fault.reason, "nothing is mapped there");
  EXPECT_EQ(Answer(Message(Kind::kClearFaults)).body<FaultList>().count, 1u);
  const auto cleared = Answer(Message(Kind::kListFaults)).body<FaultList>();
  EXPECT_EQ(cleared.count, 0u);
  EXPECT_EQ(cleared.total, 2u);
}

TEST_F(ResponderTest, InjectsFaultsInPlaceOfThoseBefore) {
  const auto refused = [&] { return Answer(Message(Kind::kListFaults)).body<FaultList>(); };
  InjectFaults request = {};
  request.count = 2;
  request.dry_run = 1;
  request.ranges[0] = {0x1000, 0x1fff};
  request.ranges[1] = {0x5000, 0x5000};
  EXPECT_EQ(ErrorOf(Kind::kInjectFaults, request), 0);
  EXPECT_EQ(refused().refused_count, 0u);
  request.dry_run = 0;
  EXPECT_EQ(ErrorOf(Kind::kInjectFaults, request), 0);
  ASSERT_EQ(refused().refused_count, 2u);
  EXPECT_EQ(refused().refused[1].first, 0x5000u);
  request.count = 1;
  EXPECT_EQ(ErrorOf(Kind::kInjectFaults, request), 0);
  EXPECT_EQ(refused().refused_count, 1u);
  EXPECT_EQ(refused().refused[0].last, 0x1fffu);
  request.ranges[0] = {2, 1};
  EXPECT_EQ(ErrorOf(Kind::kInjectFaults, request), EINVAL);
  request.count = kMaxLimitRanges + 1;
  EXPECT_EQ(ErrorOf(Kind::kInjectFaults, request), -1);
  request.count = 0;
  EXPECT_EQ(ErrorOf(Kind::kInjectFaults, request), 0);
  EXPECT_EQ(refused().refused_count, 0u);
}

class DirtyTest : public ResponderTest {
 protected:
  Message Do(DirtyOperation operation, uint64_t first = 0, uint64_t last = UINT64_MAX,
             uint32_t dry_run = 0) {
    return Ask(Kind::kDirty, Dirty{.operation = static_cast<uint32_t>(operation),
                                   .dry_run = dry_run,
                                   .container = 1,
                                   .reserved = 0,
                                   .first = first,
                                   .last = last,
                                   .page_size = 0});
  }
  int ErrorOfRead() { return Do(DirtyOperation::kRead).header().error; }
  long Program(int container, uint32_t flags) {
    abi::DirtyBitmap dirty = {.argsz = sizeof(abi::DirtyBitmap), .flags = flags};
    return host_.Ioctl(container, abi::kIommuDirtyPages, &dirty);
  }
};

TEST_F(DirtyTest, ReadsMappedPagesOnly) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(MapAt(container, 0x10000, 0x3000), 0);
  ASSERT_EQ(MapAt(container, 0x80000, 0x1000), 0);
  EXPECT_EQ(ErrorOfRead(), EINVAL);
  EXPECT_EQ(Do(DirtyOperation::kStart, 0, 0, /*dry_run=*/1).header().error, 0);
  EXPECT_EQ(ErrorOfRead(), EINVAL);
  // The software host records nothing, so everything counts as written.
  EXPECT_EQ(Do(DirtyOperation::kStart).body<DirtyAnswer>().is_exact, 0u);
  const Message first = Do(DirtyOperation::kRead);
  const auto head = first.body<DirtyAnswer>();
  EXPECT_EQ(head.first, 0x10000u);
  EXPECT_EQ(head.page_size, 4096u);
  EXPECT_EQ(head.bit_count, 3u);
  EXPECT_EQ(head.more, 1u);
  EXPECT_EQ(first.bytes().size(), sizeof(MessageHeader) + sizeof(DirtyAnswer) + 1);
  EXPECT_EQ((first.elements<DirtyAnswer, uint8_t>(1)[0]), 7);
  const auto second = Do(DirtyOperation::kRead, head.next).body<DirtyAnswer>();
  EXPECT_EQ(second.first, 0x80000u);
  EXPECT_EQ(second.bit_count, 1u);
  EXPECT_EQ(second.more, 0u);
  EXPECT_EQ(Do(DirtyOperation::kRead, 0x11000, 0x11fff).body<DirtyAnswer>().bit_count, 1u);
  EXPECT_EQ(Do(DirtyOperation::kRead, 0x20000, 0x2ffff).body<DirtyAnswer>().bit_count, 0u);
  EXPECT_EQ(Do(DirtyOperation::kRead, 0x11001).header().error, EINVAL);
  EXPECT_EQ(Do(DirtyOperation::kStop).header().error, 0);
  EXPECT_EQ(ErrorOfRead(), EINVAL);
}

TEST_F(DirtyTest, TheProgramsTrackingIsItsOwn) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(Program(container, abi::kIommuDirtyPagesFlagStart), 0);
  EXPECT_EQ(Do(DirtyOperation::kStart).header().error, EBUSY);
  EXPECT_EQ(Do(DirtyOperation::kStop).header().error, EBUSY);
  EXPECT_EQ(ErrorOfRead(), EBUSY);
  ASSERT_EQ(Program(container, abi::kIommuDirtyPagesFlagStop), 0);
  ASSERT_EQ(Do(DirtyOperation::kStart).header().error, 0);
  // The program's STOP without a START changes nothing, and its START takes over.
  ASSERT_EQ(Program(container, abi::kIommuDirtyPagesFlagStop), 0);
  EXPECT_EQ(ErrorOfRead(), 0);
  ASSERT_EQ(Program(container, abi::kIommuDirtyPagesFlagStart), 0);
  EXPECT_EQ(ErrorOfRead(), EBUSY);
}

TEST_F(DirtyTest, ReadsALargeMappingInParts) {
  int group = -1;
  host_.ContainerOfType(abi::kType1v2Iommu, group);
  constexpr uint64_t kSize = uint64_t{3} << 30;
  ioas::Arena arena = host_.host().arena();
  // The mapping only: its memory would have to be there otherwise.
  ioas::MappingIndex index(arena,
                           &arena.Get(arena.Get(host_.host().state().containers)->space)->mappings);
  ASSERT_EQ(Do(DirtyOperation::kStart).header().error, 0);
  ASSERT_TRUE(index.Insert({.first = 0, .last = kSize - 1, .user_address = 0, .owner = 0}).ok());
  uint64_t pages = 0;
  uint64_t next = 0;
  for (bool more = true; more;) {
    const auto head = Do(DirtyOperation::kRead, next).body<DirtyAnswer>();
    EXPECT_EQ(head.first, next);
    EXPECT_EQ(head.bit_count, 1u << 18);
    pages += head.bit_count;
    next = head.next;
    more = head.more != 0;
  }
  EXPECT_EQ(pages, kSize / 4096);
  index.Erase(0);
  EXPECT_EQ(Do(DirtyOperation::kStop).header().error, 0);
}

TEST_F(DirtyTest, OtherTypesHaveNone) {
  int group = -1;
  host_.ContainerOfType(abi::kType1Iommu, group);
  EXPECT_EQ(Do(DirtyOperation::kStart).header().error, EOPNOTSUPP);
  EXPECT_EQ(ErrorOfRead(), EOPNOTSUPP);
}

}  // namespace
}  // namespace compat::session
