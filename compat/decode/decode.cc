#include "compat/decode/decode.h"

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace compat::decode {
namespace {

using ioas::Error;
using ioas::Status;

// Memory of unknown extent is read in aligned pieces: one never crosses into another page, so a
// piece that cannot be read is one that the kernel could not have read either.
constexpr size_t kPiece = 512;

size_t BytesToPieceEnd(uint64_t address) { return kPiece - address % kPiece; }

uint32_t WordAt(std::span<const std::byte> bytes, size_t offset) {
  uint32_t word = 0;
  if (offset + sizeof(word) <= bytes.size()) {
    std::memcpy(&word, bytes.data() + offset, sizeof(word));
  }
  return word;
}

Status CopyInArgszStruct(const CallRow& row, CallerMemory& memory, uint64_t address,
                         std::span<std::byte> out) {
  const auto fixed = out.first(std::min<size_t>(row.minimal_size, out.size()));
  IOAS_RETURN_IF_ERROR(memory.Read(address, fixed));
  std::fill(out.begin() + fixed.size(), out.end(), std::byte{0});
  return CheckArgszStruct(row, WordAt(fixed, 0), WordAt(fixed, sizeof(uint32_t)));
}

// Whether `size` bytes from `address` are zero, as check_zeroed_user of lib/usercopy.c finds out.
Status CheckZeroed(CallerMemory& memory, uint64_t address, uint64_t size) {
  std::byte piece[kPiece];
  while (size != 0) {
    const size_t length = std::min<uint64_t>(size, BytesToPieceEnd(address));
    IOAS_RETURN_IF_ERROR(memory.Read(address, {piece, length}));
    if (std::any_of(piece, piece + length, [](std::byte b) { return b != std::byte{0}; })) {
      return Error{E2BIG, "the structure's unknown part is not zero"};
    }
    address += length;
    size -= length;
  }
  return {};
}

Status CopyInSizeStruct(const CallRow& row, CallerMemory& memory, uint64_t address,
                        std::span<std::byte> out) {
  const auto size_field = out.first(std::min(sizeof(uint32_t), out.size()));
  IOAS_RETURN_IF_ERROR(memory.Read(address, size_field));
  const uint32_t size = WordAt(size_field, 0);
  if (size < row.minimal_size) {
    return Error{EINVAL, "size is smaller than the call's structure"};
  }
  if (size > row.full_size) {
    IOAS_RETURN_IF_ERROR(CheckZeroed(memory, address + row.full_size, size - row.full_size));
  }
  const size_t known = std::min({size_t{size}, size_t{row.full_size}, out.size()});
  return memory.Read(address + size_field.size(), out.first(known).subspan(size_field.size()));
}

}  // namespace

Status CopyInStruct(const CallRow& row, CallerMemory& memory, uint64_t address,
                    std::span<std::byte> out) {
  if (row.form == ArgumentForm::kArgszStruct) return CopyInArgszStruct(row, memory, address, out);
  std::fill(out.begin(), out.end(), std::byte{0});
  switch (row.form) {
    case ArgumentForm::kSizeStruct:
      return CopyInSizeStruct(row, memory, address, out);
    case ArgumentForm::kInt:
      return memory.Read(address, out.first(std::min<size_t>(row.minimal_size, out.size())));
    case ArgumentForm::kArgszStruct:
    case ArgumentForm::kNone:
    case ArgumentForm::kValue:
    case ArgumentForm::kString:
      break;
  }
  return {};
}

ioas::Result<std::string_view> CopyInString(CallerMemory& memory, uint64_t address,
                                            std::span<char> buffer) {
  size_t copied = 0;
  while (copied < buffer.size()) {
    const auto piece =
        buffer.subspan(copied, std::min(buffer.size() - copied, BytesToPieceEnd(address + copied)));
    IOAS_RETURN_IF_ERROR(memory.Read(address + copied, std::as_writable_bytes(piece)));
    const auto nul = std::find(piece.begin(), piece.end(), '\0');
    if (nul != piece.end()) {
      return std::string_view(buffer.data(), copied + (nul - piece.begin()));
    }
    copied += piece.size();
  }
  return Error{EINVAL, "the string is longer than the call allows"};
}

}  // namespace compat::decode
