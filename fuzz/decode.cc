// Any descriptor, any container type, any number, any bytes anywhere: what decoding makes of them
// is held against the rows, looked at one after another, and against the rules for structures,
// written down here once more. Memory beyond a call's structure is not read, and errors are the
// exact errno.
//
// An input: the kind, the container type, the address, 8 bytes of request, and the caller's memory.
#include "compat/decode/decode.h"

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_feature.h"
#include "compat/abi/vfio_group.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/decode/documentation.h"
#include "fuzz/input.h"

namespace {

namespace abi = compat::abi;
namespace decode = compat::decode;

// A structure as large as the largest, for those that are copied in by their rows.
constexpr size_t kLargestStructure = 128;
// As long as the names that a group takes.
constexpr size_t kStringRoom = 64;

// The input's bytes at some address, and nothing around them.
class InputMemory final : public decode::CallerMemory {
 public:
  InputMemory(uint64_t address, std::span<const std::byte> bytes)
      : address_(address), bytes_(bytes) {}

  ioas::Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) override {
    if (bytes.empty()) return {};
    const uint64_t offset = address - address_;
    // What was asked for counts, not what was there.
    furthest_ = std::max(furthest_, offset + bytes.size());
    if (offset > bytes_.size() || bytes.size() > bytes_.size() - offset) {
      return ioas::Error{EFAULT, "beyond the input"};
    }
    std::copy_n(bytes_.begin() + offset, bytes.size(), bytes.begin());
    return {};
  }
  ioas::Status WriteCarefully(uint64_t /*address*/, std::span<const std::byte> /*bytes*/) override {
    FUZZ_REQUIRE(!"decoding writes nothing");
    return {};
  }

  uint64_t address() const { return address_; }
  std::span<const std::byte> bytes() const { return bytes_; }
  // The end of what was read, from the first byte on.
  uint64_t furthest() const { return furthest_; }

 private:
  uint64_t address_;
  std::span<const std::byte> bytes_;
  uint64_t furthest_ = 0;
};

// What copying a structure in has to come to.
struct Expected {
  int code = 0;
  std::array<std::byte, kLargestStructure> structure{};
  uint64_t furthest = 0;  // of what may be read
};

uint32_t WordAt(std::span<const std::byte> bytes, size_t offset) {
  uint32_t word = 0;
  std::memcpy(&word, bytes.data() + offset, sizeof(word));
  return word;
}

Expected ExpectedArgszStruct(const decode::CallRow& row, std::span<const std::byte> bytes) {
  Expected expected{.furthest = row.minimal_size};
  if (bytes.size() < row.minimal_size) {
    expected.code = EFAULT;
  } else if (WordAt(bytes, 0) < row.minimal_size || (WordAt(bytes, 4) & ~row.flags) != 0) {
    expected.code = EINVAL;
  } else {
    std::copy_n(bytes.begin(), row.minimal_size, expected.structure.begin());
  }
  return expected;
}

Expected ExpectedSizeStruct(const decode::CallRow& row, std::span<const std::byte> bytes) {
  if (bytes.size() < 4) return {.code = EFAULT, .furthest = 4};
  const uint64_t size = WordAt(bytes, 0);
  if (size < row.minimal_size) return {.code = EINVAL, .furthest = 4};
  Expected expected{.furthest = size};
  // What the kernel does not know comes first, until its first byte that is not zero or not there;
  // it is asked for in pieces, of which one that ends outside is missing as a whole. A piece is 512
  // bytes.
  const uint64_t there = std::min<uint64_t>(size, bytes.size());
  for (uint64_t at = row.full_size; at < there && expected.code == 0; ++at) {
    if (bytes[at] != std::byte{0}) expected.code = E2BIG;
  }
  if (expected.code == 0 && there < size) expected.code = EFAULT;
  if (expected.code == 0) {
    std::copy_n(bytes.begin(), std::min<uint64_t>(size, row.full_size), expected.structure.begin());
  }
  return expected;
}

Expected ExpectedOf(const decode::CallRow& row, std::span<const std::byte> bytes) {
  switch (row.form) {
    case decode::ArgumentForm::kArgszStruct:
      return ExpectedArgszStruct(row, bytes);
    case decode::ArgumentForm::kSizeStruct:
      return ExpectedSizeStruct(row, bytes);
    case decode::ArgumentForm::kInt: {
      Expected expected{.furthest = row.minimal_size};
      if (bytes.size() < row.minimal_size) return {.code = EFAULT, .furthest = row.minimal_size};
      std::copy_n(bytes.begin(), row.minimal_size, expected.structure.begin());
      return expected;
    }
    default:
      return {};
  }
}

