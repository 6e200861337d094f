// A library to be preloaded: notes which operations of IOMMU_TEST_CMD, the ioctl that kernels with
// CONFIG_IOMMUFD_TEST have for their own tests, a program asks for.
//
// The file that $NOTED_OPS names has a bit for each: bit N of its 64 for operation N. Nothing is
// allocated and no system call is made while the program runs, because tests fail the Nth
// allocation of a thread in the kernel.

#include <dlfcn.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdarg>
#include <cstdint>
#include <cstdlib>

namespace {

constexpr unsigned long kIommuTestCmd = _IO(';', 0x80 + 32);

// How the command's structure begins.
struct TestCommand {
  uint32_t size;
  uint32_t operation;
};

using Ioctl = int (*)(int, unsigned long, void*);

std::atomic<uint64_t>* noted;

__attribute__((constructor)) void Begin() {
  const char* const path = std::getenv("NOTED_OPS");
  const int fd = path == nullptr ? -1 : open(path, O_RDWR | O_CLOEXEC);
  if (fd < 0) return;
  void* const page = mmap(nullptr, sizeof(*noted), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  close(fd);
  if (page == MAP_FAILED) return;
  noted = static_cast<std::atomic<uint64_t>*>(page);
  noted->fetch_or(0);  // the page is there from now on
}

Ioctl NextIoctl() {
  static const auto next = reinterpret_cast<Ioctl>(dlsym(RTLD_NEXT, "ioctl"));
  return next;
}

}  // namespace

extern "C" int ioctl(int fd, unsigned long request, ...) {
  va_list arguments;
  va_start(arguments, request);
  void* const argument = va_arg(arguments, void*);
  va_end(arguments);
  if (request == kIommuTestCmd && noted != nullptr) {
    const uint32_t operation = static_cast<const TestCommand*>(argument)->operation;
    if (operation < 64) noted->fetch_or(uint64_t{1} << operation);
  }
  return NextIoctl()(fd, request, argument);
}
