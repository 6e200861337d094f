// The calls of a SPAPR TCE container as tests make them.
#ifndef PPC_SPAPR_FIXTURE_H_
#define PPC_SPAPR_FIXTURE_H_

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <vector>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/soft/test_host.h"

namespace ppc {

inline constexpr uint64_t kPage = 4096;
inline constexpr uint64_t kGiB = uint64_t{1} << 30;
inline constexpr uint64_t kSecondWindow = uint64_t{1} << 59;
inline constexpr uint64_t kMemorySize = 1 << 20;
inline constexpr uint32_t kBoth = compat::abi::kDmaMapFlagRead | compat::abi::kDmaMapFlagWrite;

// Each function is one ioctl(): a value, or a negated errno.
class SpaprFixture : public testing::Test {
 protected:
  // `more`: devices beside the host's drives.
  explicit SpaprFixture(const compat::vfio::Personality& personality,
                        const std::vector<compat::settings::DeviceSettings>& more = {})
      : host_(personality, more) {
    memory_ = Allocate();
  }
  ~SpaprFixture() override { munmap(reinterpret_cast<void*>(memory_), kMemorySize); }

  // 1 MiB, at a multiple of 64 KiB.
  static uint64_t Allocate() {
    constexpr uint64_t kAlignment = 1 << 16;
    const auto raw = reinterpret_cast<uint64_t>(
        mmap(nullptr, kMemorySize + kAlignment, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    const uint64_t aligned = (raw + kAlignment - 1) & -kAlignment;
    mprotect(reinterpret_cast<void*>(aligned), kMemorySize, PROT_READ | PROT_WRITE);
    return aligned;
  }

  long Map(int container, uint64_t address, uint64_t iova, uint64_t size, uint32_t flags = kBoth) {
    compat::abi::DmaMap map = {
        .argsz = sizeof(map), .flags = flags, .vaddr = address, .iova = iova, .size = size};
    return host_.Ioctl(container, compat::abi::kIommuMapDma, &map);
  }
  long Unmap(int container, uint64_t iova, uint64_t size) {
    compat::abi::DmaUnmap unmap = {.argsz = sizeof(unmap), .flags = 0, .iova = iova, .size = size};
    return host_.Ioctl(container, compat::abi::kIommuUnmapDma, &unmap);
  }
  long Register(int container, uint64_t address, uint64_t size) {
    return Memory(container, compat::abi::kIommuSpaprRegisterMemory, address, size);
  }
  long Unregister(int container, uint64_t address, uint64_t size) {
    return Memory(container, compat::abi::kIommuSpaprUnregisterMemory, address, size);
  }
  // The window's start goes to start_.
  long Create(int container, uint32_t page_shift, uint64_t size, uint32_t levels = 1) {
    compat::abi::SpaprTceCreate create = {.argsz = sizeof(create),
                                          .flags = 0,
                                          .page_shift = page_shift,
                                          .resv1 = 0,
                                          .window_size = size,
                                          .levels = levels,
                                          .resv2 = 0,
                                          .start_addr = 0};
    const long result = host_.Ioctl(container, compat::abi::kIommuSpaprTceCreate, &create);
    start_ = create.start_addr;
    return result;
  }
  long Remove(int container, uint64_t start) {
    compat::abi::SpaprTceRemove remove = {.argsz = sizeof(remove), .flags = 0, .start_addr = start};
    return host_.Ioctl(container, compat::abi::kIommuSpaprTceRemove, &remove);
  }
  long SetIommu(int container, uint64_t type) {
    return host_.Ioctl(container, compat::abi::kSetIommu, type);
  }
  long SetContainer(int group, int container) {
    return host_.Ioctl(group, compat::abi::kGroupSetContainer, &container);
  }

  // The container's address space.
  ioas::AddressSpace SpaceOf(int container) {
    const uint32_t object = host_.host().files().slot(host_.Slot(container)).object;
    arena_ = host_.host().arena();
    const auto* state = arena_.Get(ioas::ArenaRef<compat::vfio::ContainerState>{object});
    return {arena_, state->space};
  }
  // Where a device of the container gets to, for `access`; 0 if nowhere.
  uint64_t Reach(int container, uint64_t iova, uint32_t access = ioas::kAccessWrite) {
    ioas::AddressSpace space = SpaceOf(container);
    const ioas::AddressSpace::Lock lock(space);
    const auto found = space.Translate(iova, access);
    return found.ok() ? found->user_address : 0;
  }
  uint64_t Locked() {
    ioas::ProcessTable processes = host_.platform().processes();
    return processes.locked_bytes(*processes.Register());
  }

  compat::soft::TestHost host_;
  uint64_t memory_ = 0;  // kMemorySize
  uint64_t start_ = 0;

 private:
  long Memory(int container, uint32_t request, uint64_t address, uint64_t size) {
    compat::abi::SpaprRegisterMemory memory = {
        .argsz = sizeof(memory), .flags = 0, .vaddr = address, .size = size};
    return host_.Ioctl(container, request, &memory);
  }

  ioas::Arena arena_;
};

}  // namespace ppc

#endif  // PPC_SPAPR_FIXTURE_H_
