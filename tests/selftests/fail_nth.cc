// A library to be preloaded: shows a program /proc/self/task/TID/fail-nth, by which it has its Nth
// allocation fail, and what it looks for in /sys/kernel/debug before it does (Documentation/
// fault-injection/fault-injection.rst of the kernel).
//
// The folder that $FAIL_NTH names stands for /sys/kernel/debug. `fail-nth` in it begins with the
// number as 4 bytes, which the library that the program runs under counts down.

#include <dirent.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

template <typename Function>
Function* Next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

std::string InFolder(const char* name) { return std::string(std::getenv("FAIL_NTH")) + name; }

bool IsFailNth(int fd) {
  struct stat own = {};
  struct stat other = {};
  return fstat(fd, &own) == 0 && stat(InFolder("/fail-nth").c_str(), &other) == 0 &&
         own.st_dev == other.st_dev && own.st_ino == other.st_ino;
}

}  // namespace

extern "C" DIR* opendir(const char* path) {
  const bool is_debugfs = std::string_view(path) == "/sys/kernel/debug/";
  return Next<DIR*(const char*)>("opendir")(is_debugfs ? InFolder("/").c_str() : path);
}

extern "C" int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = (flags & O_CREAT) != 0 ? va_arg(arguments, mode_t) : 0;
  va_end(arguments);
  const auto next = Next<int(const char*, int, ...)>("open");
  if (std::string_view(path).ends_with("/fail-nth"))
    return next(InFolder("/fail-nth").c_str(), flags);
  return next(path, flags, mode);
}

extern "C" ssize_t pread(int fd, void* buffer, size_t size, off_t offset) {
  const auto next = Next<ssize_t(int, void*, size_t, off_t)>("pread");
  uint32_t left = 0;
  if (!IsFailNth(fd)) return next(fd, buffer, size, offset);
  if (next(fd, &left, sizeof(left), 0) != sizeof(left)) return -1;
  return std::snprintf(static_cast<char*>(buffer), size, "%u\n", left);
}

extern "C" ssize_t pwrite(int fd, const void* buffer, size_t size, off_t offset) {
  const auto next = Next<ssize_t(int, const void*, size_t, off_t)>("pwrite");
  if (!IsFailNth(fd)) return next(fd, buffer, size, offset);
  const std::string text(static_cast<const char*>(buffer), size);
  const auto left = static_cast<uint32_t>(std::strtoul(text.c_str(), nullptr, 10));
  return next(fd, &left, sizeof(left), 0) == sizeof(left) ? static_cast<ssize_t>(size) : -1;
}
