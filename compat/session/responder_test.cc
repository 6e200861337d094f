// Requests that look.
#include <gtest/gtest.h>

#include <thread>
#include <vector>

#include "compat/session/responder_fixture.h"

namespace compat::session {
namespace {

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

TEST_F(ResponderTest, FindsRangesThatAreFree) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  ASSERT_EQ(MapAt(container, 0x1000, 0x1000), 0);
  session::FindRange request = {.container = 1,
                                .reserved = 0,
                                .size = 0x1001,
                                .alignment = 0,
                                .lowest = 0,
                                .highest = 0xffff};
  Message answer = Ask(Kind::kFindRange, request);
  FoundRange found = answer.body<FoundRange>();
  EXPECT_EQ(found.is_found, 1u);
  EXPECT_EQ(found.range.first, 0x2000u);
  EXPECT_EQ(found.range.last, 0x3000u);
  EXPECT_EQ(found.alignment, 4096u);
  EXPECT_EQ(found.largest.last, 0xffffu);
  ASSERT_EQ(found.count, 2u);
  EXPECT_EQ(found.more, 0u);
  auto free = answer.elements<FoundRange, IovaLimits>(2);
  EXPECT_EQ(free[0].last, 0xfffu);
  EXPECT_EQ(free[1].first, 0x2000u);

  request.size = 0x10000;
  answer = Ask(Kind::kFindRange, request);
  found = answer.body<FoundRange>();
  EXPECT_EQ(found.is_found, 0u);
  EXPECT_EQ(found.has_largest, 1u);
  EXPECT_EQ(found.largest.first, 0x2000u);
  EXPECT_EQ(found.count, 2u);

  request.size = 0;
  EXPECT_EQ(ErrorOf(Kind::kFindRange, request), EINVAL);
  request.size = 1;
  request.alignment = 3;
  EXPECT_EQ(ErrorOf(Kind::kFindRange, request), EINVAL);
  request.alignment = 1;
  request.lowest = 0x10000;
  EXPECT_EQ(ErrorOf(Kind::kFindRange, request), EINVAL);
  request.container = 2;
  request.lowest = 0;
  EXPECT_EQ(ErrorOf(Kind::kFindRange, request), ENOENT);
}

TEST_F(ResponderTest, ListsAsManyFreeRangesAsItHasRoomFor) {
  int group = -1;
  const int container = host_.ContainerOfType(abi::kType1v2Iommu, group);
  for (uint64_t i = 0; i < kMaxFreeRanges; ++i) ASSERT_EQ(MapAt(container, i * 8192, 4096), 0);
  session::FindRange request = {.container = 1,
                                .reserved = 0,
                                .size = 1,
                                .alignment = 1,
                                .lowest = 0,
                                .highest = uint64_t{kMaxFreeRanges} * 8192 - 1};
  FoundRange found = Ask(Kind::kFindRange, request).body<FoundRange>();
  EXPECT_EQ(found.count, kMaxFreeRanges);
  EXPECT_EQ(found.more, 0u);
  ASSERT_EQ(MapAt(container, uint64_t{kMaxFreeRanges} * 8192, 4096), 0);
  request.highest += 8192;
  found = Ask(Kind::kFindRange, request).body<FoundRange>();
  EXPECT_EQ(found.count, kMaxFreeRanges);
  EXPECT_EQ(found.more, 1u);
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

}  // namespace
}  // namespace compat::session
