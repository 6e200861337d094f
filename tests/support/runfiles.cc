#include "tests/support/runfiles.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace tests {

std::string Runfile(std::string_view path) {
  const char* const root = std::getenv("TEST_SRCDIR");
  const char* const workspace = std::getenv("TEST_WORKSPACE");
  std::filesystem::path folder = std::filesystem::current_path();
  if (root != nullptr && workspace != nullptr) folder = std::filesystem::path(root) / workspace;
  return folder / path;
}

std::string ReadFile(const std::string& path) {
  // Not by a stream: one throws where a read fails, as in /proc when the process has just ended.
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return "";
  std::string contents;
  std::array<char, 65536> part{};
  ssize_t count = 0;
  while ((count = read(fd, part.data(), part.size())) > 0) {
    contents.append(part.data(), static_cast<size_t>(count));
  }
  close(fd);
  return count == 0 ? contents : "";
}

bool WriteFile(const std::string& path, std::string_view contents) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << contents;
  file.close();
  return file.good();
}

}  // namespace tests