// Whether a piece of memory that is asked for as a whole may be missing although its first bytes,
// which decide, are there: then the kernel's answer is E2BIG and that of decoding may be EFAULT.
bool IsWithinAPiece(const InputMemory& memory) {
  return (memory.address() + memory.bytes().size()) % 512 != 0;
}

void RequireSame(int code, const Expected& expected, const InputMemory& memory) {
  if (code == EFAULT && expected.code == E2BIG && IsWithinAPiece(memory)) return;
  FUZZ_REQUIRE(code == expected.code);
  FUZZ_REQUIRE(memory.furthest() <= expected.furthest);
}

// Copied in by its row, and as the structure of compat/abi that it is.
template <typename Struct>
void CheckTyped(const decode::DecodedCall& call, InputMemory& memory, const Expected& expected) {
  static_assert(sizeof(Struct) <= kLargestStructure);
  FUZZ_REQUIRE(call.row->full_size == sizeof(Struct));
  const ioas::Result<Struct> typed = call.CopyIn<Struct>();
  RequireSame(typed.error().code, expected, memory);
  if (!typed.ok()) return;
  const Struct value = *typed;
  FUZZ_REQUIRE(std::memcmp(&value, expected.structure.data(), sizeof(Struct)) == 0);
}

void CheckLegacyStructs(const decode::DecodedCall& call, InputMemory& memory,
                        const Expected& expected) {
  using decode::Call;
  switch (call.row->call) {
    case Call::kIommuMapDma:
      return CheckTyped<abi::DmaMap>(call, memory, expected);
    case Call::kIommuUnmapDma:
      return CheckTyped<abi::DmaUnmap>(call, memory, expected);
    case Call::kIommuGetInfo:
      return CheckTyped<abi::Type1Info>(call, memory, expected);
    case Call::kIommuDirtyPages:
      return CheckTyped<abi::DirtyBitmap>(call, memory, expected);
    case Call::kGroupGetStatus:
      return CheckTyped<abi::GroupStatus>(call, memory, expected);
    case Call::kDeviceGetRegionInfo:
      return CheckTyped<abi::RegionInfo>(call, memory, expected);
    case Call::kDeviceFeature:
      return CheckTyped<abi::DeviceFeature>(call, memory, expected);
    case Call::kSpaprRegisterMemory:
      return CheckTyped<abi::SpaprRegisterMemory>(call, memory, expected);
    case Call::kSpaprTceCreate:
      return CheckTyped<abi::SpaprTceCreate>(call, memory, expected);
    case Call::kEehPeOp:
      return CheckTyped<abi::EehPeOp>(call, memory, expected);
    case Call::kIommufdIoasMap:
      return CheckTyped<abi::iommufd::IoasMap>(call, memory, expected);
    case Call::kIommufdHwptAlloc:
      return CheckTyped<abi::iommufd::HwptAlloc>(call, memory, expected);
    default:
      return;
  }
}

void CheckCopyIn(const decode::DecodedCall& call, InputMemory& memory) {
  const decode::CallRow& row = *call.row;
  FUZZ_REQUIRE(row.full_size <= kLargestStructure && row.minimal_size <= row.full_size);
  const Expected expected = ExpectedOf(row, memory.bytes());
  // Exactly as large as the row says: one byte more is seen.
  std::vector<std::byte> out(row.full_size, std::byte{0xa5});
  const ioas::Status copied = decode::CopyInStruct(row, memory, call.argument, out);
  RequireSame(copied.error().code, expected, memory);
  if (copied.ok()) {
    FUZZ_REQUIRE(std::equal(out.begin(), out.end(), expected.structure.begin()));
  }
  CheckLegacyStructs(call, memory, expected);
}

// The same bytes in memory that needs no care: all of it is there, and nothing else is.
class OwnMemory final : public decode::CallerMemory {
 public:
  explicit OwnMemory(std::span<const std::byte> bytes)
      : OwnMemory(std::vector<std::byte>(bytes.begin(), bytes.end())) {}
  uint64_t address() const { return reinterpret_cast<uint64_t>(bytes_.data()); }
  const std::vector<std::byte>& bytes() const { return bytes_; }

 private:
  explicit OwnMemory(std::vector<std::byte> bytes)
      : CallerMemory(reinterpret_cast<uint64_t>(bytes.data()),
                     reinterpret_cast<uint64_t>(bytes.data()) + bytes.size()),
        bytes_(std::move(bytes)) {}
  ioas::Status ReadCarefully(uint64_t /*address*/, std::span<std::byte> /*bytes*/) override {
    return ioas::Error{EFAULT, "behind the input"};
  }
  ioas::Status WriteCarefully(uint64_t /*address*/, std::span<const std::byte> /*bytes*/) override {
    return ioas::Error{EFAULT, "behind the input"};
  }

  std::vector<std::byte> bytes_;
};

