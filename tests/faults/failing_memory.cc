#include "tests/faults/failing_memory.h"

#include <dlfcn.h>
#include <link.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <cstddef>
#include <cstring>

// libc's own, under the names that it keeps for those who replace them.
extern "C" void* __libc_malloc(size_t size);
extern "C" void* __libc_calloc(size_t count, size_t size);
extern "C" void* __libc_realloc(void* memory, size_t size);

namespace tests {
namespace {

constexpr char kLibrary[] = "libvfio_compat.so";

// Where the library's code lies: [first, end).
std::atomic<uintptr_t> library_first{0};
std::atomic<uintptr_t> library_end{0};
std::atomic<uint64_t> left{0};  // allocations until one fails, that one included; 0: none does
std::atomic<bool> has_failed{false};

int FindLibrary(dl_phdr_info* info, size_t /*size*/, void* /*data*/) {
  const size_t length = std::strlen(info->dlpi_name);
  if (length < sizeof(kLibrary) - 1 ||
      std::strcmp(info->dlpi_name + length - (sizeof(kLibrary) - 1), kLibrary) != 0) {
    return 0;
  }
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const ElfW(Phdr)& segment = info->dlpi_phdr[i];
    if (segment.p_type != PT_LOAD || (segment.p_flags & PF_X) == 0) continue;
    library_first = info->dlpi_addr + segment.p_vaddr;
    library_end = library_first + segment.p_memsz;
  }
  return 1;
}

bool Fails(const void* caller) {
  if (left.load(std::memory_order_relaxed) == 0) return false;
  const auto address = reinterpret_cast<uintptr_t>(caller);
  if (address < library_first || address >= library_end) return false;
  if (left.fetch_sub(1) != 1) return false;
  has_failed = true;
  errno = ENOMEM;
  return true;
}

}  // namespace

void FailLibraryAllocation(uint64_t nth) {
  if (library_first == 0) dl_iterate_phdr(FindLibrary, nullptr);
  has_failed = false;
  left = nth;
}

bool HasLibraryAllocationFailed() { return has_failed; }

}  // namespace tests

extern "C" void* malloc(size_t size) noexcept {
  return tests::Fails(__builtin_return_address(0)) ? nullptr : __libc_malloc(size);
}

extern "C" void* calloc(size_t nmemb, size_t size) noexcept {
  return tests::Fails(__builtin_return_address(0)) ? nullptr : __libc_calloc(nmemb, size);
}

extern "C" void* realloc(void* ptr, size_t size) noexcept {
  return tests::Fails(__builtin_return_address(0)) ? nullptr : __libc_realloc(ptr, size);
}

extern "C" int pthread_create(pthread_t* newthread, const pthread_attr_t* attr,
                              void* (*start_routine)(void*), void* arg) noexcept {
  if (tests::Fails(__builtin_return_address(0))) return EAGAIN;
  using Create = int(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);
  static auto* const kNext = reinterpret_cast<Create*>(dlsym(RTLD_NEXT, "pthread_create"));
  return kNext(newthread, attr, start_routine, arg);
}
