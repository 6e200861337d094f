// What the files of an emulated device contain, in the kernel's formats (drivers/pci/pci-sysfs.c).
#ifndef COMPAT_VFS_ATTRIBUTES_H_
#define COMPAT_VFS_ATTRIBUTES_H_

#include <cstddef>
#include <span>

#include "compat/vfs/inventory.h"

namespace compat::vfs {

// The major number of the cdevs; the kernel takes it from the dynamic range, from 511 down.
inline constexpr uint32_t kCdevMajor = 510;

// The longest content of any file of the view, in bytes: a page, as in sysfs.
inline constexpr size_t kMaxContent = 4096;

// A writer of one file's content for device `index` of `inventory`. Writes at most out.size() bytes
// (kMaxContent is always enough) and returns how many.
using ContentWriter = size_t (*)(const Inventory& inventory, size_t index, std::span<char> out);

size_t WriteVendor(const Inventory& inventory, size_t index, std::span<char> out);
size_t WriteDevice(const Inventory& inventory, size_t index, std::span<char> out);
size_t WriteSubsystemVendor(const Inventory& inventory, size_t index, std::span<char> out);
size_t WriteSubsystemDevice(const Inventory& inventory, size_t index, std::span<char> out);
size_t WriteClass(const Inventory& inventory, size_t index, std::span<char> out);
size_t WriteRevision(const Inventory& inventory, size_t index, std::span<char> out);
size_t WriteModalias(const Inventory& inventory, size_t index, std::span<char> out);
// "MAJOR:MINOR" of the device's cdev.
size_t WriteCdevNumber(const Inventory& inventory, size_t index, std::span<char> out);
size_t WriteUevent(const Inventory& inventory, size_t index, std::span<char> out);

// The configuration space: 256 or 4096 bytes, not text.
size_t WriteConfig(const Inventory& inventory, size_t index, std::span<char> out);

// Six BARs, the ROM and six bridge windows, one line each: first address, last address, flags. The
// addresses are the view's own, naturally aligned, and overlap in no two devices.
size_t WriteResource(const Inventory& inventory, size_t index, std::span<char> out);

}  // namespace compat::vfs

#endif  // COMPAT_VFS_ATTRIBUTES_H_
