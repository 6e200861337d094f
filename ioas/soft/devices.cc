#include "ioas/soft/devices.h"

#include <algorithm>
#include <climits>
#include <memory>
#include <new>

#include "ioas/soft/dma_engine/dma_engine.h"
#include "ioas/soft/nvme/config.h"
#include "ioas/soft/nvme/controller.h"

namespace ioas::soft {
namespace {

constexpr size_t kSerialNumberLength = 20;

// A controller in the arena: what it remembers, and what it was made with, for every process that
// makes a view of it.
struct NvmeBlock {
  NvmeState state;
  uint32_t block_size;
  char serial_number[kSerialNumberLength + 1];
  char image_path[PATH_MAX];
};

std::unique_ptr<DeviceModel> MakeNvme(const ModelParts& parts) {
  auto* block = reinterpret_cast<NvmeBlock*>(parts.state);
  NvmeConfig config;
  config.image_path = block->image_path;
  config.serial_number = block->serial_number;
  config.block_size = block->block_size;
  return std::unique_ptr<DeviceModel>(new (std::nothrow) NvmeController(
      config, &block->state, parts.registers, parts.dma, parts.interrupts));
}

std::unique_ptr<DeviceModel> MakeDmaEngine(const ModelParts& parts) {
  return std::unique_ptr<DeviceModel>(new (std::nothrow) DmaEngine(
      parts.device.pasid_bits, reinterpret_cast<DmaEngineState*>(parts.state), parts.registers,
      parts.dma, parts.interrupts));
}

// What every new device begins with.
Result<ArenaRef<SoftDeviceState>> ResetNew(Arena& arena, ArenaRef<SoftDeviceState> device) {
  const Result<SoftDevice*> opened = OpenDevice(arena, device);
  if (!opened.ok()) return opened.error();
  (*opened)->Reset();
  (*opened)->Close();
  return device;
}

}  // namespace

Result<ArenaRef<SoftDeviceState>> CreateNvme(Arena& arena, SoftHost& host, const NvmeSpec& spec) {
  if (spec.block_size != 512 && spec.block_size != 4096) {
    return Error{EINVAL, "an NVMe block has 512 or 4096 bytes"};
  }
  if (spec.serial_number.size() > kSerialNumberLength) {
    return Error{EINVAL, "an NVMe serial number has at most 20 characters"};
  }
  if (spec.image_path.size() >= PATH_MAX)
    return Error{ENAMETOOLONG, "the image's path is too long"};
  const Result<ArenaRef<SoftDeviceState>> device = CreateDevice(
      arena, host,
      {spec.address, spec.group, ModelKind::kNvme, sizeof(NvmeBlock), nvme::kRegisterPagesSize});
  if (!device.ok()) return device;
  auto* block = arena.Get(ArenaRef<NvmeBlock>{arena.Get(*device)->model_unit});
  block->block_size = spec.block_size;
  std::copy(spec.serial_number.begin(), spec.serial_number.end(), block->serial_number);
  std::copy(spec.image_path.begin(), spec.image_path.end(), block->image_path);
  return ResetNew(arena, *device);
}

Result<ArenaRef<SoftDeviceState>> CreateDmaEngine(Arena& arena, SoftHost& host,
                                                  const DmaEngineSpec& spec) {
  if (spec.pasid_bits > kMaxPasidBits) return Error{EINVAL, "a PASID has at most 20 bits"};
  const Result<ArenaRef<SoftDeviceState>> device =
      CreateDevice(arena, host,
                   {spec.address, spec.group, ModelKind::kDmaEngine, sizeof(DmaEngineState),
                    kDmaEngineRegisterBytes, spec.pasid_bits});
  if (!device.ok()) return device;
  return ResetNew(arena, *device);
}

Result<SoftDevice*> OpenDevice(Arena& arena, ArenaRef<SoftDeviceState> device) {
  switch (arena.Get(device)->kind) {
    case ModelKind::kNvme:
      return SoftDevice::Open(arena, device, &MakeNvme);
    case ModelKind::kDmaEngine:
      return SoftDevice::Open(arena, device, &MakeDmaEngine);
    default:
      return Error{ENODEV, "no such kind of device"};
  }
}

}  // namespace ioas::soft
