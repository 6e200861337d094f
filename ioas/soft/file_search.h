// Finding files by what they are, not by name: memfds have none.
#ifndef IOAS_SOFT_FILE_SEARCH_H_
#define IOAS_SOFT_FILE_SEARCH_H_

#include <cstdint>
#include <optional>

#include "ioas/base/result.h"
#include "ioas/process_table.h"

namespace ioas::soft {

// What the open descriptor `fd` is of. EBADF.
Result<FileIdentity> IdentityOf(int fd);

// Opens the file, for reading and writing if that is permitted, as a hidden descriptor: by a
// descriptor of it that this process, or another one of `processes`, has. ENOENT if none has one
// that may be opened.
Result<int> OpenByIdentity(ProcessTable processes, const FileIdentity& identity);
// The same by a descriptor that is known.
Result<int> OpenAgain(int fd);

// What a range of this process's memory is of, if it is one piece of a file that is mapped shared.
struct FilePiece {
  FileIdentity identity;
  uint64_t offset;  // in the file
};
std::optional<FilePiece> FileBehind(uint64_t user_address, uint64_t size);

}  // namespace ioas::soft

#endif  // IOAS_SOFT_FILE_SEARCH_H_
