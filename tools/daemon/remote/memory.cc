#include "tools/daemon/remote/memory.h"

#include <sys/mman.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "tools/daemon/remote/calls.h"

namespace tools::daemon::remote {
namespace {

constexpr uint64_t kPage = 4096;
// Above every address that a process has.
constexpr uint64_t kAddressEnd = uint64_t{1} << 47;

bool IsRange(uint64_t address, uint64_t size) {
  return size != 0 && size <= kAddressEnd && address <= kAddressEnd - size &&
         address % kPage == 0 && size % kPage == 0;
}

// An iovec of any address.
iovec At(uint64_t address, size_t size) { return {reinterpret_cast<void*>(address), size}; }

}  // namespace

int64_t Memory::Map(uint64_t address, uint64_t size, uint32_t protection, bool is_shared) {
  if (!IsRange(address, size)) return -EINVAL;
  if ((protection & ~(PROT_READ | PROT_WRITE)) != 0) return -EINVAL;
  if (size > kMaxMemory - bytes_ || count_ == pieces_.size()) return -ENOMEM;
  const int flags = MAP_ANONYMOUS | (is_shared ? MAP_SHARED : MAP_PRIVATE) |
                    (address != 0 ? MAP_FIXED_NOREPLACE : 0);
  void* const mapped = mmap(reinterpret_cast<void*>(address), size, protection, flags, -1, 0);
  if (mapped == MAP_FAILED) return -errno;
  const auto place = reinterpret_cast<uint64_t>(mapped);
  pieces_[count_++] = {place, size, protection};
  bytes_ += size;
  return static_cast<int64_t>(place);
}

const Memory::Piece* Memory::Find(uint64_t address) const {
  const auto end = pieces_.begin() + count_;
  const auto found = std::find_if(pieces_.begin(), end, [address](const Piece& piece) {
    return address >= piece.address && address - piece.address < piece.size;
  });
  return found == end ? nullptr : &*found;
}

bool Memory::Covers(uint64_t address, uint64_t size, uint32_t protection) const {
  if (address > kAddressEnd || size > kAddressEnd - address) return false;
  const uint64_t end = address + size;
  while (address < end) {
    const Piece* const piece = Find(address);
    if (piece == nullptr || (piece->protection & protection) != protection) return false;
    address = piece->address + piece->size;
  }
  return true;
}

void Memory::Remove(uint64_t first, uint64_t end) {
  // Backwards: what is cut is replaced by the last one, or grows the list behind it.
  for (size_t i = count_; i-- > 0;) {
    const Piece piece = pieces_[i];
    const uint64_t piece_end = piece.address + piece.size;
    if (piece_end <= first || piece.address >= end) continue;
    pieces_[i] = pieces_[--count_];
    if (piece.address < first) {
      pieces_[count_++] = {piece.address, first - piece.address, piece.protection};
    }
    if (piece_end > end) pieces_[count_++] = {end, piece_end - end, piece.protection};
  }
  bytes_ -= end - first;
}

int64_t Memory::Unmap(uint64_t address, uint64_t size) {
  if (!IsRange(address, size) || !Covers(address, size, 0)) return -EINVAL;
  // A piece that is cut in the middle becomes two.
  if (count_ == pieces_.size()) return -ENOMEM;
  if (munmap(reinterpret_cast<void*>(address), size) != 0) return -errno;
  Remove(address, address + size);
  return 0;
}

int64_t Memory::Read(uint64_t address, std::span<std::byte> bytes) const {
  if (!Covers(address, bytes.size(), PROT_READ)) return -EFAULT;
  const iovec here = At(reinterpret_cast<uint64_t>(bytes.data()), bytes.size());
  const iovec there = At(address, bytes.size());
  const ssize_t count = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
  return count == static_cast<ssize_t>(bytes.size()) ? count : -EFAULT;
}

int64_t Memory::Write(uint64_t address, std::span<const std::byte> bytes) const {
  if (!Covers(address, bytes.size(), PROT_WRITE)) return -EFAULT;
  const iovec here = At(reinterpret_cast<uint64_t>(bytes.data()), bytes.size());
  const iovec there = At(address, bytes.size());
  const ssize_t count = process_vm_writev(getpid(), &here, 1, &there, 1, 0);
  return count == static_cast<ssize_t>(bytes.size()) ? count : -EFAULT;
}

}  // namespace tools::daemon::remote
