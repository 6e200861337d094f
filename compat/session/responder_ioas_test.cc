// Address spaces of iommufd's own calls.
#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/session/responder_fixture.h"

namespace compat::session {
namespace {

namespace iommufd = abi::iommufd;

class ResponderIoasTest : public ResponderTest {
 protected:
  uint32_t NewIoas(int iommufd) {
    iommufd::IoasAlloc command = {};
    command.size = sizeof(command);
    EXPECT_EQ(host_.Ioctl(iommufd, iommufd::kIoasAlloc, &command), 0);
    return command.out_ioas_id;
  }
  void MapIoas(int iommufd, uint32_t ioas, uint64_t iova, uint64_t size) {
    iommufd::IoasMap command = {};
    command.size = sizeof(command);
    command.flags = iommufd::kIoasMapFixedIova | iommufd::kIoasMapReadable;
    command.ioas_id = ioas;
    command.user_va = address();
    command.length = size;
    command.iova = iova;
    EXPECT_EQ(host_.Ioctl(iommufd, iommufd::kIoasMap, &command), 0);
  }
  void Attach(int iommufd, int cdev, uint32_t ioas) {
    abi::DeviceBindIommufd bind = {sizeof(bind), 0, iommufd, 0};
    ASSERT_EQ(host_.Ioctl(cdev, abi::kDeviceBindIommufd, &bind), 0);
    abi::DeviceAttachIommufdPt attach = {};
    attach.argsz = 12;
    attach.pt_id = ioas;
    ASSERT_EQ(host_.Ioctl(cdev, abi::kDeviceAttachIommufdPt, &attach), 0);
  }
  std::vector<IoasInfo> Ioases(uint32_t after = 0) {
    const Message answer = Ask(Kind::kListIoases, ListContainers{.after = after, .reserved = 0});
    EXPECT_EQ(answer.header().error, 0);
    return answer.elements<ContainerList, IoasInfo>(answer.body<ContainerList>().count);
  }
  std::vector<RangeInfo> Ranges(uint32_t number) {
    const Message answer =
        Ask(Kind::kGetAddressSpace, ContainerRef{.container = number, .reserved = 0});
    return answer.elements<AddressSpaceInfo, RangeInfo>(answer.body<AddressSpaceInfo>().count);
  }
};

TEST_F(ResponderIoasTest, ListsThoseOfAllContexts) {
  EXPECT_TRUE(Ioases().empty());
  const int first = host_.OpenIommufd();
  const int second = host_.OpenIommufd();
  host_.OpenContainer();
  const uint32_t one = NewIoas(first);
  const uint32_t two = NewIoas(first);
  const uint32_t other = NewIoas(second);
  MapIoas(first, two, 0x10000, 0x3000);
  const auto ioases = Ioases();
  ASSERT_EQ(ioases.size(), 3u);
  EXPECT_EQ(ioases[0].context, 1u);
  EXPECT_EQ(ioases[0].object, one);
  EXPECT_EQ(ioases[0].number, kIoasBit | 1 << 16 | one);
  EXPECT_EQ(ioases[0].opener, getpid());
  EXPECT_EQ(ioases[0].live_mappings, 0u);
  EXPECT_EQ(ioases[1].object, two);
  EXPECT_EQ(ioases[1].live_mappings, 1u);
  EXPECT_EQ(ioases[1].bytes_mapped, 0x3000u);
  EXPECT_EQ(ioases[2].context, 2u);
  EXPECT_EQ(ioases[2].object, other);
  EXPECT_EQ(Containers().size(), 1u);
  // From the middle, and behind the last.
  EXPECT_EQ(Ioases(ioases[0].number).size(), 2u);
  EXPECT_EQ(Ioases(ioases[1].number).front().number, ioases[2].number);
  EXPECT_TRUE(Ioases(ioases[2].number).empty());
  EXPECT_TRUE(Ioases(UINT32_MAX).empty());
  // A context that is opened later is another one.
  host_.Close(first);
  EXPECT_EQ(Ioases().size(), 1u);
  NewIoas(host_.OpenIommufd());
  EXPECT_EQ(Ioases().back().context, 3u);
}

TEST_F(ResponderIoasTest, LooksIntoThem) {
  const int iommufd = host_.OpenIommufd();
  const uint32_t ioas = NewIoas(iommufd);
  MapIoas(iommufd, ioas, 0x10000, 0x3000);
  const uint32_t number = Ioases().front().number;
  const auto translated =
      Ask(Kind::kTranslate, Translate{.container = number, .reserved = 0, .iova = 0x11004})
          .body<Translated>();
  EXPECT_EQ(translated.user_address, address() + 0x1004);
  EXPECT_EQ(translated.mapping.pid, getpid());
  const Message answer = Ask(
      Kind::kListMappings,
      session::ListMappings{.container = number, .reserved = 0, .first = 0, .last = UINT64_MAX});
  EXPECT_EQ(answer.body<MappingList>().count, 1u);
  const auto found = Ask(Kind::kFindRange, session::FindRange{.container = number,
                                                              .reserved = 0,
                                                              .size = 0x2000,
                                                              .alignment = 0x1000,
                                                              .lowest = 0x10000,
                                                              .highest = UINT64_MAX})
                         .body<FoundRange>();
  EXPECT_EQ(found.range.first, 0x13000u);
  EXPECT_EQ(
      ErrorOf(Kind::kTranslate, Translate{.container = number + 1, .reserved = 0, .iova = 0x11004}),
      ENOENT);
  // What acts is about containers.
  EXPECT_EQ(ErrorOf(Kind::kAct, session::Act{.action = static_cast<uint32_t>(Action::kRevoke),
                                             .dry_run = 0,
                                             .container = number,
                                             .group = 0,
                                             .first = 0,
                                             .last = 0}),
            ENOENT);
}

TEST_F(ResponderIoasTest, TellsOfDevicesThatAreAttached) {
  const int iommufd = host_.OpenIommufd();
  const uint32_t ioas = NewIoas(iommufd);
  const uint32_t number = Ioases().front().number;
  ASSERT_EQ(Ranges(number).size(), 1u);
  EXPECT_EQ(Ranges(number).front().last, UINT64_MAX);
  Attach(iommufd, host_.OpenCdev(0), ioas);
  // The first group.
  EXPECT_EQ(Ioases().front().groups, 1u);
  bool has_end = false;
  bool has_interrupts = false;
  for (const RangeInfo& range : Ranges(number)) {
    if (range.kind != static_cast<uint32_t>(RangeKind::kReserved)) continue;
    // What the page table cannot reach is the IOMMU's.
    has_end |= range.last == UINT64_MAX && range.owner == ioas::kIommuOwner;
    // 0000:00:05.0
    has_interrupts |= range.first == 0xfee00000 && range.owner == 5u << 3;
  }
  EXPECT_TRUE(has_end);
  EXPECT_TRUE(has_interrupts);
}

TEST_F(ResponderIoasTest, ListsManyInPartsThatGoOn) {
  constexpr size_t kCount = 2000;
  const int iommufd = host_.OpenIommufd();
  for (size_t i = 0; i < kCount; ++i) NewIoas(iommufd);
  std::vector<IoasInfo> all;
  while (all.size() < kCount) {
    const auto part = Ioases(all.empty() ? 0 : all.back().number);
    ASSERT_FALSE(part.empty());
    all.insert(all.end(), part.begin(), part.end());
  }
  EXPECT_EQ(all.size(), kCount);
  EXPECT_EQ(all.back().object, all.front().object + kCount - 1);
}

}  // namespace
}  // namespace compat::session
