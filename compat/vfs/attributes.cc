#include "compat/vfs/attributes.h"

#include <cinttypes>
#include <cstdint>

#include "compat/vfs/text.h"

namespace compat::vfs {
namespace {

// How `resource` describes a BAR (include/linux/ioport.h): IORESOURCE_MEM, SIZEALIGN, MEM_64 and
// the BAR's own type bits.
constexpr uint64_t kMemory32Flags = 0x00040200;
constexpr uint64_t kMemory64Flags = 0x00140204;

// Where a host bridge puts its windows on a PC: below 4 GiB and the I/O APIC, and high up.
constexpr uint64_t kMemory32Start = 0xc0000000;
constexpr uint64_t kMemory32Last = 0xfebfffff;
constexpr uint64_t kMemory64Start = 0x380000000000;

constexpr uint32_t kOtherResources = 7;  // the ROM and six bridge windows

// Hands out addresses, device by device and BAR by BAR.
class BarPlacer {
 public:
  // Returns the first address of a BAR of `size` bytes, a power of two.
  uint64_t Place(uint64_t size, bool is_64bit) {
    const uint64_t low = AlignUp(next32_, size);
    if (!is_64bit && low <= kMemory32Last && kMemory32Last - low >= size - 1) {
      next32_ = low + size;
      return low;
    }
    const uint64_t high = AlignUp(next64_, size);
    next64_ = high + size;
    return high;
  }

 private:
  static uint64_t AlignUp(uint64_t address, uint64_t size) {
    return (address + size - 1) & ~(size - 1);
  }

  uint64_t next32_ = kMemory32Start;
  uint64_t next64_ = kMemory64Start;
};

size_t WriteHex(uint32_t value, int digits, std::span<char> out) {
  Text text(out);
  text.Format("0x%0*x\n", digits, value);
  return text.view().size();
}

void AppendModalias(const DeviceView& device, Text* text) {
  text->Format("pci:v%08Xd%08Xsv%08Xsd%08Xbc%02Xsc%02Xi%02X\n", device.vendor_id, device.device_id,
               device.subsystem_vendor_id, device.subsystem_id, (device.class_code >> 16) & 0xff,
               (device.class_code >> 8) & 0xff, device.class_code & 0xff);
}

}  // namespace

size_t WriteVendor(const Inventory& inventory, size_t index, std::span<char> out) {
  return WriteHex(inventory.device(index).vendor_id, 4, out);
}

size_t WriteDevice(const Inventory& inventory, size_t index, std::span<char> out) {
  return WriteHex(inventory.device(index).device_id, 4, out);
}

size_t WriteSubsystemVendor(const Inventory& inventory, size_t index, std::span<char> out) {
  return WriteHex(inventory.device(index).subsystem_vendor_id, 4, out);
}

size_t WriteSubsystemDevice(const Inventory& inventory, size_t index, std::span<char> out) {
  return WriteHex(inventory.device(index).subsystem_id, 4, out);
}

size_t WriteClass(const Inventory& inventory, size_t index, std::span<char> out) {
  return WriteHex(inventory.device(index).class_code, 6, out);
}

size_t WriteRevision(const Inventory& inventory, size_t index, std::span<char> out) {
  return WriteHex(inventory.device(index).revision_id, 2, out);
}

size_t WriteModalias(const Inventory& inventory, size_t index, std::span<char> out) {
  Text text(out);
  AppendModalias(inventory.device(index), &text);
  return text.view().size();
}

size_t WriteUevent(const Inventory& inventory, size_t index, std::span<char> out) {
  const DeviceView device = inventory.device(index);
  Text text(out);
  text.Format("DRIVER=vfio-pci\nPCI_CLASS=%04X\n", device.class_code);
  text.Format("PCI_ID=%04X:%04X\n", device.vendor_id, device.device_id);
  text.Format("PCI_SUBSYS_ID=%04X:%04X\n", device.subsystem_vendor_id, device.subsystem_id);
  text.Format("PCI_SLOT_NAME=%04x:%02x:%02x.%x\nMODALIAS=", device.domain, device.bus,
              device.device, device.function);
  AppendModalias(device, &text);
  return text.view().size();
}

size_t WriteCdevNumber(const Inventory& /*inventory*/, size_t index, std::span<char> out) {
  Text text(out);
  text.Format("%u:%zu\n", kCdevMajor, index);
  return text.view().size();
}

size_t WriteConfig(const Inventory& inventory, size_t index, std::span<char> out) {
  return inventory.ReadConfig(index, std::as_writable_bytes(out));
}

size_t WriteResource(const Inventory& inventory, size_t index, std::span<char> out) {
  Text text(out);
  BarPlacer placer;
  for (size_t each = 0; each <= index; ++each) {
    const DeviceView device = inventory.device(each);
    for (uint32_t bar = 0; bar < kPciBars; ++bar) {
      uint64_t first = 0;
      uint64_t last = 0;
      uint64_t flags = 0;
      if (device.bar_sizes[bar] != 0) {
        first = placer.Place(device.bar_sizes[bar], device.bar_is_64bit[bar]);
        last = first + device.bar_sizes[bar] - 1;
        flags = device.bar_is_64bit[bar] ? kMemory64Flags : kMemory32Flags;
      }
      if (each != index) continue;
      text.Format("0x%016" PRIx64 " 0x%016" PRIx64 " 0x%016" PRIx64 "\n", first, last, flags);
    }
  }
  for (uint32_t other = 0; other < kOtherResources; ++other) {
    text.Append("0x0000000000000000 0x0000000000000000 0x0000000000000000\n");
  }
  return text.view().size();
}

}  // namespace compat::vfs
