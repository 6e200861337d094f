#include "fuzz/sequence/memory.h"

#include <sys/mman.h>
#include <unistd.h>

#include "fuzz/input.h"

namespace fuzz::sequence {
namespace {

constexpr uint64_t kLargePage = 2 << 20;
// Each area has as much to itself.
constexpr uint64_t kDistance = 32 * kLargePage;
constexpr uint64_t kAreas = kVariables + 2;

void Place(std::byte* at, uint64_t size, int protection, bool shared) {
  int fd = -1;
  if (shared) {
    fd = memfd_create("sequence", MFD_CLOEXEC);
    FUZZ_REQUIRE(fd >= 0 && ftruncate(fd, static_cast<off_t>(size)) == 0);
  }
  const int flags = MAP_FIXED | (shared ? MAP_SHARED : MAP_PRIVATE | MAP_ANONYMOUS);
  FUZZ_REQUIRE(mmap(at, size, protection, flags, fd, 0) == at);
  if (fd >= 0) close(fd);
}

}  // namespace

const Memory& Memory::Of() {
  static const Memory kMemory;
  return kMemory;
}

Memory::Memory() {
  struct Shape {
    uint64_t size;
    bool is_writable;
    bool is_shared;
  };
  constexpr Shape kShapes[kVariables] = {{4 << 20, true, false},
                                         {256 << 10, true, false},
                                         {256 << 10, true, true},
                                         {256 << 10, false, false},
                                         {4 << 20, true, false}};
  void* const all = mmap(nullptr, kAreas * kDistance + kLargePage, PROT_NONE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  FUZZ_REQUIRE(all != MAP_FAILED);
  const auto first = reinterpret_cast<uintptr_t>(all);
  auto* place = static_cast<std::byte*>(all) + (-first & (kLargePage - 1));
  for (size_t i = 0; i < kVariables; ++i, place += kDistance) {
    const int protection = kShapes[i].is_writable ? PROT_READ | PROT_WRITE : PROT_READ;
    Place(place, kShapes[i].size, protection, kShapes[i].is_shared);
    areas_[i] = {reinterpret_cast<uintptr_t>(place), kShapes[i].size, kShapes[i].is_writable};
  }
  constexpr uint64_t kStructureBytes = 8192;
  Place(place, kStructureBytes, PROT_READ | PROT_WRITE, false);
  structures_end_ = place + kStructureBytes;
  place += kDistance;
  Place(place, kBitmapBytes, PROT_READ | PROT_WRITE, false);
  bitmap_end_ = place + kBitmapBytes;
}

uint64_t Memory::AddressOf(const Pointer& pointer) const {
  if (pointer.variable == Variable::kNobodys) return pointer.offset;
  return area(pointer.variable).address + pointer.offset;
}

bool Memory::Contains(uint64_t address, uint64_t size, bool writable) const {
  for (const Area& area : areas_) {
    const uint64_t offset = address - area.address;
    if (offset < area.size) return size <= area.size - offset && (area.is_writable || !writable);
  }
  return false;
}

}  // namespace fuzz::sequence
