// The memory of files that devices reach, as this process sees it.
#ifndef IOAS_SOFT_FILE_MEMORY_H_
#define IOAS_SOFT_FILE_MEMORY_H_

#include <cstdint>

#include "ioas/base/private_lock.h"
#include "ioas/base/result.h"
#include "ioas/file_table.h"

namespace ioas::soft {

// Keeps the file behind an owner number mapped in this process as long as it lives, and every other
// one too: one such object at a time. The first one of a file looks for it among the descriptors of
// the host's processes; it stays known until ForgetFile.
class [[nodiscard]] FileMemory {
 public:
  // `owner`: held, in `processes`. `end`: how far the file is wanted, in bytes.
  FileMemory(ProcessTable processes, uint32_t owner, uint64_t end);
  FileMemory(const FileMemory&) = delete;
  FileMemory& operator=(const FileMemory&) = delete;

  // Where the file begins; 0 if it cannot be had. What lies beyond its end faults.
  uint64_t address() const { return address_; }
  // EINVAL if its memory cannot be pinned, for it is no memory, or ends before `end`. Behaviour:
  // memfd_pin_folios in mm/gup.c.
  Status CheckPinnable(uint64_t end) const;

 private:
  PrivateLock::Guard guard_;
  int fd_ = -1;
  uint64_t address_ = 0;
};

// Makes `fd` known as the file behind `owner`. EBADF; an error of mmap().
Status KnowFile(ProcessTable processes, uint32_t owner, int fd);
// Gives up what this process knows of files that nothing holds any more.
void ForgetFiles(ProcessTable processes);

// Around fork(): the child knows the same.
void HoldFiles();
void ReleaseFiles();

}  // namespace ioas::soft

#endif  // IOAS_SOFT_FILE_MEMORY_H_
