// Where a test finds the files that it was built with.
#ifndef TESTS_SUPPORT_RUNFILES_H_
#define TESTS_SUPPORT_RUNFILES_H_

#include <string>
#include <string_view>

namespace tests {

// The absolute path of a file or folder of the project ("compat/preload/libvfio_compat.so"), as
// Bazel lays it out for tests; below the current folder without Bazel.
std::string Runfile(std::string_view path);

// Everything that the file at `path` holds; empty if it cannot be read.
std::string ReadFile(const std::string& path);

// Makes the file `path` hold `contents`. Returns whether it does.
bool WriteFile(const std::string& path, std::string_view contents);

}  // namespace tests

#endif  // TESTS_SUPPORT_RUNFILES_H_
