// read(), write() and mmap() on a device's descriptor (drivers/vfio/pci/vfio_pci_core.c,
// vfio_pci_rdwr.c, vfio_pci_config.c).
#include <algorithm>

#include "compat/abi/vfio_device.h"
#include "compat/soft/soft_platform.h"
#include "compat/vfio/regions.h"
#include "ioas/soft/soft_device.h"

namespace compat::soft {
namespace {

using ioas::soft::SoftDevice;
using vfio::OffsetInRegion;
using vfio::RegionIndex;

// Registers are small: a transfer goes through a buffer of this size, piece by piece.
constexpr uint64_t kPiece = 256;

// One transfer: from the device to the caller, or the other way.
struct Transfer {
  bool write;
  uint64_t address;
  decode::CallerMemory& memory;
};

// Moves `size` bytes at `offset` of configuration space. It must lie inside it as a whole: EFAULT.
ioas::Result<long> MoveConfig(SoftDevice& device, const Transfer& transfer, uint64_t offset,
                              uint64_t size) {
  if (offset >= device.config_size() || size > device.config_size() - offset) {
    return ioas::Error{EFAULT, "beyond the end of configuration space"};
  }
  std::byte buffer[kPiece];
  for (uint64_t done = 0; done < size;) {
    const std::span<std::byte> piece(buffer, std::min(kPiece, size - done));
    const auto at = static_cast<uint32_t>(offset + done);
    if (transfer.write) {
      IOAS_RETURN_IF_ERROR(transfer.memory.Read(transfer.address + done, piece));
      device.WriteConfig(at, piece);
    } else {
      device.ReadConfig(at, piece);
      IOAS_RETURN_IF_ERROR(transfer.memory.Write(transfer.address + done, piece));
    }
    done += piece.size();
  }
  return static_cast<long>(size);
}

// Moves up to `size` bytes at `offset` of a BAR; what lies beyond its end is cut off.
ioas::Result<long> MoveBar(SoftDevice& device, const Transfer& transfer, uint8_t bar,
                           uint64_t offset, uint64_t size) {
  const uint64_t end = device.bar(bar).size;
  if (offset >= end) return ioas::Error{EINVAL, "beyond the end of the BAR"};
  size = std::min(size, end - offset);
  std::byte buffer[kPiece];
  for (uint64_t done = 0; done < size;) {
    const std::span<std::byte> piece(buffer, std::min(kPiece, size - done));
    if (transfer.write) {
      IOAS_RETURN_IF_ERROR(transfer.memory.Read(transfer.address + done, piece));
      IOAS_RETURN_IF_ERROR(device.WriteBar(bar, offset + done, piece));
    } else {
      IOAS_RETURN_IF_ERROR(device.ReadBar(bar, offset + done, piece));
      IOAS_RETURN_IF_ERROR(transfer.memory.Write(transfer.address + done, piece));
    }
    done += piece.size();
  }
  return static_cast<long>(size);
}

ioas::Result<long> MoveAt(SoftDevice& device, const Transfer& transfer, uint64_t position,
                          uint64_t size) {
  if (size == 0) return 0L;
  const uint64_t region = RegionIndex(position);
  const uint64_t offset = OffsetInRegion(position);
  if (region == abi::kPciConfigRegionIndex) return MoveConfig(device, transfer, offset, size);
  if (region <= abi::kPciBar5RegionIndex) {
    return MoveBar(device, transfer, static_cast<uint8_t>(region), offset, size);
  }
  return ioas::Error{EINVAL, "the device has no such region"};
}

}  // namespace

ioas::Result<long> SoftPlatform::Move(uint32_t slot, uint64_t address, uint64_t size,
                                      const uint64_t* position, bool write,
                                      decode::CallerMemory& memory) {
  vfio::FileSlot& opened = host_->files().slot(slot);
  const ioas::Result<uint32_t> index = host_->DeviceOf(slot);
  if (!index.ok()) return index.error();
  const ioas::Result<SoftDevice*> device = UseDevice(*index);
  if (!device.ok()) return device.error();
  const ioas::Result<long> moved =
      MoveAt(**device, {.write = write, .address = address, .memory = memory},
             position != nullptr ? *position : opened.position, size);
  if (moved.ok() && position == nullptr) opened.position += static_cast<uint64_t>(*moved);
  return moved;
}

ioas::Result<long> SoftPlatform::Read(uint32_t slot, uint64_t address, uint64_t size,
                                      const uint64_t* position, decode::CallerMemory& memory) {
  return Move(slot, address, size, position, /*write=*/false, memory);
}

ioas::Result<long> SoftPlatform::Write(uint32_t slot, uint64_t address, uint64_t size,
                                       const uint64_t* position, decode::CallerMemory& memory) {
  return Move(slot, address, size, position, /*write=*/true, memory);
}

ioas::Result<uint64_t> SoftPlatform::FileOffsetFor(uint32_t slot, uint64_t offset, uint64_t size,
                                                   bool is_shared) {
  const ioas::Result<uint32_t> index = host_->DeviceOf(slot);
  // Before it is bound, a cdev says EINVAL to everything.
  if (!index.ok() && host_->files().slot(slot).Load().kind == decode::DescriptorKind::kCdev) {
    return index.error();
  }
  if (!index.ok()) return ioas::Error{ENODEV, "only a device's descriptor can be mapped"};
  SoftDevice* mapped = device(*index);
  if (mapped == nullptr) return ioas::Error{ENOMEM, "the device cannot be had in this process"};
  const uint64_t region = RegionIndex(offset);
  if (!is_shared || region > abi::kPciBar5RegionIndex) {
    return ioas::Error{EINVAL, "only BARs can be mapped, and only shared"};
  }
  const ioas::soft::BarInfo bar = mapped->bar(static_cast<uint8_t>(region));
  const uint64_t first = OffsetInRegion(offset);
  if (first < bar.mappable_offset || first - bar.mappable_offset > bar.mappable_size ||
      size > bar.mappable_size - (first - bar.mappable_offset)) {
    return ioas::Error{EINVAL, "beyond what can be mapped of the BAR"};
  }
  return mapped->MappableFileOffset(static_cast<uint8_t>(region)) + (first - bar.mappable_offset);
}

void SoftPlatform::OnMapped(uint32_t slot, void* address, uint64_t size) {
  if (const auto mapped = UseDevice(host_->files().slot(slot).Load().object); mapped.ok()) {
    (*mapped)->OnMap(address, size);
  }
}

void SoftPlatform::StartDevice(uint32_t device) {
  // Without a thread in this process another's carries the device on.
  (void)UseDevice(device);
}

void SoftPlatform::OnUnmap(uint32_t slot, void* address, uint64_t size) {
  if (SoftDevice* mapped = device(host_->files().slot(slot).Load().object); mapped != nullptr) {
    mapped->OnUnmap(address, size);
  }
}

}  // namespace compat::soft
