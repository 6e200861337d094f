// Reading a small file whole.
#ifndef TOOLS_FILES_READ_FILE_H_
#define TOOLS_FILES_READ_FILE_H_

#include <cstddef>
#include <string>

#include "absl/status/statusor.h"

namespace tools::files {

// The most bytes that a file may hold; far more than any certificate, policy or configuration has.
inline constexpr size_t kMaxBytes = size_t{16} << 20;

// All that the file at `path` holds.
//
// Errors, whose messages begin with the path: NotFound if it does not exist, PermissionDenied,
// otherwise InvalidArgument, for a folder or a file of more than kMaxBytes bytes as well.
absl::StatusOr<std::string> ReadFile(const std::string& path);

}  // namespace tools::files

#endif  // TOOLS_FILES_READ_FILE_H_
