// VFIO_IOMMU_GET_INFO (vfio_iommu_type1_get_info).
#include <bit>

#include "compat/abi/vfio_container.h"
#include "compat/type1/calls.h"
#include "compat/type1/dirty_bitmap.h"
#include "compat/vfio/capability_chain.h"

namespace compat::type1 {
namespace {

// Migration, DMA_AVAIL and as many ranges as there can be.
constexpr size_t kChainCapacity =
    sizeof(abi::Type1InfoCapMigration) + sizeof(abi::Type1InfoDmaAvail) + 8 +
    sizeof(abi::Type1InfoCapIovaRange) + ioas::kMaxUsableRanges * sizeof(abi::IovaRange);
using Chain = vfio::CapabilityChain<kChainCapacity>;

void AddCapabilities(ioas::AddressSpace& space, Chain& chain) {
  chain.Add(abi::Type1InfoCapMigration{
      .header = {.id = abi::kIommuType1InfoCapMigration, .version = 1, .next = 0},
      .flags = 0,
      .pad = 0,
      .pgsize_bitmap = space.page_size(),
      .max_dirty_bitmap_size = kMaxBitmapSize});
  chain.Add(abi::Type1InfoDmaAvail{
      .header = {.id = abi::kIommuType1InfoDmaAvail, .version = 1, .next = 0},
      .avail = space.MappingsLeft()});

  ioas::IovaRange usable[ioas::kMaxUsableRanges];
  const uint32_t count = space.UsableRanges(usable);
  abi::IovaRange ranges[ioas::kMaxUsableRanges];
  for (uint32_t i = 0; i < count; ++i) ranges[i] = {usable[i].first, usable[i].last};
  // Type 1 keeps no list for a container whose devices are all behind emulated IOMMUs: any IOVA
  // will do (vfio_iommu_iova_build_caps).
  const bool is_everything = count == 1 && usable[0].first == 0 && usable[0].last == UINT64_MAX;
  if (count == 0 || is_everything) return;
  chain.Add(
      abi::Type1InfoCapIovaRange{
          .header = {.id = abi::kIommuType1InfoCapIovaRange, .version = 1, .next = 0},
          .nr_iovas = count,
          .reserved = 0},
      std::span<const abi::IovaRange>(ranges, count));
}

}  // namespace

ioas::Result<long> GetInfo(const vfio::ContainerContext& context, const decode::DecodedCall& call) {
  ioas::Result<abi::Type1Info> info = call.CopyIn<abi::Type1Info>();
  if (!info.ok()) return info.error();

  Chain chain(sizeof(abi::Type1Info));
  {
    ioas::AddressSpace space = context.space();
    ioas::AddressSpace::Lock lock(space);
    IOAS_RETURN_IF_ERROR(CheckStillOpen(context));
    AddCapabilities(space, chain);
    info->iova_pgsizes = space.state().page_sizes;
  }
  info->flags = abi::kIommuInfoPgsizes;
  IOAS_RETURN_IF_ERROR(CopyOutWithChain(call, *info, chain, abi::kIommuInfoCaps));
  return 0L;
}

}  // namespace compat::type1
