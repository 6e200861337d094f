#include "compat/session/channel.h"

namespace compat::session {

// Every layout is the same for 32-bit and 64-bit programs: fields lie at multiples of their sizes,
// and structures have no padding of the compiler's.
static_assert(sizeof(MessageHeader) == 24);
static_assert(sizeof(Hello) == 288);
static_assert(sizeof(RangeInfo) == 48);
static_assert(sizeof(Limits) == 24 + 16 * kMaxLimitRanges);
static_assert(sizeof(ContainerInfo) == 48 + sizeof(Limits));
static_assert(sizeof(IoasInfo) == 40);
static_assert(sizeof(GroupInfo) == 16 + 320);
static_assert(sizeof(AddressSpaceInfo) == 72);
static_assert(sizeof(ListMappings) == 24);
static_assert(sizeof(MappingList) == 16);
static_assert(sizeof(MappingInfo) == 32);
static_assert(sizeof(Translate) == 16);
static_assert(sizeof(Translated) == 48);
static_assert(sizeof(FindRange) == 40);
static_assert(sizeof(FoundRange) == 56);
static_assert(sizeof(Event) == 32);
static_assert(sizeof(EventBatch) == 16);
static_assert(sizeof(Act) == 32);
static_assert(sizeof(Acted) == 32);
static_assert(sizeof(SetLimits) == 8 + sizeof(Limits));
static_assert(sizeof(CounterList) == 24 + 512);
static_assert(sizeof(Counter) == 16);
static_assert(sizeof(FaultList) == 24 + 16 * kMaxLimitRanges);
static_assert(sizeof(FaultInfo) == 96);
static_assert(sizeof(InjectFaults) == 8 + 16 * kMaxLimitRanges);
static_assert(sizeof(Dirty) == 40);
static_assert(sizeof(DirtyAnswer) == 40);

const MessageHeader* CheckMessage(std::span<const std::byte> packet) {
  if (packet.size() < sizeof(MessageHeader) || packet.size() > kMaxMessage) return nullptr;
  const auto* const header = reinterpret_cast<const MessageHeader*>(packet.data());
  if (header->magic != kMagic || header->size != packet.size()) return nullptr;
  return header;
}

}  // namespace compat::session
