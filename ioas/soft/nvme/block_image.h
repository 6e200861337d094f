// The raw file behind a namespace.
#ifndef IOAS_SOFT_NVME_BLOCK_IMAGE_H_
#define IOAS_SOFT_NVME_BLOCK_IMAGE_H_

#include <cstddef>
#include <cstdint>
#include <span>

#include "ioas/base/result.h"

namespace ioas::soft {

// A file or block device, read and written by system calls and never mapped: one that shrinks makes
// errors, not signals. It is opened when it is first needed, for each process anew or inherited
// over fork, and again if the program closed the descriptor.
class BlockImage {
 public:
  // `path`: absolute, must outlive the image. The descriptor is a hidden one.
  explicit BlockImage(const char* path) : path_(path) {}
  ~BlockImage();
  BlockImage(const BlockImage&) = delete;
  BlockImage& operator=(const BlockImage&) = delete;

  // Bytes that the image holds now. The errors of open(2), ESPIPE if it is a pipe or a terminal.
  Result<uint64_t> Size();
  // Whether only reading is permitted: the file could not be opened for writing. False while it
  // cannot be opened at all.
  bool read_only();

  // Reads data.size() bytes at `offset`. ENODATA if the image ends before; errors of pread(2).
  Status Read(uint64_t offset, std::span<std::byte> data);
  // Writes. EROFS if it is read only, ENODATA beyond its end (it never grows); errors of pwrite(2).
  Status Write(uint64_t offset, std::span<const std::byte> data);
  // Makes `length` bytes read as zeroes; with `deallocate` gives up their disk space if possible.
  // Errors as Write.
  Status WriteZeroes(uint64_t offset, uint64_t length, bool deallocate);
  // Gives up disk space if the file system can, and does nothing otherwise. EROFS, EIO.
  Status Discard(uint64_t offset, uint64_t length);
  // Waits until everything written, by any process, is on the disk. Errors of fdatasync(2).
  Status Flush();

  // The descriptor, -1 while it is not open.
  int descriptor() const { return descriptor_; }

 private:
  Status Open();
  Status RequireWritable(uint64_t offset, uint64_t length);
  // Makes a system call on the descriptor, again after EINTR, and once again on a fresh descriptor
  // after EBADF. Returns as SystemCall does.
  template <typename... Arguments>
  long Call(long number, Arguments... arguments);

  const char* path_;
  int descriptor_ = -1;
  bool read_only_ = false;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_NVME_BLOCK_IMAGE_H_
