#include "ioas/soft/pci_config.h"

#include <linux/pci_regs.h>

#include <vector>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

constexpr DeviceIdentity kIdentity = {.vendor_id = 0x1b36,
                                      .device_id = 0x0010,
                                      .subsystem_vendor_id = 0x1af4,
                                      .subsystem_id = 0x1100,
                                      .class_code = 0x010802,
                                      .revision_id = 2,
                                      .msix_vectors = 33,
                                      .msi_vectors = 8,
                                      .msix_bar = 0,
                                      .msix_table_offset = 0x2000,
                                      .msix_pba_offset = 0x3000};
constexpr BarLayout kBars[] = {{0, true, false, 0x4000, {0, 0x2000}},
                               {2, false, true, 0x100000, {}}};

class PciConfigTest : public testing::Test {
 protected:
  PciConfigTest() { config_.Reset(kIdentity, kBars); }

  uint32_t Read(uint32_t offset, size_t size) const {
    uint32_t value = 0;
    config_.Read(offset, std::as_writable_bytes(std::span(&value, 1)).first(size));
    return value;
  }
  uint32_t Write(uint32_t offset, uint32_t value, size_t size) {
    return config_.Write(offset, std::as_bytes(std::span(&value, 1)).first(size));
  }
  // Where the capability `id` lies; 0 if the list has none.
  uint32_t Capability(uint32_t id) const {
    uint32_t at = Read(PCI_CAPABILITY_LIST, 1);
    for (int i = 0; i < 48 && at != 0; ++i) {
      if (Read(at, 1) == id) return at;
      at = Read(at + 1, 1);
    }
    return 0;
  }

  PciConfigState state_ = {};
  PciConfig config_{&state_};
};

TEST_F(PciConfigTest, TheHeaderSaysWhatTheFunctionIs) {
  EXPECT_EQ(Read(PCI_VENDOR_ID, 4), 0x00101b36u);
  EXPECT_EQ(Read(PCI_CLASS_REVISION, 4), 0x01080202u);
  EXPECT_EQ(Read(PCI_HEADER_TYPE, 1), 0u);
  EXPECT_EQ(Read(PCI_SUBSYSTEM_VENDOR_ID, 4), 0x11001af4u);
  EXPECT_EQ(Read(PCI_INTERRUPT_PIN, 1), 1u);
  EXPECT_EQ(Read(PCI_STATUS, 2) & PCI_STATUS_CAP_LIST, unsigned{PCI_STATUS_CAP_LIST});
  EXPECT_EQ(Read(PCI_COMMAND, 2), unsigned{PCI_COMMAND_MEMORY});
}

TEST_F(PciConfigTest, ReadOnlyFieldsStayWhateverIsWritten) {
  std::vector<std::byte> before(kConfigSize);
  config_.Read(0, before);
  for (uint32_t offset : {0u, 2u, 6u, 8u, 0xeu, 0x2cu, 0x34u, 0x3du}) Write(offset, 0, 1);
  for (uint32_t offset = kConfigStored; offset < kConfigSize; offset += 4) Write(offset, ~0u, 4);
  const uint32_t msix = Capability(PCI_CAP_ID_MSIX);
  for (uint32_t i = 0; i < PCI_CAP_MSIX_SIZEOF; i += 4) Write(msix + i, ~0u, 4);
  std::vector<std::byte> after(kConfigSize);
  config_.Read(0, after);
  EXPECT_EQ(before, after);
}

TEST_F(PciConfigTest, BarsTellTheirSize) {
  Write(PCI_BASE_ADDRESS_0, ~0u, 4);
  Write(PCI_BASE_ADDRESS_1, ~0u, 4);
  Write(PCI_BASE_ADDRESS_2, ~0u, 4);
  Write(PCI_BASE_ADDRESS_3, ~0u, 4);
  EXPECT_EQ(Read(PCI_BASE_ADDRESS_0, 4), 0xffffc004u);
  EXPECT_EQ(Read(PCI_BASE_ADDRESS_1, 4), 0xffffffffu);
  EXPECT_EQ(Read(PCI_BASE_ADDRESS_2, 4), 0xfff00008u);
  EXPECT_EQ(Read(PCI_BASE_ADDRESS_3, 4), 0u);
  Write(PCI_BASE_ADDRESS_0, 0xfebd1234, 4);
  EXPECT_EQ(Read(PCI_BASE_ADDRESS_0, 4), 0xfebd0004u);
  Write(PCI_ROM_ADDRESS, ~0u, 4);
  EXPECT_EQ(Read(PCI_ROM_ADDRESS, 4), 0u);
}

TEST_F(PciConfigTest, TheCapabilitiesAreChained) {
  EXPECT_NE(Capability(PCI_CAP_ID_PM), 0u);
  EXPECT_NE(Capability(PCI_CAP_ID_MSI), 0u);
  const uint32_t pcie = Capability(PCI_CAP_ID_EXP);
  EXPECT_NE(Read(pcie + PCI_EXP_DEVCAP, 4) & PCI_EXP_DEVCAP_FLR, 0u);
  const uint32_t msix = Capability(PCI_CAP_ID_MSIX);
  EXPECT_EQ(Read(msix + PCI_MSIX_FLAGS, 2), 32u);
  EXPECT_EQ(Read(msix + PCI_MSIX_TABLE, 4), 0x2000u);
  EXPECT_EQ(Read(msix + PCI_MSIX_PBA, 4), 0x3000u);
}

