#include "tools/cli/library.h"

#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

namespace tools::cli {
namespace {

constexpr char kLibraryVariable[] = "VFIO_COMPAT_LIBRARY";

std::filesystem::path InstalledPlace() {
  std::error_code ignored;
  const auto binary = std::filesystem::read_symlink("/proc/self/exe", ignored);
  return binary.parent_path() / "../lib/libvfio_compat.so";
}

}  // namespace

Failure FindLibrary(std::string& path) {
  const char* const named = std::getenv(kLibraryVariable);
  const bool is_named = named != nullptr && *named != '\0';
  const std::filesystem::path place = is_named ? std::filesystem::path(named) : InstalledPlace();
  std::error_code error;
  path = std::filesystem::canonical(place, error).string();
  if (!error && access(path.c_str(), R_OK) != 0) error.assign(errno, std::generic_category());
  if (error) {
    return {kUsage, "run: the preload library " + place.lexically_normal().string() + ": " +
                        error.message() + " (" + kLibraryVariable + " can name another)"};
  }
  if (path.find_first_of(" :") != std::string::npos) {
    return {kUsage, "run: the preload library " + path +
                        ": LD_PRELOAD cannot name a path with a space or a colon in it"};
  }
  return {};
}

std::string PreloadAssignment(const std::string& library) {
  std::string assignment = "LD_PRELOAD=" + library;
  const char* const already = std::getenv("LD_PRELOAD");
  if (already != nullptr && *already != '\0') assignment += std::string(":") + already;
  return assignment;
}

}  // namespace tools::cli
