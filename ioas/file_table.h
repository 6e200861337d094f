// The files whose memory devices can reach without a process in between: those of IOAS_MAP_FILE,
// and what a program announced that it would map anew (UPDATE_VADDR).
//
// A mapping's owner is an index in the ProcessTable, or, from kFirstFile on, one in this table: its
// `user_address` is an offset in the file then. Each file has an entry for each process that
// answers for what is locked of it.
#ifndef IOAS_FILE_TABLE_H_
#define IOAS_FILE_TABLE_H_

#include <cstdint>

#include "ioas/base/result.h"
#include "ioas/process_table.h"

namespace ioas {

// A view on the files of a process table: one pointer.
class FileTable {
 public:
  explicit FileTable(ProcessTable processes) : state_(processes.state()) {}

  // Whether a mapping's owner is a file.
  static bool IsFile(uint32_t owner) {
    return owner >= kFirstFile && owner < kFirstFile + kMaxFiles;
  }

  // The owner number of a file for which `process` answers, held once: see Hold. ENOMEM if there
  // are too many files.
  Result<uint32_t> Enter(const FileIdentity& identity, uint32_t process);
  // The same for what is entered and held already; not held once more.
  Result<uint32_t> Find(const FileIdentity& identity, uint32_t process) const;
  // Keeps the entry of `owner` from ever meaning another file until as many calls of Release: one
  // for each mapping. Release returns whether that was the last one.
  void Hold(uint32_t owner) { Entry(owner).holds.fetch_add(1); }
  bool Release(uint32_t owner) { return Entry(owner).holds.fetch_sub(1) == 1; }

  // Of an owner that is held.
  FileIdentity identity(uint32_t owner) const;
  uint32_t process(uint32_t owner) const { return Entry(owner).process; }
  // Differs for each file that has had the number.
  uint64_t generation(uint32_t owner) const { return Entry(owner).generation; }
  bool is_held(uint32_t owner) const { return Entry(owner).holds != 0; }

 private:
  FileEntry& Entry(uint32_t owner) const { return state_->files[owner - kFirstFile]; }

  ProcessTableState* state_;
};

// The process that answers for what `owner` is: itself, or that of a file.
inline uint32_t ProcessBehind(ProcessTable processes, uint32_t owner) {
  return FileTable::IsFile(owner) ? FileTable(processes).process(owner) : owner;
}

}  // namespace ioas

#endif  // IOAS_FILE_TABLE_H_
