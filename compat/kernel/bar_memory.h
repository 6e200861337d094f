// Devices' BARs that a program has mapped, and wants other devices to reach (P2P).
//
// Type 1 took a BAR's memory as any other. iommufd pins memory only (EFAULT), and takes a BAR as a
// DMA-BUF, from Linux 6.19 on (VFIO_DEVICE_FEATURE_DMA_BUF and IOMMU_IOAS_MAP_FILE). Nothing is
// remembered when a BAR is mapped: where an address leads is read from /proc/self/maps when the
// kernel has refused it.
#ifndef COMPAT_KERNEL_BAR_MEMORY_H_
#define COMPAT_KERNEL_BAR_MEMORY_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "compat/vfio/host.h"
#include "ioas/kernel/kernel_backend.h"
#include "ioas/kernel/system_calls.h"

namespace compat::kernel {

// A mapping of a VFIO cdev.
struct CdevMemory {
  uint32_t cdev;    // N of /dev/vfio/devices/vfioN
  uint64_t offset;  // as the kernel says: in the file, or in physical address space
};
// What `line` of /proc/PID/maps says of [address, address + size); nothing if that is not all in a
// mapping of a cdev.
std::optional<CdevMemory> ParseMapsLine(std::string_view line, uint64_t address, uint64_t size);

// A place in a device's BAR.
struct BarPlace {
  uint32_t region;
  uint64_t offset;
};
// The BAR that holds `size` bytes at `offset`, by the text of a PCI device's `resource` in sysfs.
// Newer kernels leave a mapping's offset as it was asked for, older ones (6.12 is one) make it the
// physical address (vfio_pci_core_mmap); what can be either is the former.
std::optional<BarPlace> FindBar(std::string_view resource, uint64_t offset, uint64_t size);

class BarMemory final : public ioas::kernel::FileMemorySource {
 public:
  // All of them outlive it.
  BarMemory(ioas::kernel::SystemCalls& calls, const char* sysfs_root)
      : calls_(calls), sysfs_root_(sysfs_root) {}
  void SetHost(const vfio::Host& host) { host_ = &host; }

  // A DMA-BUF of the BAR.
  ioas::Result<ioas::kernel::FileMemory> Find(uint64_t user_address, uint64_t size) override;

 private:
  std::optional<CdevMemory> FindMapping(uint64_t address, uint64_t size) const;

  ioas::kernel::SystemCalls& calls_;
  const char* sysfs_root_;
  const vfio::Host* host_ = nullptr;
};

}  // namespace compat::kernel

#endif  // COMPAT_KERNEL_BAR_MEMORY_H_
