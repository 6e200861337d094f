// VFIO_DEVICE_SET_IRQS (vfio_set_irqs_validate_and_prepare in drivers/vfio/vfio_main.c,
// drivers/vfio/pci/vfio_pci_intrs.c).
#include <algorithm>
#include <memory>

#include "compat/abi/vfio_device.h"
#include "compat/soft/calls.h"
#include "compat/vfio/host.h"

namespace compat::soft {
namespace {

using ioas::soft::Irq;
using ioas::soft::SoftDevice;

// The most vectors that any index of an emulated device has: MSI-X's 2048.
constexpr uint32_t kMaxVectors = 2048;

enum class Data { kNone, kBool, kEventfd };

// A request whose header has been checked and whose data was copied in.
struct IrqRequest {
  abi::IrqSet header;
  Data data;
  const std::byte* values;  // header.count of them, of the kind `data`

  uint32_t first() const { return header.start; }
  uint32_t end() const { return header.start + header.count; }
  bool Flag(uint32_t vector) const { return values[vector - header.start] != std::byte{0}; }
  int Eventfd(uint32_t vector) const {
    int32_t fd = -1;
    std::copy_n(values + (vector - header.start) * sizeof(fd), sizeof(fd),
                reinterpret_cast<std::byte*>(&fd));
    return fd;
  }
  // Whether a DATA_NONE or DATA_BOOL request acts on `vector`.
  bool ActsOn(uint32_t vector) const { return data == Data::kNone || Flag(vector); }
};

ioas::Error Invalid(const char* reason) { return {EINVAL, reason}; }

// Checks the header; returns how many bytes of data follow it.
ioas::Result<uint32_t> CheckHeader(SoftDevice& device, const abi::IrqSet& header) {
  if (header.index >= abi::kPciNumIrqs || header.count >= UINT32_MAX - header.start) {
    return Invalid("no such interrupt index, or a range that wraps");
  }
  const uint32_t vectors = device.irq_count(static_cast<Irq>(header.index));
  if (header.start >= vectors || header.start + header.count > vectors) {
    return Invalid("more vectors than the index has");
  }
  uint32_t size = 0;
  switch (header.flags & abi::kIrqSetDataTypeMask) {
    case abi::kIrqSetDataNone:
      break;
    case abi::kIrqSetDataBool:
      size = sizeof(uint8_t);
      break;
    case abi::kIrqSetDataEventfd:
      size = sizeof(int32_t);
      break;
    default:
      return Invalid("exactly one DATA flag is needed");
  }
  if (header.argsz - sizeof(header) < uint64_t{header.count} * size) {
    return Invalid("argsz has no room for the data");
  }
  return header.count * size;
}

Data DataOf(uint32_t flags) {
  if ((flags & abi::kIrqSetDataBool) != 0) return Data::kBool;
  if ((flags & abi::kIrqSetDataEventfd) != 0) return Data::kEventfd;
  return Data::kNone;
}

bool AnotherIsEnabled(SoftDevice& device, Irq irq) {
  for (const Irq other : {Irq::kIntx, Irq::kMsi, Irq::kMsix}) {
    if (other != irq && device.irq_enabled(other) != 0) return true;
  }
  return false;
}

ioas::Status SetIntxMask(SoftDevice& device, const IrqRequest& request, bool mask) {
  if (device.irq_enabled(Irq::kIntx) == 0 || request.header.start != 0 ||
      request.header.count != 1) {
    return Invalid("INTx is off, or not its one vector");
  }
  if (request.data == Data::kEventfd) {
    if (mask) return ioas::Error{ENOTTY, "masking by eventfd does not exist"};
    const int fd = request.Eventfd(0);
    // A new eventfd takes the place of another. The kernel says EBUSY, but lets go of an eventfd
    // that the program has closed, which shows here only when it brings the next.
    return device.SetUnmaskTrigger(fd >= 0 ? fd : -1);
  }
  if (!request.ActsOn(0)) return {};
  mask ? device.MaskIntx() : device.UnmaskIntx();
  return {};
}

ioas::Status SetIntxTrigger(SoftDevice& device, const IrqRequest& request) {
  const bool on = device.irq_enabled(Irq::kIntx) != 0;
  if (on && request.header.count == 0 && request.data == Data::kNone) {
    return device.EnableIrq(Irq::kIntx, 0);
  }
  if (AnotherIsEnabled(device, Irq::kIntx) || request.header.start != 0 ||
      request.header.count != 1) {
    return Invalid("MSI or MSI-X is on, or not INTx's one vector");
  }
  if (request.data == Data::kEventfd) {
    const int fd = request.Eventfd(0);
    if (!on) IOAS_RETURN_IF_ERROR(device.EnableIrq(Irq::kIntx, 1));
    const ioas::Status set = device.SetTrigger(Irq::kIntx, 0, fd >= 0 ? fd : -1);
    if (on) return set;
    // Now that there is an eventfd for it: an interrupt that waited for INTx to be enabled.
    if (set.ok()) device.UnmaskIntx();
    if (!set.ok()) (void)device.EnableIrq(Irq::kIntx, 0);
    return set;
  }
  if (!on) return Invalid("INTx is off");
  if (request.ActsOn(0)) device.Fire(Irq::kIntx, 0);
  return {};
}

// Gives one vector its eventfd, or takes it away (vfio_msi_set_vector_signal).
ioas::Status SetVector(SoftDevice& device, Irq irq, uint32_t vector, int fd) {
  if (vector >= device.irq_enabled(irq)) {
    if (fd < 0) return {};
    // MSI-X vectors can be added while it is on, MSI's cannot.
    if (irq == Irq::kMsi) return Invalid("more vectors than MSI was enabled with");
    IOAS_RETURN_IF_ERROR(device.EnableIrq(irq, vector + 1));
  }
  return device.SetTrigger(irq, vector, fd >= 0 ? fd : -1);
}

// Gives vectors their eventfds; when one fails, those of the request are taken away, also if they
// were there before (vfio_msi_set_block).
ioas::Status SetBlock(SoftDevice& device, Irq irq, const IrqRequest& request) {
  for (uint32_t vector = request.first(); vector < request.end(); ++vector) {
    const ioas::Status set = SetVector(device, irq, vector, request.Eventfd(vector));
    if (set.ok()) continue;
    for (uint32_t undo = request.first(); undo <= vector; ++undo) {
      (void)SetVector(device, irq, undo, -1);
    }
    return set;
  }
  return {};
}

ioas::Status SetMessageEventfds(SoftDevice& device, Irq irq, const IrqRequest& request) {
  if (device.irq_enabled(irq) != 0) return SetBlock(device, irq, request);
  // What pci_alloc_irq_vectors answers to a maximum below its minimum of 1.
  if (request.end() == 0) return ioas::Error{ERANGE, "no vector to enable"};
  IOAS_RETURN_IF_ERROR(device.EnableIrq(irq, request.end()));
  const ioas::Status set = SetBlock(device, irq, request);
  if (!set.ok()) (void)device.EnableIrq(irq, 0);
  return set;
}

ioas::Status SetMessageTrigger(SoftDevice& device, Irq irq, const IrqRequest& request) {
  const uint32_t enabled = device.irq_enabled(irq);
  if (enabled != 0 && request.header.count == 0 && request.data == Data::kNone) {
    return device.EnableIrq(irq, 0);
  }
  if (AnotherIsEnabled(device, irq)) return Invalid("another kind of interrupt is on");
  if (request.data == Data::kEventfd) return SetMessageEventfds(device, irq, request);
  if (enabled == 0) return Invalid("the interrupt is off");
  for (uint32_t vector = request.first(); vector < std::min(request.end(), enabled); ++vector) {
    if (request.ActsOn(vector)) device.Fire(irq, vector);
  }
  return {};
}

// The error and the request index: one vector each (vfio_pci_set_ctx_trigger_single).
ioas::Status SetSingleTrigger(SoftDevice& device, Irq irq, const IrqRequest& request) {
  if (request.header.start != 0 || request.header.count > 1) {
    return Invalid("not the index's one vector");
  }
  const bool on = device.irq_enabled(irq) != 0;
  if (request.data == Data::kNone) {
    if (!on) return Invalid("the index has no eventfd");
    if (request.header.count == 0) return device.EnableIrq(irq, 0);
    device.Fire(irq, 0);
    return {};
  }
  if (request.header.count == 0) return Invalid("the data is missing");
  if (request.data == Data::kBool) {
    if (request.Flag(0) && on) device.Fire(irq, 0);
    return {};
  }
  const int fd = request.Eventfd(0);
  if (fd < -1) return Invalid("neither a descriptor nor -1");
  return device.SetTrigger(irq, 0, fd);
}

ioas::Status Apply(SoftDevice& device, const IrqRequest& request) {
  const auto irq = static_cast<Irq>(request.header.index);
  const uint32_t action = request.header.flags & abi::kIrqSetActionTypeMask;
  if (action == abi::kIrqSetActionTrigger) {
    if (irq == Irq::kIntx) return SetIntxTrigger(device, request);
    if (irq == Irq::kMsi || irq == Irq::kMsix) return SetMessageTrigger(device, irq, request);
    return SetSingleTrigger(device, irq, request);
  }
  if (irq == Irq::kIntx && action == abi::kIrqSetActionMask) {
    return SetIntxMask(device, request, /*mask=*/true);
  }
  if (irq == Irq::kIntx && action == abi::kIrqSetActionUnmask) {
    return SetIntxMask(device, request, /*mask=*/false);
  }
  return ioas::Error{ENOTTY, "the index does not have the action"};
}

}  // namespace

ioas::Status SetIrqs(vfio::Host& host, SoftDevice& device, const decode::DecodedCall& call) {
  const ioas::Result<abi::IrqSet> header = call.CopyIn<abi::IrqSet>();
  if (!header.ok()) return header.error();
  const ioas::Result<uint32_t> size = CheckHeader(device, *header);
  if (!size.ok()) return size.error();

  std::byte values[kMaxVectors * sizeof(int32_t)];
  if (*size > sizeof(values)) return Invalid("more data than any device has vectors for");
  IOAS_RETURN_IF_ERROR(call.memory->Read(call.argument + sizeof(abi::IrqSet), {values, *size}));
  // The kernel's igate: one request at a time.
  vfio::Host::Lock lock(host);
  return Apply(device, {*header, DataOf(header->flags), values});
}

}  // namespace compat::soft
