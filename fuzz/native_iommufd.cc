// iommufd's own calls on the software host: objects, address spaces, devices, in any order, beside
// a reference of maps (native_reference.h). Results, numbers of objects and what is usable agree
// after each step; any other call, with any bytes, does no harm.
//
// An input: steps of one byte and their operands.
#include <sys/mman.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "compat/abi/iommufd.h"
#include "fuzz/native_comparison.h"
#include "fuzz/native_input.h"
#include "fuzz/system.h"

namespace fuzz {

namespace iommufd = compat::abi::iommufd;
using compat::soft::TestHost;

namespace {

constexpr int kMaxSteps = 60;
constexpr uint64_t kMemory = 32 * kPage;

ReferenceRange Memory() {
  static void* const kMapped =
      mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  const auto first = reinterpret_cast<uint64_t>(kMapped);
  return {first, first + (kMemory - 1)};
}

int File() {
  static const int fd = MemoryFile(kFileSize);
  return fd;
}

}  // namespace

NativeComparison::NativeComparison(Input input, const ReferenceRange& memory)
    : input_(input),
      memory_(memory),
      reference_(memory),
      host_(compat::type1::Type1(), TestHost::Engines()),
      iommufd_(host_.OpenIommufd()) {
  FUZZ_REQUIRE(iommufd_ >= 0);
  for (int& cdev : cdevs_) cdev = -1;
}

void NativeComparison::Run() {
  for (int step = 0; step < kMaxSteps && !input_.empty(); ++step) {
    Step();
    CheckSpaces();
  }
}

void NativeComparison::Step() {
  switch (input_.TakeBelow(13)) {
    case 0:
      return NewIoas();
    case 1:
      return Destroy();
    case 2:
    case 3:
      return Map();
    case 4:
      return Unmap();
    case 5:
      return Copy();
    case 6:
      return Allow();
    case 7:
      return OpenOrClose(TakeDrive());
    case 8:
      return Bind(TakeDrive());
    case 9:
      return Attach(TakeDrive());
    case 10:
      return TablesOfDevices();
    case 11:
      return MakeTables();
    default:
      return Anything();
  }
}

void NativeComparison::TablesOfDevices() {
  switch (input_.TakeBelow(10)) {
    case 0:
    case 2:
    case 4:
      return Detach(TakeDrive());
    case 1:
    case 3:
      return NewHwpt(0);
    case 5:
      return NewHwpt(input_.TakeBelow(5));
    case 6:
      return SetDirtyTracking();
    case 7:
      return GetDirtyBitmap();
    case 8:
      return GetHwInfo();
    default:
      return NewHwpt(iommufd::kHwptAllocDirtyTracking);
  }
}

void NativeComparison::MakeTables() {
  switch (input_.TakeBelow(6)) {
    case 0:
      return Detach(TakeDrive());
    case 1:
      return NewHwpt(input_.TakeBelow(5));
    case 2:
      return NewHwpt(iommufd::kHwptAllocNestParent);
    case 3:
      return NewNested(0);
    case 4:
      return NewViommu();
    default:
      return NewVdevice();
  }
}

void NativeComparison::NewIoas() {
  iommufd::IoasAlloc command = {};
  FUZZ_REQUIRE(Call(iommufd::kIoasAlloc, command) == 0);
  FUZZ_REQUIRE(command.out_ioas_id == reference_.NewIoas());
}

void NativeComparison::Destroy() {
  iommufd::Destroy command = {.size = 0, .id = TakeId()};
  FUZZ_REQUIRE(Call(iommufd::kDestroy, command) == reference_.Destroy(command.id));
}

void NativeComparison::Map() {
  const bool writable = input_.TakeBelow(2) != 0;
  const bool fixed = input_.TakeBelow(8) != 0;
  iommufd::IoasMap command = {};
  command.flags = iommufd::kIoasMapReadable | (writable ? iommufd::kIoasMapWriteable : 0) |
                  (fixed ? iommufd::kIoasMapFixedIova : 0);
  command.ioas_id = TakeId();
  command.user_va = TakeAddress();
  command.length = TakeLength(input_);
  command.iova = fixed ? TakeIova(input_) : 0;
  const iommufd::IoasMap asked = command;
  const long result = Call(iommufd::kIoasMap, command);
  // Where there is room is the call's to say, if there is any.
  if (!fixed && result != 0) return;
  const auto iova = fixed ? std::optional<uint64_t>(asked.iova) : std::nullopt;
  FUZZ_REQUIRE(result == reference_.Map(asked.ioas_id, asked.user_va, asked.length, iova, writable,
                                        command.iova));
  FUZZ_REQUIRE(fixed || command.iova != 0);
}

// A part of a file, which may end before it.
void NativeComparison::MapFile() {
  iommufd::IoasMapFile command = {};
  command.flags = iommufd::kIoasMapReadable | iommufd::kIoasMapFixedIova;
  command.ioas_id = TakeId();
  command.fd = input_.TakeBelow(8) == 7 ? -1 : File();
  command.start = input_.TakeBelow(32) * kPage + input_.TakeBelow(16) / 15;
  command.length = std::min(TakeLength(input_), uint64_t{1} << 30);
  command.iova = TakeIova(input_);
  const auto ioas = reference_.objects().find(command.ioas_id);
  const bool is_ioas =
      ioas != reference_.objects().end() && ioas->second.kind == ReferenceKind::kIoas;
  long expected = -EBADF;
  if (command.fd >= 0 || !is_ioas || command.iova == UINT64_MAX) {
    expected = reference_.Map(command.ioas_id, kFile + command.start, command.length, command.iova,
                              /*writable=*/false, command.iova);
  }
  FUZZ_REQUIRE(Call(iommufd::kIoasMapFile, command) == expected);
}

void NativeComparison::Unmap() {
  iommufd::IoasUnmap command = {};
  command.ioas_id = TakeId();
  command.iova = TakeIova(input_);
  command.length = TakeLength(input_);
  uint64_t unmapped = 0;
  const long expected = reference_.Unmap(command.ioas_id, command.iova, command.length, unmapped);
  FUZZ_REQUIRE(Call(iommufd::kIoasUnmap, command) == expected);
  FUZZ_REQUIRE(expected != 0 || command.length == unmapped);
}

void NativeComparison::Copy() {
  const bool writable = input_.TakeBelow(2) != 0;
  iommufd::IoasCopy command = {};
  command.flags = iommufd::kIoasMapReadable | iommufd::kIoasMapFixedIova |
                  (writable ? iommufd::kIoasMapWriteable : 0);
  command.dst_ioas_id = TakeId();
  command.src_ioas_id = TakeId();
  command.dst_iova = TakeIova(input_);
  command.src_iova = TakeIova(input_);
  command.length = TakeLength(input_);
  const long expected = reference_.Copy(command.dst_ioas_id, command.src_ioas_id, command.dst_iova,
                                        command.length, command.src_iova, writable);
  FUZZ_REQUIRE(Call(iommufd::kIoasCopy, command) == expected);
}

void NativeComparison::Allow() {
  std::vector<iommufd::IovaRange> ranges(input_.TakeBelow(4));
  std::vector<ReferenceRange> expected;
  for (iommufd::IovaRange& range : ranges) {
    range.start = TakeIova(input_);
    range.last = range.start + TakeLength(input_);
    expected.push_back({range.start, range.last});
  }
  iommufd::IoasAllowIovas command = {};
  command.ioas_id = TakeId();
  command.num_iovas = static_cast<uint32_t>(ranges.size());
  command.allowed_iovas = reinterpret_cast<uint64_t>(ranges.data());
  FUZZ_REQUIRE(Call(iommufd::kIoasAllowIovas, command) ==
               reference_.Allow(command.ioas_id, expected));
}

// Calls that change nothing that the reference knows: any number but theirs, and those with a
// size that is too small.
void NativeComparison::Anything() {
  const uint8_t number = input_.Take<uint8_t>();
  // No call has a number as high as these.
  if (number >= 0xf0) return WithPasids(number - 0xf0u);
  alignas(8) uint8_t bytes[128] = {};
  const auto taken = input_.TakeBytes(64);
  std::copy(taken.begin(), taken.end(), bytes);
  const bool is_made_here = number >= iommufd::kCmdBase && number <= 0x8c;
  const bool is_known = is_made_here || (number >= 0x8e && number <= 0x94);
  // DESTROY alone takes as little as 8 bytes.
  if (is_known) {
    const uint32_t too_small = 7;
    std::memcpy(bytes, &too_small, sizeof(too_small));
    FUZZ_REQUIRE(host_.Ioctl(iommufd_, iommufd::Request(number), bytes) == -EINVAL);
    return;
  }
  // Legacy calls have no address space here: VFIO_IOAS is one of those above.
  (void)host_.Ioctl(iommufd_, iommufd::Request(number), bytes);
}

void NativeComparison::CheckSpaces() {
  for (const auto& [id, object] : reference_.objects()) {
    if (object.kind != ReferenceKind::kIoas) continue;
    iommufd::IovaRange ranges[8] = {};
    iommufd::IoasIovaRanges command = {};
    command.ioas_id = id;
    command.num_iovas = std::size(ranges);
    command.allowed_iovas = reinterpret_cast<uint64_t>(ranges);
    FUZZ_REQUIRE(Call(iommufd::kIoasIovaRanges, command) == 0);
    FUZZ_REQUIRE(command.num_iovas >= 1 && command.num_iovas <= std::size(ranges));
    for (uint32_t i = 0; i < command.num_iovas; ++i) {
      FUZZ_REQUIRE(reference_.IsUsable(id, {ranges[i].start, ranges[i].last}));
      // As large as can be.
      const bool can_grow =
          ranges[i].last != UINT64_MAX && reference_.IsUsable(id, {0, ranges[i].last + 1});
      FUZZ_REQUIRE(!can_grow);
    }
  }
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::NativeComparison(fuzz::Input(data, size), fuzz::Memory()).Run();
  return 0;
}
