#include "tools/cli/program.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <optional>
#include <string_view>

#include "tools/cli/elf_header.h"

namespace tools::cli {
namespace {

// As deep as the kernel follows scripts that are run by scripts (fs/exec.c).
constexpr int kMaximalScriptDepth = 5;

Failure CannotExecute(const std::string& path, const std::string& why) {
  return {kCannotExecute, path + ": " + why};
}

Failure CheckExecutable(const std::string& path) {
  struct stat status;
  if (stat(path.c_str(), &status) != 0) {
    return {errno == ENOENT || errno == ENOTDIR ? kNotFound : kCannotExecute,
            path + ": " + std::strerror(errno)};
  }
  if (S_ISDIR(status.st_mode)) return CannotExecute(path, "is a directory");
  if (!S_ISREG(status.st_mode)) return CannotExecute(path, "is not a regular file");
  if (access(path.c_str(), X_OK) != 0) return CannotExecute(path, std::strerror(errno));
  return {};
}

// Whether executing the file changes the process's rights, which makes the loader ignore LD_PRELOAD
// (begin_new_exec and cap_bprm_creds_from_file in the kernel).
std::optional<std::string_view> GainedRights(const std::string& path) {
  struct stat status;
  struct statvfs filesystem;
  if (stat(path.c_str(), &status) != 0 || statvfs(path.c_str(), &filesystem) != 0) {
    return std::nullopt;
  }
  if ((filesystem.f_flag & ST_NOSUID) != 0) return std::nullopt;
  if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) return std::nullopt;

  if ((status.st_mode & S_ISUID) != 0 && status.st_uid != getuid()) return "is set-user-ID";
  const bool set_group_id = (status.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP);
  if (set_group_id && status.st_gid != getgid()) return "is set-group-ID";
  const bool has_capabilities = getxattr(path.c_str(), "security.capability", nullptr, 0) > 0;
  if (has_capabilities && getuid() != 0) return "has file capabilities";
  return std::nullopt;
}

// The interpreter that a script names in its first line; nothing if it names none.
std::optional<std::string> Interpreter(int fd) {
  std::array<char, 256> start{};
  const ssize_t length = pread(fd, start.data(), start.size(), 0);
  if (length < 2 || start[0] != '#' || start[1] != '!') return std::nullopt;
  std::string_view line(start.data() + 2, static_cast<size_t>(length) - 2);
  line = line.substr(0, line.find('\n'));
  const size_t first = line.find_first_not_of(" \t");
  if (first == std::string_view::npos) return std::nullopt;
  line.remove_prefix(first);
  return std::string(line.substr(0, line.find_first_of(" \t")));
}

Failure CheckPreloadable(const std::string& path, int depth);

Failure CheckScript(const std::string& path, int fd, int depth) {
  const std::optional<std::string> interpreter = Interpreter(fd);
  if (!interpreter) return CannotExecute(path, "is neither an ELF program nor a script");
  if (depth == kMaximalScriptDepth) return CannotExecute(path, "scripts run scripts too deeply");
  Failure failure = CheckExecutable(*interpreter);
  if (!failure) failure = CheckPreloadable(*interpreter, depth + 1);
  if (failure) return CannotExecute(path, "its interpreter " + failure.message);
  return {};
}

Failure CheckElf(const std::string& path, const ElfHeader& elf) {
  const auto unreachable = [&path](std::string_view why) {
    return CannotExecute(path, std::string(why) + ": LD_PRELOAD cannot reach it");
  };
  if (!elf.native) return unreachable("is a program for another machine or word size");
  if (!elf.dynamic) return unreachable("is statically linked");
  if (const auto gained = GainedRights(path)) return unreachable(*gained);
  return {};
}

Failure CheckPreloadable(const std::string& path, int depth) {
  const int fd = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  // A program may be executable and not readable: then there is nothing to say about it.
  if (fd < 0) return {};
  const std::optional<ElfHeader> elf = ReadElfHeader(fd);
  Failure failure = elf ? CheckElf(path, *elf) : CheckScript(path, fd, depth);
  close(fd);
  return failure;
}

}  // namespace

Failure FindProgram(const std::string& name, std::string& path) {
  if (name.find('/') != std::string::npos) {
    path = name;
    return CheckExecutable(path);
  }
  const char* const folders_text = std::getenv("PATH");
  std::string_view folders = folders_text != nullptr ? folders_text : "/bin:/usr/bin";
  Failure found_but_unusable;
  while (!name.empty()) {
    const size_t colon = folders.find(':');
    const std::string_view folder = folders.substr(0, colon);
    path = (folder.empty() ? "." : std::string(folder)) + "/" + name;
    const Failure failure = CheckExecutable(path);
    if (!failure) return {};
    if (failure.status == kCannotExecute && !found_but_unusable) found_but_unusable = failure;
    if (colon == std::string_view::npos) break;
    folders.remove_prefix(colon + 1);
  }
  if (found_but_unusable) return found_but_unusable;
  return {kNotFound, name + ": program not found"};
}

Failure CheckPreloadable(const std::string& path) { return CheckPreloadable(path, 0); }

}  // namespace tools::cli
