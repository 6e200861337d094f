// iommufd's own calls on the software host: objects, address spaces, devices, in any order, beside
// a reference of maps (native_reference.h). Results, numbers of objects and what is usable agree
// after each step; any other call, with any bytes, does no harm.
//
// An input: steps of one byte and their operands.
#include <sys/mman.h>

#include <cstring>
#include <utility>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"
#include "fuzz/input.h"
#include "fuzz/native_reference.h"

namespace fuzz {
namespace {

namespace iommufd = compat::abi::iommufd;
using compat::soft::TestHost;

constexpr int kMaxSteps = 60;
constexpr uint64_t kPage = 4096;
constexpr uint64_t kMemory = 32 * kPage;

std::byte* Memory() {
  static std::byte* const kMapped = static_cast<std::byte*>(
      mmap(nullptr, kMemory, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  return kMapped;
}

// Where things are mapped: mostly low and in whole pages, sometimes at an edge.
uint64_t TakeIova(Input& input) {
  constexpr uint64_t kPlaces[] = {0, 0xfee00000, 0x8000000000, UINT64_MAX - kPage + 1, 1 << 20};
  const uint8_t choice = input.Take<uint8_t>();
  if (choice < 240) return uint64_t{choice % 32u} * kPage;
  return kPlaces[choice % std::size(kPlaces)] + input.Take<int8_t>() * uint64_t{kPage / 4};
}

uint64_t TakeLength(Input& input) {
  const uint8_t choice = input.Take<uint8_t>();
  if (choice < 240) return (choice % 6 + 1) * kPage;
  return choice < 250 ? choice - 239u : UINT64_MAX - (choice - 250u) / 2 * kPage;
}

class Comparison {
 public:
  explicit Comparison(Input input)
      : input_(input),
        reference_({reinterpret_cast<uint64_t>(Memory()),
                    reinterpret_cast<uint64_t>(Memory()) + (kMemory - 1)}),
        iommufd_(host_.OpenIommufd()) {
    FUZZ_REQUIRE(iommufd_ >= 0);
    for (int& cdev : cdevs_) cdev = -1;
  }

  void Run() {
    for (int step = 0; step < kMaxSteps && !input_.empty(); ++step) {
      Step();
      CheckSpaces();
    }
  }

 private:
  template <typename Command>
  long Call(uint32_t request, Command& command) {
    command.size = sizeof(command);
    return host_.Ioctl(iommufd_, request, &command);
  }
  uint32_t TakeId() { return input_.TakeBelow(10); }
  uint64_t TakeAddress() {
    const uint8_t choice = input_.Take<uint8_t>();
    if (choice >= 250) return choice;  // nothing is there
    const uint64_t offset = choice >= 240 ? choice : choice % 24 * kPage;
    return reinterpret_cast<uint64_t>(Memory()) + offset;
  }

  void Step() {
    switch (input_.TakeBelow(12)) {
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
        return OpenOrClose();
      case 8:
        return Bind();
      case 9:
        return Attach();
      case 10:
        return input_.TakeBelow(2) == 0 ? Detach() : NewHwpt();
      default:
        return Anything();
    }
  }

  void NewIoas() {
    iommufd::IoasAlloc command = {};
    FUZZ_REQUIRE(Call(iommufd::kIoasAlloc, command) == 0);
    FUZZ_REQUIRE(command.out_ioas_id == reference_.NewIoas());
  }

  void Destroy() {
    iommufd::Destroy command = {.size = 0, .id = TakeId()};
    FUZZ_REQUIRE(Call(iommufd::kDestroy, command) == reference_.Destroy(command.id));
  }

  void Map() {
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
    FUZZ_REQUIRE(result == reference_.Map(asked.ioas_id, asked.user_va, asked.length, iova,
                                          writable, command.iova));
    FUZZ_REQUIRE(fixed || command.iova != 0);
  }

  void Unmap() {
    iommufd::IoasUnmap command = {};
    command.ioas_id = TakeId();
    command.iova = TakeIova(input_);
    command.length = TakeLength(input_);
    uint64_t unmapped = 0;
    const long expected = reference_.Unmap(command.ioas_id, command.iova, command.length, unmapped);
    FUZZ_REQUIRE(Call(iommufd::kIoasUnmap, command) == expected);
    FUZZ_REQUIRE(expected != 0 || command.length == unmapped);
  }

  void Copy() {
    const bool writable = input_.TakeBelow(2) != 0;
    iommufd::IoasCopy command = {};
    command.flags = iommufd::kIoasMapReadable | iommufd::kIoasMapFixedIova |
                    (writable ? iommufd::kIoasMapWriteable : 0);
    command.dst_ioas_id = TakeId();
    command.src_ioas_id = TakeId();
    command.dst_iova = TakeIova(input_);
    command.src_iova = TakeIova(input_);
    command.length = TakeLength(input_);
    const long expected =
        reference_.Copy(command.dst_ioas_id, command.src_ioas_id, command.dst_iova, command.length,
                        command.src_iova, writable);
    FUZZ_REQUIRE(Call(iommufd::kIoasCopy, command) == expected);
  }

  void Allow() {
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

  void OpenOrClose() {
    const uint32_t device = input_.TakeBelow(NativeReference::kDevices);
    if (cdevs_[device] < 0) {
      cdevs_[device] = host_.OpenCdev(device);
      FUZZ_REQUIRE(cdevs_[device] >= 0);
    } else {
      host_.Close(std::exchange(cdevs_[device], -1));
      reference_.Unbind(device);
    }
  }

  void Bind() {
    const uint32_t device = input_.TakeBelow(NativeReference::kDevices);
    if (cdevs_[device] < 0) return;
    compat::abi::DeviceBindIommufd bind = {sizeof(bind), 0, iommufd_, 0};
    uint32_t id = 0;
    const long expected = reference_.Bind(device, id);
    FUZZ_REQUIRE(host_.Ioctl(cdevs_[device], compat::abi::kDeviceBindIommufd, &bind) == expected);
    FUZZ_REQUIRE(expected != 0 || bind.out_devid == id);
  }

  void Attach() {
    const uint32_t device = input_.TakeBelow(NativeReference::kDevices);
    uint32_t table = TakeId();
    if (cdevs_[device] < 0) return;
    compat::abi::DeviceAttachIommufdPt attach = {12, 0, table, 0};
    const long expected = reference_.Attach(device, table);
    FUZZ_REQUIRE(host_.Ioctl(cdevs_[device], compat::abi::kDeviceAttachIommufdPt, &attach) ==
                 expected);
    FUZZ_REQUIRE(expected != 0 || attach.pt_id == table);
  }

  void Detach() {
    const uint32_t device = input_.TakeBelow(NativeReference::kDevices);
    if (cdevs_[device] < 0) return;
    compat::abi::DeviceDetachIommufdPt detach = {8, 0, 0};
    FUZZ_REQUIRE(host_.Ioctl(cdevs_[device], compat::abi::kDeviceDetachIommufdPt, &detach) ==
                 reference_.Detach(device));
  }

  void NewHwpt() {
    iommufd::HwptAlloc command = {};
    command.dev_id = TakeId();
    command.pt_id = TakeId();
    uint32_t id = 0;
    const long expected = reference_.NewHwpt(command.dev_id, command.pt_id, id);
    FUZZ_REQUIRE(Call(iommufd::kHwptAlloc, command) == expected);
    FUZZ_REQUIRE(expected != 0 || command.out_hwpt_id == id);
  }

  // Calls that change nothing that the reference knows: any number but theirs, and those with a
  // size that is too small.
  void Anything() {
    const uint8_t number = input_.Take<uint8_t>();
    alignas(8) uint8_t bytes[128] = {};
    const auto taken = input_.TakeBytes(64);
    std::copy(taken.begin(), taken.end(), bytes);
    const bool is_known = number >= iommufd::kCmdBase && number <= 0x89;
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

  void CheckSpaces() {
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

  Input input_;
  TestHost host_;
  NativeReference reference_;
  int iommufd_;
  int cdevs_[NativeReference::kDevices];
};

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Comparison(fuzz::Input(data, size)).Run();
  return 0;
}
