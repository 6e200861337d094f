#include "compat/preload/paths/descriptor_nodes.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

// An entry: the node's number in the low bits, one bit for placeholders, a fingerprint above. 0 is
// no entry. Higher descriptors than these, which take a raised limit, are not remembered.
constexpr int kDescriptors = 1 << 16;
constexpr uint64_t kPlaceholderBit = uint64_t{1} << 31;
constexpr uint64_t kNodeMask = (uint64_t{1} << vfs::kNodeIdBits) - 1;
static_assert(kNodeMask < kPlaceholderBit);

std::atomic<uint64_t> table[kDescriptors];

bool IsInTable(int fd) { return fd >= 0 && fd < kDescriptors; }

// A hash of which file `fd` is open on, in the upper half; 0 if it is not open.
uint64_t Fingerprint(int fd) {
  struct stat status;
  if (ioas::SystemCall(SYS_newfstatat, fd, "", &status, AT_EMPTY_PATH) != 0) return 0;
  const uint64_t file = status.st_ino * 0x9e3779b97f4a7c15 ^ status.st_dev * 0xc2b2ae3d27d4eb4f;
  return (file | uint64_t{1} << 32) >> 32 << 32;
}

void Set(int fd, uint64_t entry) {
  const uint64_t before = table[fd].exchange(entry, std::memory_order_relaxed);
  if (before == 0 && entry != 0) remembered_descriptors.fetch_add(1, std::memory_order_relaxed);
  if (before != 0 && entry == 0) remembered_descriptors.fetch_sub(1, std::memory_order_relaxed);
}

}  // namespace

std::atomic<uint32_t> remembered_descriptors{0};

bool RememberDescriptor(int fd, RememberedNode node) {
  if (!IsInTable(fd)) return false;
  Set(fd, Fingerprint(fd) | (node.is_placeholder ? kPlaceholderBit : 0) | node.node);
  return true;
}

RememberedNode NodeOfDescriptor(int fd) {
  if (!AnyDescriptorsRemembered() || !IsInTable(fd)) return {};
  uint64_t entry = table[fd].load(std::memory_order_relaxed);
  if (entry == 0) return {};
  if (Fingerprint(fd) != entry >> 32 << 32) {
    // Only this entry: another thread may have put a new one there.
    if (table[fd].compare_exchange_strong(entry, 0, std::memory_order_relaxed)) {
      remembered_descriptors.fetch_sub(1, std::memory_order_relaxed);
    }
    return {};
  }
  return {.node = static_cast<vfs::NodeId>(entry & kNodeMask),
          .is_placeholder = (entry & kPlaceholderBit) != 0};
}

void ForgetDescriptor(int fd) {
  if (IsInTable(fd)) Set(fd, 0);
}

void CopyRememberedDescriptor(int from, int to) {
  if (!IsInTable(to) || from == to) return;
  Set(to, IsInTable(from) ? table[from].load(std::memory_order_relaxed) : 0);
}

}  // namespace compat::preload
