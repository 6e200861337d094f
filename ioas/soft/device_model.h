// What a device model is to the software host, and what the software host is to a device model.
//
// A model is the function behind a PCI interface: what its BARs mean. Configuration space, MSI,
// MSI-X and reset belong to SoftDevice, translation to the software IOMMU.
//
// All state of a model lies in the arena, because any process that holds the device may be the one
// that carries it on: the object itself is a view, made once a process. Every call on a model is
// made under its device's lock.
#ifndef IOAS_SOFT_DEVICE_MODEL_H_
#define IOAS_SOFT_DEVICE_MODEL_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ioas/base/result.h"

namespace ioas::soft {

// An access that names no PASID.
inline constexpr uint32_t kNoPasid = UINT32_MAX;

// One stretch of a scattered transfer.
struct DmaSegment {
  uint64_t iova;
  uint32_t length;  // bytes, at least 1
  // Whose address `iova` is, as the device says with its access. 0 is the address space of accesses
  // without one, as kernels have it (IOMMU_NO_PASID).
  uint32_t pasid = kNoPasid;
};

// How a model reaches memory: through the software IOMMU, and no other way.
class DmaPort {
 public:
  virtual ~DmaPort() = default;

  // Copies the memory at `segments`, in order, to `buffer`, which is as long as all of them. EFAULT
  // if any byte is not mapped for reading by the device, nothing is attached for its PASID, the
  // memory behind it is gone, or bus mastering is off; the fault is recorded by then, and `buffer`
  // holds what went before it.
  virtual Status Read(std::span<const DmaSegment> segments, std::byte* buffer) = 0;
  // Copies `buffer` to the memory at `segments`. Errors as Read.
  virtual Status Write(std::span<const DmaSegment> segments, const std::byte* buffer) = 0;
};

// How a model interrupts.
class InterruptSink {
 public:
  virtual ~InterruptSink() = default;

  // Vector `vector` (0-based) has an event: MSI-X or MSI send it once (vectors beyond what is
  // enabled fold as PCI says: MSI to the low bits). A no-op where neither is enabled.
  virtual void Signal(uint32_t vector) = 0;
  // The level of the INTx pin, used where neither MSI-X nor MSI is enabled.
  virtual void SetPin(bool asserted) = 0;
  // Whether MSI-X or MSI is enabled (NVMe 1.4, 7.5: INTMS is for pin and MSI only).
  virtual bool message_signalled() const = 0;
};

// A stretch of a BAR that programs may map.
struct MappableArea {
  uint32_t offset;  // in the BAR, page aligned
  uint32_t size;    // page aligned
};

// One BAR. Memory BARs only; 64-bit ones take the next index too.
struct BarLayout {
  uint8_t index;
  bool is_64bit;
  bool prefetchable;
  uint32_t size;          // a power of two, at least a page
  MappableArea mappable;  // size 0: none. Everything else traps to ReadBar and WriteBar.
};

// What a function is, as its configuration space says.
struct DeviceIdentity {
  uint16_t vendor_id;
  uint16_t device_id;
  uint16_t subsystem_vendor_id;
  uint16_t subsystem_id;
  uint32_t class_code;  // 24 bits: base class, sub-class, programming interface
  uint8_t revision_id;
  uint16_t msix_vectors;  // 0: no MSI-X
  uint8_t msi_vectors;    // 0, or a power of two up to 32
  uint8_t msix_bar;       // where the MSI-X table and PBA lie; SoftDevice answers for them
  uint32_t msix_table_offset;
  uint32_t msix_pba_offset;
};

class DeviceModel {
 public:
  virtual ~DeviceModel() = default;

  virtual const DeviceIdentity& identity() const = 0;
  virtual std::span<const BarLayout> bars() const = 0;

  // Function level reset: registers to their power-on values, queues gone, nothing in flight.
  virtual void Reset() = 0;

  // Notices what programs have written to the mappable areas, and does a bounded part of the work
  // that is due (at most some hundred microseconds). Returns whether anything was done: false
  // means that nothing will happen until a register is written.
  virtual bool Poll() = 0;

  // Reads and writes of a BAR by read() and write(), or of parts that cannot be mapped. The range
  // is inside the BAR and outside the MSI-X table and PBA. A write only stores, with its side
  // effects on registers; the work follows in Poll.
  virtual void ReadBar(uint8_t bar, uint32_t offset, std::span<std::byte> data) = 0;
  virtual void WriteBar(uint8_t bar, uint32_t offset, std::span<const std::byte> data) = 0;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_DEVICE_MODEL_H_
