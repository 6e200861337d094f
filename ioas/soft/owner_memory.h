// The memory of a mapping's owner, be it a process or a file, as process_vm_readv() takes it.
#ifndef IOAS_SOFT_OWNER_MEMORY_H_
#define IOAS_SOFT_OWNER_MEMORY_H_

#include <sys/types.h>

#include <cstdint>
#include <optional>

#include "ioas/base/system_call.h"
#include "ioas/file_table.h"
#include "ioas/soft/file_memory.h"
#include "ioas/soft/peer_process.h"

namespace ioas::soft {

// As long as it lives; one such object at a time, as of FileMemory.
class [[nodiscard]] OwnerMemory {
 public:
  // `owner`: of a mapping. `end`: how far a file is wanted, in bytes.
  OwnerMemory(ProcessTable processes, uint32_t owner, uint64_t end) {
    if (!FileTable::IsFile(owner)) {
      pid_ = MemoryOf(processes, owner);
      return;
    }
    file_.emplace(processes, owner, end);
    if (file_->address() != 0) pid_ = static_cast<pid_t>(SystemCall(SYS_getpid));
  }

  // Whose memory it is; 0 if it is gone.
  pid_t pid() const { return pid_; }
  // What is added to a mapping's addresses.
  uint64_t base() const { return file_ ? file_->address() : 0; }

 private:
  std::optional<FileMemory> file_;
  pid_t pid_ = 0;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_OWNER_MEMORY_H_
