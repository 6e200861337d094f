#include "tests/support/shim.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>

#include "tests/support/runfiles.h"

namespace tests {

std::string PreloadLibrary() { return Runfile("compat/preload/libvfio_compat.so"); }

std::string CommandLineTool() { return Runfile("tools/cli/vfio-compat"); }

Command Preloaded(std::vector<std::string> arguments, std::string_view devices) {
  Command command(std::move(arguments));
  command.With("LD_PRELOAD", PreloadLibrary())
      .With("VFIO_COMPAT_DEVICES", devices)
      .With("VFIO_COMPAT_BACKEND", devices.empty() ? "" : "soft");
  return command;
}

DiskImage::DiskImage(uint64_t size) {
  const char* const folder = std::getenv("TEST_TMPDIR");
  path_ = std::string(folder != nullptr ? folder : "/tmp") + "/disk.XXXXXX";
  const int fd = mkostemp(path_.data(), O_CLOEXEC);
  // A disk that cannot be made shows as an image that cannot be opened.
  if (fd < 0 || ftruncate(fd, static_cast<off_t>(size)) != 0) path_ = "/nonexistent";
  close(fd);
}

DiskImage::~DiskImage() { unlink(path_.c_str()); }

std::string DiskImage::Read(uint64_t offset, uint64_t size) const {
  std::string contents(size, '\0');
  const int fd = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
  const ssize_t length = pread(fd, contents.data(), size, static_cast<off_t>(offset));
  close(fd);
  contents.resize(length > 0 ? static_cast<size_t>(length) : 0);
  return contents;
}

}  // namespace tests
