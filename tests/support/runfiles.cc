#include "tests/support/runfiles.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>

namespace tests {

std::string Runfile(std::string_view path) {
  const char* const root = std::getenv("TEST_SRCDIR");
  const char* const workspace = std::getenv("TEST_WORKSPACE");
  std::filesystem::path folder = std::filesystem::current_path();
  if (root != nullptr && workspace != nullptr) folder = std::filesystem::path(root) / workspace;
  return folder / path;
}

std::string ReadFile(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

bool WriteFile(const std::string& path, std::string_view contents) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << contents;
  file.close();
  return file.good();
}

}  // namespace tests
