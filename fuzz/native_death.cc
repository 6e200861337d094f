// A step of the target `native_iommufd`: a process dies with the context's lock, when an object is
// made and nobody was told. What others see is the same as if it had lived: counts are made anew.
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "compat/abi/iommufd.h"
#include "fuzz/native_comparison.h"
#include "fuzz/system.h"

namespace fuzz {

namespace iommufd = compat::abi::iommufd;

namespace {

// A process more costs as much as hundreds of calls.
constexpr int kMaxDeaths = 1;

// Ends the process where a call writes; what it wanted to write is in `written`.
class DyingMemory final : public compat::decode::CallerMemory {
 public:
  explicit DyingMemory(void* written) : written_(written) {}

 private:
  ioas::Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) override {
    // NOLINTNEXTLINE(performance-no-int-to-ptr)
    std::copy_n(reinterpret_cast<const std::byte*>(address), bytes.size(), bytes.begin());
    return {};
  }
  ioas::Status WriteCarefully(uint64_t /*address*/, std::span<const std::byte> bytes) override {
    std::memcpy(written_, bytes.data(), bytes.size());
    _exit(0);
  }

  void* written_;
};

}  // namespace

long NativeComparison::CallAndDie(uint32_t request, void* structure, size_t size) {
  void* const written =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FUZZ_REQUIRE(written != MAP_FAILED);
  std::memcpy(written, structure, size);
  const uint32_t slot = host_.Slot(iommufd_);
  const pid_t child = host_.Fork();
  FUZZ_REQUIRE(child >= 0);
  if (child == 0) {
    DyingMemory memory(written);
    const auto result = host_.host().Ioctl(
        iommufd_, slot, {request, reinterpret_cast<uint64_t>(structure), memory});
    _exit(result.error().code);
  }
  const int error = StatusOf(child);
  std::memcpy(structure, written, size);
  munmap(written, size);
  return -error;
}

void NativeComparison::Die() {
  if (deaths_ == kMaxDeaths) return;
  ++deaths_;
  dies_ = true;
  switch (input_.TakeBelow(4)) {
    case 0:
      return NewHwpt(input_.TakeBelow(4));
    case 1:
      return NewNested(0);
    case 2:
      return NewViommu();
    default:
      return NewVdevice();
  }
}

}  // namespace fuzz
