// Any descriptor, any container type, any number, any bytes: decoding reads no more than the call's
// structure, and what it refuses it refuses with an errno that the kernel has for it.
#include "compat/decode/decode.h"

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace {

using compat::decode::ContainerType;
using compat::decode::DescriptorKind;

constexpr uint64_t kAddress = 0x1000;

// The input's bytes at kAddress, and nothing around them.
class InputMemory final : public compat::decode::CallerMemory {
 public:
  explicit InputMemory(std::span<const std::byte> bytes) : bytes_(bytes) {}

  ioas::Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) override {
    const uint64_t offset = address - kAddress;
    if (offset > bytes_.size() || bytes.size() > bytes_.size() - offset) {
      return ioas::Error{EFAULT, "beyond the input"};
    }
    furthest_ = std::max(furthest_, offset + bytes.size());
    std::copy_n(bytes_.data() + offset, bytes.size(), bytes.begin());
    return {};
  }
  ioas::Status WriteCarefully(uint64_t /*address*/, std::span<const std::byte> /*bytes*/) override {
    std::abort();  // decoding writes nothing
  }
  uint64_t furthest() const { return furthest_; }

 private:
  std::span<const std::byte> bytes_;
  uint64_t furthest_ = 0;
};

void Require(bool fulfilled) {
  if (!fulfilled) std::abort();
}

void CheckCopyIn(const compat::decode::DecodedCall& call, InputMemory& memory) {
  std::byte structure[256];
  const std::span<std::byte> out(structure, std::min<size_t>(call.row->full_size, 256));
  const ioas::Status copied = compat::decode::CopyInStruct(*call.row, memory, call.argument, out);
  const int code = copied.error().code;
  Require(code == 0 || code == EFAULT || code == EINVAL || code == E2BIG);
  if (call.row->form == compat::decode::ArgumentForm::kArgszStruct) {
    Require(memory.furthest() <= call.row->minimal_size);
    uint32_t argsz = 0;
    if (code == 0 && out.size() >= sizeof(argsz)) std::memcpy(&argsz, structure, sizeof(argsz));
    Require(code != 0 || argsz >= call.row->minimal_size);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4) return 0;
  const auto kind = static_cast<DescriptorKind>(data[0] % compat::decode::kDescriptorKinds);
  const ContainerType type =
      compat::decode::kContainerTypes[data[1] % std::size(compat::decode::kContainerTypes)];
  // Mostly VFIO's own numbers: the letter is always theirs.
  const uint64_t request = uint64_t{';'} << 8 | data[2] | uint64_t{data[3]} << 32;
  InputMemory memory(std::as_bytes(std::span(data + 4, size - 4)));
  const auto call = compat::decode::Decode(kind, type, request, kAddress, memory);
  if (call.ok()) {
    CheckCopyIn(*call, memory);
  } else {
    Require(call.error().code == compat::decode::MissingCallErrno(kind, type));
    Require(memory.furthest() == 0);
  }
  return 0;
}
