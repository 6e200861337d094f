#include "ioas/soft/soft_host.h"

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

class SoftHostTest : public testing::Test {
 protected:
  void SetUp() override {
    arena_ = *Arena::CreatePrivate(size_t{64} << 20);
    const auto host = CreateHost(arena_);
    ASSERT_TRUE(host.ok());
    host_ = arena_.Get(*host);
  }
  void TearDown() override { arena_.Unmap(); }

  Result<ArenaRef<SoftDeviceState>> Create(PciAddress address) {
    return CreateDevice(arena_, *host_, {address, 3, ModelKind::kTest, 100, 4096});
  }

  Arena arena_;
  SoftHost* host_ = nullptr;
};

TEST_F(SoftHostTest, AddressesAreNumbersAndBack) {
  const PciAddress address = {0x1234, 0xab, 31, 7};
  EXPECT_EQ(address.number(), 0x1234abffu);
  EXPECT_EQ(PciAddress::FromNumber(address.number()), address);
}

TEST_F(SoftHostTest, DevicesAreFoundByTheirAddress) {
  const auto first = Create({0, 0, 5, 0});
  const auto second = Create({0, 1, 5, 0});
  ASSERT_TRUE(first.ok() && second.ok());
  EXPECT_EQ(FindDevice(arena_, *host_, {0, 1, 5, 0}), *second);
  EXPECT_FALSE(FindDevice(arena_, *host_, {0, 2, 5, 0}));
  EXPECT_EQ(host_->device_count, 2u);
  EXPECT_EQ(arena_.Get(*first)->group, 3u);
  EXPECT_FALSE(arena_.Get(*first)->target.space);
}

TEST_F(SoftHostTest, AnAddressIsTakenOnce) {
  ASSERT_TRUE(Create({0, 0, 5, 0}).ok());
  EXPECT_EQ(Create({0, 0, 5, 0}).error().code, EEXIST);
}

TEST_F(SoftHostTest, ThereIsRoomForSoManyDevicesAndRefusedRanges) {
  for (uint8_t i = 0; i < kMaxDevices; ++i) ASSERT_TRUE(Create({0, i, 0, 0}).ok());
  EXPECT_EQ(Create({1, 0, 0, 0}).error().code, ENOSPC);
  for (uint32_t i = 0; i < kMaxRefusedRanges; ++i) ASSERT_TRUE(RefuseRange(*host_, {i, i}).ok());
  EXPECT_EQ(RefuseRange(*host_, {9, 9}).error().code, ENOSPC);
}

TEST_F(SoftHostTest, RegistersLieOnTheirOwnPages) {
  const auto device = Create({0, 0, 5, 0});
  ASSERT_TRUE(device.ok());
  EXPECT_EQ(arena_.Get(*device)->registers_unit * kArenaUnit % kArenaPage, 0u);
}

}  // namespace
}  // namespace ioas::soft
