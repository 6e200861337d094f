#include "compat/vfio/capability_chain.h"

#include <gtest/gtest.h>

#include <cstring>

namespace compat::vfio {
namespace {

abi::Type1InfoDmaAvail DmaAvail(uint32_t available) {
  return {.header = {.id = abi::kIommuType1InfoDmaAvail, .version = 1, .next = 0},
          .avail = available};
}

TEST(CapabilityChainTest, CapabilitiesAreLinkedFromTheInfoAndAligned) {
  CapabilityChain<64> chain(24);
  chain.Add(DmaAvail(7));
  chain.Add(DmaAvail(9));
  ASSERT_EQ(chain.size(), 32u);  // 12 bytes each, on a multiple of 8
  abi::Type1InfoDmaAvail first;
  abi::Type1InfoDmaAvail second;
  std::memcpy(&first, chain.bytes().data(), sizeof(first));
  std::memcpy(&second, chain.bytes().data() + 16, sizeof(second));
  EXPECT_EQ(first.header.next, 24u + 16u);
  EXPECT_EQ(second.header.next, 0u);
  EXPECT_EQ(second.avail, 9u);
}

TEST(CapabilityChainTest, ItemsFollowTheirCapability) {
  CapabilityChain<64> chain(24);
  const abi::IovaRange ranges[] = {{1, 2}, {3, 4}};
  chain.Add(
      abi::Type1InfoCapIovaRange{
          .header = {.id = 1, .version = 1, .next = 0}, .nr_iovas = 2, .reserved = 0},
      std::span<const abi::IovaRange>(ranges));
  EXPECT_EQ(chain.size(), sizeof(abi::Type1InfoCapIovaRange) + sizeof(ranges));
  EXPECT_EQ(std::memcmp(chain.bytes().data() + sizeof(abi::Type1InfoCapIovaRange), ranges,
                        sizeof(ranges)),
            0);
}

}  // namespace
}  // namespace compat::vfio