// What is read and written without care is what is read and written with it.
void CheckOwnMemory(const decode::CallRow& row, std::span<const std::byte> bytes) {
  OwnMemory memory(bytes);
  std::vector<std::byte> out(row.full_size, std::byte{0xa5});
  const ioas::Status copied = decode::CopyInStruct(row, memory, memory.address(), out);
  // Of what is behind a structure of /dev/iommu, pieces are looked at: where they end depends on
  // the address.
  if (row.form == decode::ArgumentForm::kSizeStruct) return;
  const Expected expected = ExpectedOf(row, bytes);
  FUZZ_REQUIRE(copied.error().code == expected.code);
  if (!copied.ok() || out.empty()) return;
  FUZZ_REQUIRE(std::equal(out.begin(), out.end(), expected.structure.begin()));
  std::reverse(out.begin(), out.end());
  const ioas::Status written = memory.Write(memory.address(), out);
  FUZZ_REQUIRE(written.ok() == (bytes.size() >= out.size()));
  if (written.ok()) FUZZ_REQUIRE(std::equal(out.begin(), out.end(), memory.bytes().begin()));
}

// Every call is documented, by its number and name.
void CheckDocumentation(const decode::CallRow& row) {
  static const std::string text = decode::CallsAsMarkdown();
  std::array<char, 16> number{};
  std::snprintf(number.data(), number.size(), "| 0x%x |", row.request);
  const size_t at = text.find(std::string(number.data()) + " `" + row.name + "` | " +
                              decode::WhereValid(row) + " | " + decode::ArgumentText(row));
  FUZZ_REQUIRE(at != std::string::npos);
}

void CheckString(const decode::DecodedCall& call, InputMemory& memory) {
  std::vector<char> buffer(kStringRoom);
  const auto text = decode::CopyInString(memory, call.argument, buffer);
  const auto& bytes = memory.bytes();
  const auto room = bytes.first(std::min(bytes.size(), kStringRoom));
  const size_t length = std::find(room.begin(), room.end(), std::byte{0}) - room.begin();
  if (text.ok()) {
    FUZZ_REQUIRE(length < room.size() && text->size() == length);
    FUZZ_REQUIRE(std::memcmp(text->data(), bytes.data(), length) == 0);
  } else if (bytes.size() >= kStringRoom) {
    // Everything that may be looked at is there.
    FUZZ_REQUIRE(text.error().code == EINVAL && length == kStringRoom);
  } else {
    FUZZ_REQUIRE(text.error().code == EFAULT);
  }
  FUZZ_REQUIRE(memory.furthest() <= kStringRoom);
}

// The row as the table itself has it: the one among all whose number, kind and type fit.
const decode::CallRow* ExpectedRow(decode::DescriptorKind kind, decode::ContainerType type,
                                   uint32_t request) {
  const decode::CallRow* found = nullptr;
  for (const decode::CallRow& row : decode::AllCalls()) {
    if (row.request != request || !IsValidFor(row, kind) || !IsValidFor(row, type)) continue;
    FUZZ_REQUIRE(found == nullptr);
    found = &row;
  }
  return found;
}

// Pages, pieces of them, the ends of the address space: where reading is done in pieces.
uint64_t AddressOf(uint16_t place) {
  const uint64_t offset = place & 0xfff;
  switch (place >> 12) {
    case 0:
      return 0;
    case 1:
      return ~uint64_t{0xfff} + offset;
    default:
      return uint64_t{1} << 32 | offset;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const auto kind = static_cast<decode::DescriptorKind>(input.TakeBelow(decode::kDescriptorKinds));
  const auto type = decode::kContainerTypes[input.TakeBelow(std::size(decode::kContainerTypes))];
  const uint64_t address = AddressOf(input.Take<uint16_t>());
  const auto request = input.Take<uint64_t>();
  InputMemory memory(address, std::as_bytes(input.TakeRest()));

  const auto call = decode::Decode(kind, type, request, address, memory);
  const decode::CallRow* row = ExpectedRow(kind, type, static_cast<uint32_t>(request));
  FUZZ_REQUIRE(memory.furthest() == 0);
  if (!call.ok()) {
    FUZZ_REQUIRE(row == nullptr);
    const bool is_fresh =
        kind == decode::DescriptorKind::kContainer && type == decode::ContainerType::kNone;
    FUZZ_REQUIRE(call.error().code == (is_fresh ? EINVAL : ENOTTY));
    return 0;
  }
  FUZZ_REQUIRE(call->row == row && call->argument == address);
  CheckDocumentation(*row);
  if (row->form == decode::ArgumentForm::kString) {
    CheckString(*call, memory);
  } else {
    CheckCopyIn(*call, memory);
    CheckOwnMemory(*row, memory.bytes());
  }
  return 0;
}
