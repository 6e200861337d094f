#include "fuzz/pci_config_space.h"

#include <linux/pci_regs.h>

#include <vector>

#include "ioas/soft/pci_config.h"

namespace fuzz {
namespace {

using ioas::soft::PciConfig;

constexpr int kMaxWrites = 16;

template <typename T>
T Load(const PciConfig& config, uint32_t offset) {
  T value{};
  config.Read(offset, std::as_writable_bytes(std::span(&value, 1)));
  return value;
}

// The capabilities' identifiers, as one who follows their list finds them.
std::vector<uint8_t> Capabilities(const PciConfig& config) {
  std::vector<uint8_t> found;
  uint32_t at = Load<uint8_t>(config, PCI_CAPABILITY_LIST);
  while (at != 0) {
    FUZZ_REQUIRE(at % 4 == 0 && at >= PCI_STD_HEADER_SIZEOF && found.size() < 48);
    found.push_back(Load<uint8_t>(config, at + PCI_CAP_LIST_ID));
    at = Load<uint8_t>(config, at + PCI_CAP_LIST_NEXT);
  }
  return found;
}

void CheckBars(const PciConfig& config, std::span<const ioas::soft::BarLayout> bars) {
  for (const ioas::soft::BarLayout& bar : bars) {
    const uint32_t low = Load<uint32_t>(config, PCI_BASE_ADDRESS_0 + bar.index * 4);
    // An address is a multiple of the size: that is how programs find the size.
    FUZZ_REQUIRE((low & ~uint32_t{0xf} & (bar.size - 1)) == 0);
    const bool is_64bit = (low & PCI_BASE_ADDRESS_MEM_TYPE_MASK) == PCI_BASE_ADDRESS_MEM_TYPE_64;
    FUZZ_REQUIRE((low & PCI_BASE_ADDRESS_SPACE) == 0 && is_64bit == bar.is_64bit);
  }
}

}  // namespace

void FuzzConfigSpace(Input& input, const ioas::soft::DeviceIdentity& identity,
                     std::span<const ioas::soft::BarLayout> bars) {
  ioas::soft::PciConfigState state{};
  PciConfig config(&state);
  config.Reset(identity, bars);
  const std::vector<uint8_t> capabilities = Capabilities(config);
  const uint32_t writes = input.TakeBelow(kMaxWrites);
  for (uint32_t i = 0; i < writes; ++i) {
    const uint32_t choice = input.TakeBelow(8);
    if (choice == 0) config.SetMsi(input.TakeBelow(identity.msi_vectors + 1u));
    if (choice == 1) config.SetMsix(input.TakeBelow(identity.msix_vectors + 1u));
    if (choice == 2) config.SetInterruptStatus(input.TakeBelow(2) != 0);
    const uint32_t length = 1 + input.TakeBelow(8);
    // Mostly where there is something.
    const uint32_t offset = input.Take<uint16_t>() % (choice == 3 ? 4096 - length : 256 - length);
    const auto value = input.Take<uint64_t>();
    (void)config.Write(offset, std::as_bytes(std::span(&value, 1)).first(length));
    FUZZ_REQUIRE(Load<uint16_t>(config, PCI_VENDOR_ID) == identity.vendor_id);
    FUZZ_REQUIRE(Load<uint16_t>(config, PCI_DEVICE_ID) == identity.device_id);
    FUZZ_REQUIRE(Load<uint32_t>(config, PCI_CLASS_REVISION) ==
                 (identity.class_code << 8 | identity.revision_id));
    FUZZ_REQUIRE(Capabilities(config) == capabilities);
    FUZZ_REQUIRE(Load<uint64_t>(config, 4096 - sizeof(uint64_t)) == 0);
    CheckBars(config, bars);
  }
}

}  // namespace fuzz
