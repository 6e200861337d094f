// A SPAPR TCE version 2 container as programs have it, with one device; whatever fails ends the
// program.
#ifndef TESTS_VM_WINDOWS_CONTAINER_H_
#define TESTS_VM_WINDOWS_CONTAINER_H_

#include <cstddef>
#include <cstdint>

namespace tests {

// Prints what failed, with errno, and ends the program.
[[noreturn]] void Die(const char* what);

class SpaprContainer {
 public:
  // Opens group number `group` and its device `device`, a PCI address, and registers `size` bytes
  // of memory, zeroed and page aligned. The 32-bit window is there, and nothing is mapped.
  SpaprContainer(const char* group, const char* device, uint64_t size);

  // Makes `pages` pages (of 4 KiB) of the window from IOVA `iova` on lead to the memory from page
  // `memory_page` on, whatever was there.
  void Map(uint64_t iova, uint64_t pages, uint64_t memory_page) const;
  // Makes them lead nowhere.
  void Unmap(uint64_t iova, uint64_t pages) const;

  std::byte* PageOfMemory(uint64_t page) const;
  int device() const { return device_; }

 private:
  int container_;
  int group_;
  int device_;
  std::byte* memory_;
};

}  // namespace tests

#endif  // TESTS_VM_WINDOWS_CONTAINER_H_
