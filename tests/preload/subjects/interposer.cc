// A program that has functions of its own under libc's names, as debugging allocators and tracers
// do: each counts and calls the next.
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdarg>
#include <cstdio>

namespace {

int opens = 0;
int ioctls = 0;
int closes = 0;

template <typename Function>
Function* NextFunction(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

}  // namespace

extern "C" int open(const char* path, int flags, ...) {
  ++opens;
  va_list arguments;
  va_start(arguments, flags);
  const int mode = va_arg(arguments, int);
  va_end(arguments);
  return NextFunction<int(const char*, int, ...)>("open")(path, flags, mode);
}

extern "C" int ioctl(int fd, unsigned long request, ...) noexcept {
  ++ioctls;
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  return NextFunction<int(int, unsigned long, ...)>("ioctl")(fd, request, argument);
}

extern "C" int close(int fd) {
  ++closes;
  return NextFunction<int(int)>("close")(fd);
}

int main() {
  const int container = open("/dev/vfio/vfio", O_RDWR, 0);
  const int version = ioctl(container, VFIO_GET_API_VERSION);
  const int closed = close(container);
  // The library does not call the program's functions for its own business.
  std::printf("version %d, closed %d, calls %d %d %d\n", version, closed, opens, ioctls, closes);
  return 0;
}
