// One call on a SPAPR TCE container. Internal to this folder.
#ifndef PPC_SPAPR_CONTAINER_H_
#define PPC_SPAPR_CONTAINER_H_

#include <cstdint>

#include "compat/abi/vfio_container.h"
#include "compat/decode/decode.h"
#include "compat/vfio/host.h"
#include "compat/vfio/personality.h"
#include "ioas/address_space.h"
#include "ioas/base/result.h"
#include "ppc/spapr_state.h"

namespace ppc {

// All functions need the address space's lock. Calls answer in the order of tce_iommu_ioctl of
// drivers/vfio/vfio_iommu_spapr_tce.c; each returns what ioctl() returns.
class SpaprContainer {
 public:
  SpaprContainer(const compat::vfio::ContainerContext& context, ioas::AddressSpace& space)
      : context_(context), space_(space), state_(*context.arena->Get(context.container->spapr)) {}

  // EPERM if the container is another process's.
  ioas::Status CheckOwner() const;

  ioas::Result<long> GetInfo(const compat::decode::DecodedCall& call) const;
  ioas::Result<long> MapDma(const compat::decode::DecodedCall& call);
  ioas::Result<long> UnmapDma(const compat::decode::DecodedCall& call);
  ioas::Result<long> Enable();
  ioas::Result<long> Disable();
  ioas::Result<long> RegisterMemory(const compat::decode::DecodedCall& call);
  ioas::Result<long> UnregisterMemory(const compat::decode::DecodedCall& call);
  ioas::Result<long> CreateWindow(const compat::decode::DecodedCall& call);
  ioas::Result<long> RemoveWindow(const compat::decode::DecodedCall& call);

  // As compat::vfio::Personality::Remove.
  ioas::Result<compat::vfio::Removed> Remove(const ioas::IovaRange& range, bool dry_run);

  // Gives up all of it: windows, pins, locked memory.
  void Close();

 private:
  // Says of each page that it leads nowhere any more, as far as that concerns pins.
  class PageRelease;

  bool IsV2() const { return context_.container->type == compat::decode::ContainerType::kSpaprV2; }
  ioas::ProcessTable processes() const { return context_.host->platform().processes(); }
  RegisteredMemory registered_memory() const;
  ioas::MappingIndex pins() const { return {*context_.arena, &state_.pins}; }
  // The container becomes the calling process's, if it is nobody's (tce_iommu_mm_set).
  void TakeOver();

  // Windows. The default window is made by the first call that needs any.
  ioas::Status MakeDefaultWindow();
  // Returns where it starts. `may_move`: if the host's IOMMU does not reach where the platform has
  // it, elsewhere.
  ioas::Result<uint64_t> MakeWindow(uint32_t page_shift, uint64_t size, uint32_t levels,
                                    bool may_move);
  ioas::Result<uint64_t> PlaceWindow(const WindowRequest& request, bool may_move);
  void DropWindow(uint32_t number, ioas::PageRunSink& gone);
  // The window of a map or an unmap: ENXIO if there is none, EINVAL if the size or the IOVA is not
  // whole pages of it, or it ends before the range.
  ioas::Result<uint32_t> FindWindow(uint64_t iova, uint64_t size);
  static ioas::Status CheckRange(const ioas::WindowState& window, uint64_t iova, uint64_t size);

  // The part of MAP_DMA that version 2 has; `map` has been checked, and is not empty.
  ioas::Status MapRegistered(uint32_t number, const compat::abi::DmaMap& map, uint32_t access);

  // What the backend calls a pin that pins() lists.
  static ioas::PinnedMemory PinnedBy(const ioas::Mapping& pin) {
    return {{pin.first, pin.last}, pin.extra};
  }

  // Pins. The pin that contains [address, address + size), which is made if the process knows a
  // region there. EINVAL if it does not.
  ioas::Result<ioas::PinnedMemory> FindPin(uint64_t address, uint64_t size);
  // `pages` more pages, or fewer, lead to the pin that begins at `first`; one that is not
  // registered goes with its last page.
  void AddPages(uint64_t first, uint64_t pages);
  void RemovePages(uint64_t first, uint64_t pages);
  // Registers a region that the process knows, or one that is new.
  ioas::Status RegisterKnown(const ioas::MemoryRange& region);
  ioas::Status RegisterNew(const ioas::MemoryRange& region);
  uint64_t CountPinnable(const ioas::MemoryRange& region) const;
  // Pins a region that is pinned by nobody here, and lists it.
  ioas::Status Pin(const ioas::MemoryRange& region, bool is_registered);

  const compat::vfio::ContainerContext& context_;
  ioas::AddressSpace& space_;
  SpaprState& state_;
};

}  // namespace ppc

#endif  // PPC_SPAPR_CONTAINER_H_
