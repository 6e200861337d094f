// What the tests of the interposed functions share. They are linked into the test programs
// themselves: a program's own functions stand in front of libc's just as a preloaded library's do.
#ifndef COMPAT_PRELOAD_PATHS_PATHS_TEST_H_
#define COMPAT_PRELOAD_PATHS_PATHS_TEST_H_

#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string>
#include <vector>

namespace compat::preload {

inline constexpr char kContainerPath[] = "/dev/vfio/vfio";
inline constexpr char kGroupPath[] = "/dev/vfio/7";
inline constexpr char kGroupsPath[] = "/sys/kernel/iommu_groups";
inline constexpr char kDeviceLink[] = "/sys/bus/pci/devices/0000:00:05.0";
inline constexpr char kDevicePath[] = "/sys/devices/pci0000:00/0000:00:05.0";
inline constexpr char kVendorPath[] = "/sys/bus/pci/devices/0000:00:05.0/vendor";

// A value that no call sets: errno must keep it through a success.
inline constexpr int kUntouched = 4242;

// Pointers that no path is at: null, the first page, a hole, a kernel address, and a string that
// runs into a hole. None under the sanitizers that look at paths themselves.
inline std::vector<const char*> BadPaths() {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return {};
#endif
  const long page = sysconf(_SC_PAGESIZE);
  auto* const pages = static_cast<char*>(
      mmap(nullptr, 2 * page, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  mprotect(pages + page, page, PROT_NONE);
  constexpr char kStart[] = {'/', 's', 'y', 's', '/'};
  std::copy_n(kStart, sizeof(kStart), pages + page - sizeof(kStart));
  return {nullptr, reinterpret_cast<const char*>(16), pages + page,
          reinterpret_cast<const char*>(0xffff888000000000), pages + page - sizeof(kStart)};
}

inline std::string ReadAll(int fd) {
  char buffer[8192];
  const ssize_t size = read(fd, buffer, sizeof(buffer));
  return size < 0 ? "error" : std::string(buffer, size);
}

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_PATHS_TEST_H_
