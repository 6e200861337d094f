// The kinds of devices that there are: how each is made, and opened.
#ifndef IOAS_SOFT_DEVICES_H_
#define IOAS_SOFT_DEVICES_H_

#include <cstdint>
#include <string_view>

#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/soft/soft_device.h"
#include "ioas/soft/soft_host.h"

namespace ioas::soft {

struct NvmeSpec {
  PciAddress address;
  uint32_t group;                  // its IOMMU group's number
  std::string_view image_path;     // absolute, shorter than PATH_MAX
  std::string_view serial_number;  // up to 20 printable ASCII characters
  uint32_t block_size;             // 512 or 4096
};

// Adds an NVMe controller to the host, reset and blocked. The errors of CreateDevice, EINVAL for a
// block size that there is none of or a serial number that is too long, ENAMETOOLONG for a path
// that is. The image need not be there yet.
Result<ArenaRef<SoftDeviceState>> CreateNvme(Arena& arena, SoftHost& host, const NvmeSpec& spec);

struct DmaEngineSpec {
  PciAddress address;
  uint32_t group;      // its IOMMU group's number
  uint8_t pasid_bits;  // how many bits its PASIDs have, up to 20; 0: it has none
};

// The same for a DMA engine (dma_engine/dma_engine.h). The errors of CreateDevice, and EINVAL for
// too many bits.
Result<ArenaRef<SoftDeviceState>> CreateDmaEngine(Arena& arena, SoftHost& host,
                                                  const DmaEngineSpec& spec);

// SoftDevice::Open for a device of any kind.
Result<SoftDevice*> OpenDevice(Arena& arena, ArenaRef<SoftDeviceState> device);

}  // namespace ioas::soft

#endif  // IOAS_SOFT_DEVICES_H_
