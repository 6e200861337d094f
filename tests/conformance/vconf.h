/* What a script of vconf makes its calls by: the system's own, or something far away. */
#ifndef TESTS_CONFORMANCE_VCONF_H_
#define TESTS_CONFORMANCE_VCONF_H_

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Each returns what the system call of its name does, -1 with errno if it fails. */
struct VconfCalls {
  int (*open)(const char* path);
  int (*close)(int fd);
  int (*dup)(int fd);
  /* With a number, or an address, for an argument. */
  long (*ioctl)(int fd, uint32_t request, uint64_t argument);
  /* With the address of `size` bytes, which become what the call makes of them. */
  long (*ioctl_bytes)(int fd, uint32_t request, void* bytes, size_t size);
  long (*pread)(int fd, void* bytes, size_t size, uint64_t offset);
  /* Zeroed memory at a multiple of `align` (0: 64 KiB), touched if it may be written. Its address.
   */
  uint64_t (*memory)(uint64_t size, uint64_t align, int prot, int shared);
  /* Copies such memory. */
  void (*read)(uint64_t address, void* bytes, size_t size);
  void (*unmap)(uint64_t address, uint64_t size);
  /* Nonzero: the calls are a child's from now on, until end_fork. 0: a child has made its own. */
  int (*fork)();
  void (*end_fork)();
};

/* Runs a script and prints what its calls return. Returns the exit status. */
int vconf_run(const char* script, const struct VconfCalls* calls);

#ifdef __cplusplus
}
#endif

#endif
