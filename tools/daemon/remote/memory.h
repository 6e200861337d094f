// The memory of vfio-compat-remote that calls from afar may map, read and write.
#ifndef TOOLS_DAEMON_REMOTE_MEMORY_H_
#define TOOLS_DAEMON_REMOTE_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>

namespace tools::daemon::remote {

// Anonymous memory, in pages, that Map made. All functions return a negative errno if they fail,
// and have then changed nothing.
class Memory {
 public:
  // mmap() of zeroed memory. `size`: bytes, a multiple of the page size. `protection`: of PROT_READ
  // and PROT_WRITE. `address`: 0, or where it is to be. Returns its address. EINVAL; EEXIST if
  // something is at the address; ENOMEM above kMaxMemory or if there are too many pieces.
  int64_t Map(uint64_t address, uint64_t size, uint32_t protection, bool is_shared);

  // munmap() of what Map made, or a part of it. EINVAL if there is anything else in the range.
  int64_t Unmap(uint64_t address, uint64_t size);

  // Copies out of and into such memory. EFAULT if it is not all there, or is protected against it.
  int64_t Read(uint64_t address, std::span<std::byte> bytes) const;
  int64_t Write(uint64_t address, std::span<const std::byte> bytes) const;

 private:
  struct Piece {
    uint64_t address;
    uint64_t size;
    uint32_t protection;
  };

  // The piece that holds the address, or null.
  const Piece* Find(uint64_t address) const;
  // Whether pieces that allow `protection` cover the whole range.
  bool Covers(uint64_t address, uint64_t size, uint32_t protection) const;
  // Takes a range that is covered out of the list.
  void Remove(uint64_t first, uint64_t end);

  std::array<Piece, 512> pieces_{};
  size_t count_ = 0;
  uint64_t bytes_ = 0;
};

}  // namespace tools::daemon::remote

#endif  // TOOLS_DAEMON_REMOTE_MEMORY_H_
