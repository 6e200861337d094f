// Emulated disks, and QEMU's tools on them.
#ifndef TESTS_PROGRAMS_QEMU_DISK_H_
#define TESTS_PROGRAMS_QEMU_DISK_H_

#include <cstdint>
#include <string>
#include <vector>

#include "tests/support/command.h"
#include "tests/support/shim.h"

namespace tests {

inline constexpr uint64_t kMebibyte = 1 << 20;

// A controller on an image of its own.
class QemuDisk {
 public:
  // `options` as they go behind the image in --device, with a comma in front.
  QemuDisk(const char* address, uint64_t size, std::string options = "")
      : address_(address), image_(size), options_(std::move(options)) {}

  // What --device and VFIO_COMPAT_DEVICES take.
  std::string device() const {
    return "nvme,addr=" + address_ + ",image=" + image_.path() + options_;
  }
  // What QEMU calls its namespace.
  std::string url() const { return "nvme://" + address_ + "/1"; }
  const DiskImage& image() const { return image_; }

 private:
  std::string address_;
  DiskImage image_;
  std::string options_;
};

// `vfio-compat run` with `options` (each disk's --device among them) on a program.
Command RunTool(const std::vector<const QemuDisk*>& disks, const std::vector<std::string>& options,
                const std::vector<std::string>& program);

// qemu-io on a disk, one argument per command.
std::vector<std::string> QemuIo(const QemuDisk& disk, const std::vector<std::string>& commands);

// Whether `text` is `size` times the same byte.
bool IsPattern(const std::string& text, uint64_t size, unsigned char byte);

}  // namespace tests

#endif  // TESTS_PROGRAMS_QEMU_DISK_H_
