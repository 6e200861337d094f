#include "compat/kernel/bar_memory.h"

#include <fcntl.h>

#include <charconv>
#include <cstring>
#include <span>

#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_feature.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/kernel/kernel_platform.h"
#include "compat/sysfs/files.h"

namespace compat::kernel {
namespace {

constexpr std::string_view kCdevPrefix = "/dev/vfio/devices/vfio";

// A device file's offset has the region's number from here on (VFIO_PCI_OFFSET_SHIFT).
constexpr int kRegionShift = 40;

// Takes a hexadecimal number, with or without 0x, and the character behind it off `text`.
uint64_t TakeHex(std::string_view& text) {
  if (text.starts_with("0x")) text.remove_prefix(2);
  uint64_t value = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), value, 16);
  const auto length = static_cast<size_t>(parsed.ptr - text.data());
  text.remove_prefix(std::min(length + 1, text.size()));
  return value;
}

// The text of the file at `path`, in `buffer`; empty if it cannot be read.
std::string_view ReadText(ioas::kernel::SystemCalls& calls, const char* path,
                          std::span<char> buffer) {
  const long fd = calls(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC, 0);
  if (fd < 0) return {};
  const long size = calls(SYS_read, fd, buffer.data(), buffer.size());
  calls(SYS_close, fd);
  return {buffer.data(), size > 0 ? static_cast<size_t>(size) : 0};
}

struct DmaBufRequest {
  abi::DeviceFeature header;
  abi::FeatureDmaBuf feature;
  abi::RegionDmaRange range;
};

}  // namespace

std::optional<CdevMemory> ParseMapsLine(std::string_view line, uint64_t address, uint64_t size) {
  const size_t path = line.find(kCdevPrefix);
  if (path == std::string_view::npos) return std::nullopt;
  const std::optional<uint32_t> cdev = sysfs::ParseNumber(line.substr(path + kCdevPrefix.size()));
  const uint64_t start = TakeHex(line);
  const uint64_t end = TakeHex(line);
  line.remove_prefix(std::min<size_t>(5, line.size()));  // the permissions
  const uint64_t offset = TakeHex(line);
  if (!cdev || address < start || address >= end || size > end - address) return std::nullopt;
  return CdevMemory{*cdev, offset + (address - start)};
}

std::optional<BarPlace> FindBar(std::string_view resource, uint64_t offset, uint64_t size) {
  std::optional<BarPlace> physical;
  for (uint32_t region = 0; region <= abi::kPciBar5RegionIndex && !resource.empty(); ++region) {
    std::string_view line = resource.substr(0, resource.find('\n'));
    resource.remove_prefix(std::min(line.size() + 1, resource.size()));
    const uint64_t first = TakeHex(line);
    const uint64_t last = TakeHex(line);
    if (first == 0) continue;
    // Whether they lie so many bytes from the BAR's beginning.
    const auto fits = [&](uint64_t from) {
      return from <= last - first && size - 1 <= last - first - from;
    };
    const uint64_t in_file = offset - (uint64_t{region} << kRegionShift);
    if (fits(in_file)) return BarPlace{region, in_file};
    if (first <= offset && fits(offset - first)) physical = BarPlace{region, offset - first};
  }
  return physical;
}

std::optional<CdevMemory> BarMemory::FindMapping(uint64_t address, uint64_t size) const {
  const long maps = calls_(SYS_openat, AT_FDCWD, "/proc/self/maps", O_RDONLY | O_CLOEXEC, 0);
  if (maps < 0) return std::nullopt;
  std::optional<CdevMemory> found;
  char buffer[4096];
  size_t kept = 0;  // of a line whose end has not been read yet
  for (long size_read = 1; size_read > 0 && !found;) {
    size_read = calls_(SYS_read, maps, buffer + kept, sizeof(buffer) - kept);
    if (size_read <= 0) break;
    std::string_view text(buffer, kept + static_cast<size_t>(size_read));
    for (size_t end = text.find('\n'); end != std::string_view::npos && !found;
         end = text.find('\n')) {
      found = ParseMapsLine(text.substr(0, end), address, size);
      text.remove_prefix(end + 1);
    }
    // A line of its own that is longer than this is not a cdev's.
    kept = text.size() < sizeof(buffer) ? text.size() : 0;
    std::memmove(buffer, text.data(), kept);
  }
  calls_(SYS_close, maps);
  return found;
}

ioas::Result<ioas::kernel::FileMemory> BarMemory::Find(uint64_t user_address, uint64_t size) {
  constexpr ioas::Error kUnknown = {ENOENT, "the memory is no device's"};
  const std::optional<CdevMemory> memory = FindMapping(user_address, size);
  if (!memory) return kUnknown;
  const vfio::HostState& state = host_->state();
  for (uint32_t i = 0; i < state.device_count; ++i) {
    const vfio::KernelDevice& device = *host_->arena().Get(state.devices[i].kernel);
    if (device.cdev != memory->cdev || device.slot == 0) continue;
    const int fd = host_->parts().descriptors->DescriptorOf(device.slot);
    char text[1024];
    const sysfs::Path path("%s/sys/bus/pci/devices/%s/resource", sysfs_root_, device.name);
    const std::optional<BarPlace> place =
        FindBar(ReadText(calls_, path.c_str(), text), memory->offset, size);
    if (fd < 0 || !place) return kUnknown;
    DmaBufRequest request = {
        .header = {.argsz = sizeof(request),
                   .flags = abi::kDeviceFeatureGet | abi::kDeviceFeatureDmaBuf},
        .feature = {.region_index = place->region,
                    .open_flags = O_RDWR | O_CLOEXEC,
                    .flags = 0,
                    .nr_ranges = 1},
        .range = {.offset = place->offset, .length = size}};
    const long buffer = calls_(SYS_ioctl, fd, abi::kDeviceFeature, &request);
    if (buffer < 0) return ioas::Error{static_cast<int>(-buffer), "the BAR cannot be a DMA-BUF"};
    return ioas::kernel::FileMemory{.fd = static_cast<int>(buffer), .offset = 0};
  }
  return kUnknown;
}

}  // namespace compat::kernel
