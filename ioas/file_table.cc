#include "ioas/file_table.h"

#include <algorithm>
#include <cerrno>

namespace ioas {

FileIdentity FileTable::identity(uint32_t owner) const {
  const FileEntry& entry = Entry(owner);
  return {entry.device, entry.inode};
}

Result<uint32_t> FileTable::Find(const FileIdentity& identity, uint32_t process) const {
  for (uint32_t owner = kFirstFile; owner < kFirstFile + kMaxFiles; ++owner) {
    const FileEntry& entry = Entry(owner);
    if (entry.holds != 0 && entry.process == process && this->identity(owner) == identity) {
      return owner;
    }
  }
  return Error{ENOENT, "the file is not entered"};
}

Result<uint32_t> FileTable::Enter(const FileIdentity& identity, uint32_t process) {
  const RobustLock lock(state_->mutex);
  if (const Result<uint32_t> known = Find(identity, process); known.ok()) {
    // Unless its last hold went just now.
    uint64_t holds = Entry(*known).holds;
    while (holds != 0 && !Entry(*known).holds.compare_exchange_weak(holds, holds + 1)) continue;
    if (holds != 0) return known;
  }
  FileEntry* const end = state_->files + kMaxFiles;
  FileEntry* const entry =
      std::find_if(state_->files, end, [](const FileEntry& each) { return each.holds == 0; });
  if (entry == end) return Error{ENOMEM, "too many files are mapped"};
  entry->device = identity.device;
  entry->inode = identity.inode;
  entry->process = process;
  ++entry->generation;
  entry->holds = 1;
  return kFirstFile + static_cast<uint32_t>(entry - state_->files);
}

}  // namespace ioas
