// Running programs under the preload library, with emulated devices.
#ifndef TESTS_SUPPORT_SHIM_H_
#define TESTS_SUPPORT_SHIM_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/support/command.h"

namespace tests {

// The preload library: a target that uses it has //compat/preload:libvfio_compat.so in `data`.
std::string PreloadLibrary();

// The command line: //tools/cli:vfio-compat in `data`.
std::string CommandLineTool();

// A command whose program has the library loaded, and these devices (as VFIO_COMPAT_DEVICES takes
// them; none if empty). Nothing else of the environment asks for a host.
Command Preloaded(std::vector<std::string> arguments, std::string_view devices = "");

// A temporary disk image of `size` zero bytes, gone with this object.
class DiskImage {
 public:
  explicit DiskImage(uint64_t size);
  DiskImage(const DiskImage&) = delete;
  DiskImage& operator=(const DiskImage&) = delete;
  ~DiskImage();

  const std::string& path() const { return path_; }
  // Bytes of the image; shorter where it ends.
  std::string Read(uint64_t offset, uint64_t size) const;

 private:
  std::string path_;
};

}  // namespace tests

#endif  // TESTS_SUPPORT_SHIM_H_