TEST_F(PciConfigTest, CapabilitiesThatAFunctionLacksAreNotThere) {
  DeviceIdentity identity = kIdentity;
  identity.msi_vectors = 0;
  identity.msix_vectors = 0;
  config_.Reset(identity, kBars);
  EXPECT_EQ(Capability(PCI_CAP_ID_MSI), 0u);
  EXPECT_EQ(Capability(PCI_CAP_ID_MSIX), 0u);
  EXPECT_NE(Capability(PCI_CAP_ID_EXP), 0u);
}

TEST_F(PciConfigTest, TheCommandRegisterDecides) {
  EXPECT_TRUE(config_.memory_enabled());
  EXPECT_FALSE(config_.bus_master());
  EXPECT_EQ(Write(PCI_COMMAND, PCI_COMMAND_MASTER | PCI_COMMAND_INTX_DISABLE, 2),
            unsigned{kCommandWritten});
  EXPECT_FALSE(config_.memory_enabled());
  EXPECT_TRUE(config_.bus_master());
  EXPECT_TRUE(config_.intx_disabled());
  EXPECT_EQ(Write(PCI_COMMAND, ~0u, 2), unsigned{kCommandWritten});
  EXPECT_EQ(Read(PCI_COMMAND, 2), 0x547u);
  EXPECT_EQ(Write(PCI_LATENCY_TIMER, ~0u, 1), 0u);
}

TEST_F(PciConfigTest, AFunctionLevelResetIsAskedForOnce) {
  const uint32_t control = Capability(PCI_CAP_ID_EXP) + PCI_EXP_DEVCTL;
  const uint32_t before = Read(control, 2);
  EXPECT_EQ(Write(control, before | PCI_EXP_DEVCTL_BCR_FLR, 2), unsigned{kFunctionReset});
  EXPECT_EQ(Read(control, 2), before);
  EXPECT_EQ(Write(control, before, 2), 0u);
}

TEST_F(PciConfigTest, MemoryIsOffInD3) {
  const uint32_t control = Capability(PCI_CAP_ID_PM) + PCI_PM_CTRL;
  Write(control, 3, 2);
  EXPECT_FALSE(config_.memory_enabled());
  EXPECT_EQ(Read(control, 2) & PCI_PM_CTRL_STATE_MASK, 3u);
  Write(control, 1, 2);  // D1 is not supported
  EXPECT_EQ(Read(control, 2) & PCI_PM_CTRL_STATE_MASK, 3u);
  Write(control, 0, 2);
  EXPECT_TRUE(config_.memory_enabled());
}

TEST_F(PciConfigTest, MsiFollowsWhatSetIrqsEnabled) {
  const uint32_t flags = Capability(PCI_CAP_ID_MSI) + PCI_MSI_FLAGS;
  EXPECT_EQ((Read(flags, 2) & PCI_MSI_FLAGS_QMASK) >> 1, 3u);
  Write(flags, PCI_MSI_FLAGS_ENABLE | 3 << 4, 2);
  EXPECT_EQ(Read(flags, 2) & (PCI_MSI_FLAGS_ENABLE | PCI_MSI_FLAGS_QSIZE), 0u);
  config_.SetMsi(3);
  Write(flags, PCI_MSI_FLAGS_ENABLE | 3 << 4, 2);
  EXPECT_EQ(Read(flags, 2) & PCI_MSI_FLAGS_ENABLE, unsigned{PCI_MSI_FLAGS_ENABLE});
  EXPECT_EQ((Read(flags, 2) & PCI_MSI_FLAGS_QSIZE) >> 4, 2u);
}

TEST_F(PciConfigTest, MsixShowsWhetherItIsOn) {
  const uint32_t flags = Capability(PCI_CAP_ID_MSIX) + PCI_MSIX_FLAGS;
  config_.SetMsix(4);
  EXPECT_EQ(Read(flags, 2), PCI_MSIX_FLAGS_ENABLE | 32u);
  config_.SetMsix(0);
  EXPECT_EQ(Read(flags, 2), 32u);
}

TEST_F(PciConfigTest, TheStatusRegisterShowsThePin) {
  config_.SetInterruptStatus(true);
  EXPECT_NE(Read(PCI_STATUS, 2) & PCI_STATUS_INTERRUPT, 0u);
  config_.SetInterruptStatus(false);
  EXPECT_EQ(Read(PCI_STATUS, 2), unsigned{PCI_STATUS_CAP_LIST});
}

TEST_F(PciConfigTest, AnyByteCanBeReadAndWrittenByItself) {
  Write(PCI_BASE_ADDRESS_0 + 3, 0xab, 1);
  EXPECT_EQ(Read(PCI_BASE_ADDRESS_0, 4), 0xab000004u);
  EXPECT_EQ(Read(kConfigSize - 1, 1), 0u);
  EXPECT_EQ(Read(0xfe, 4), 0u);
}

}  // namespace
}  // namespace ioas::soft
