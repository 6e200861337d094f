// Requests that act, or are about what devices do.
#include <gtest/gtest.h>

#include <vector>

#include "compat/events/counters.h"
#include "compat/session/responder_fixture.h"

namespace compat::session {
namespace {

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
  EXPECT_EQ(fault.pasid, kNoPasid);
  EXPECT_STREQ(fault.reason, "nothing is mapped there");
  log.Record({0x1000, 5u << 3, ioas::kAccessWrite, ioas::soft::FaultReason::kNotMapped, 1, 7});
  EXPECT_EQ((Answer(Message(Kind::kListFaults)).elements<FaultList, FaultInfo>(2)[1].pasid), 7u);
  EXPECT_EQ(Answer(Message(Kind::kClearFaults)).body<FaultList>().count, 2u);
  const auto cleared = Answer(Message(Kind::kListFaults)).body<FaultList>();
  EXPECT_EQ(cleared.count, 0u);
  EXPECT_EQ(cleared.total, 3u);
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
