// From a descriptor, a request and an argument to a call with its structure copied in.
//
// Decoding is two steps, because the kernel's handlers differ in what they check before they look
// at the caller's memory: finding the row (Decode), and copying the structure in (CopyIn), which a
// handler calls where the kernel's does. A SPAPR container refuses a foreign process with EPERM
// before EFAULT, type 1 version 1 refuses DIRTY_PAGES with EACCES before EFAULT; everything else
// copies first. Caller memory is copied in once, checked, and never read again.
#ifndef COMPAT_DECODE_DECODE_H_
#define COMPAT_DECODE_DECODE_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <type_traits>

#include "compat/decode/call.h"
#include "compat/decode/caller_memory.h"
#include "ioas/base/result.h"

namespace compat::decode {

// Copies the fixed structure of `row` from `address` into `out` and sets the rest of `out` to zero.
//  - kArgszStruct: copies the minimal size, however large argsz is. EFAULT if it is not readable,
//    else EINVAL if argsz is below the minimal size, else EINVAL for flags the row does not permit:
//    the order of the handlers in drivers/vfio/.
//  - kSizeStruct: reads the size first. EFAULT if it is not readable, EINVAL if it is below the
//    minimal size; then copies what fits, with E2BIG if the caller's structure goes on with
//    anything but zeroes, and EFAULT: the order of iommufd_fops_ioctl in drivers/iommu/iommufd/.
//  - kInt: copies the integer. EFAULT.
// Rows of other forms copy nothing. Never copies more than out.size() bytes.
ioas::Status CopyInStruct(const CallRow& row, CallerMemory& memory, uint64_t address,
                          std::span<std::byte> out);

// What CopyInStruct checks of a kArgszStruct when it is copied in.
inline ioas::Status CheckArgszStruct(const CallRow& row, uint32_t argsz, uint32_t flags) {
  if (argsz < row.minimal_size) [[unlikely]] {
    return ioas::Error{EINVAL, "argsz is smaller than the call's structure"};
  }
  if ((flags & ~row.flags) != 0) [[unlikely]] {
    return ioas::Error{EINVAL, "flags that the call does not have"};
  }
  return {};
}

// Copies a string and its NUL into `buffer` and returns it without the NUL. EFAULT if it is not
// readable up to its NUL, EINVAL if that does not fit (strndup_user in mm/util.c). The kernel's
// limit for GET_DEVICE_FD is a page.
ioas::Result<std::string_view> CopyInString(CallerMemory& memory, uint64_t address,
                                            std::span<char> buffer);

// Copies a T from `address`: what follows a fixed structure. EFAULT.
template <typename T>
ioas::Result<T> Read(CallerMemory& memory, uint64_t address) {
  static_assert(std::is_trivially_copyable_v<T>);
  T value{};
  IOAS_RETURN_IF_ERROR(memory.Read(address, std::as_writable_bytes(std::span(&value, 1))));
  return value;
}

// Copies the first `size` bytes of `value`, at most all of it, to `address`. EFAULT.
template <typename T>
ioas::Status Write(CallerMemory& memory, uint64_t address, const T& value,
                   size_t size = sizeof(T)) {
  static_assert(std::is_trivially_copyable_v<T>);
  const auto bytes = std::as_bytes(std::span(&value, 1));
  return memory.Write(address, bytes.first(size < sizeof(T) ? size : sizeof(T)));
}

// A call that a descriptor understands. Plain and cheap to copy; lives as long as `memory`.
struct DecodedCall {
  const CallRow* row = nullptr;
  uint64_t argument = 0;           // the value, or the address
  CallerMemory* memory = nullptr;  // the caller's

  // The call's fixed structure, copied in and checked as CopyInStruct describes. T is the row's
  // structure of compat/abi, or int32_t or uint32_t for kInt. Its argsz is the caller's.
  template <typename T>
  ioas::Result<T> CopyIn() const {
    T value{};
    IOAS_RETURN_IF_ERROR(CopyIn(value));
    return value;
  }
  // The same for calls that are made most. If it fails, what is in `out` is undefined.
  template <typename T>
  ioas::Status CopyIn(T& out) const {
    static_assert(std::is_trivially_copyable_v<T>);
    const auto bytes = std::as_writable_bytes(std::span(&out, 1));
    if constexpr (requires { out.argsz, out.flags; }) {
      // Without looking at sizes that are known here.
      if (row->form == ArgumentForm::kArgszStruct && row->minimal_size == sizeof(T)) [[likely]] {
        IOAS_RETURN_IF_ERROR(memory->Read(argument, bytes));
        return CheckArgszStruct(*row, out.argsz, out.flags);
      }
    }
    return CopyInStruct(*row, *memory, argument, bytes);
  }

  // What lies `offset` bytes behind the start of the structure, as a T. EFAULT.
  template <typename T>
  ioas::Result<T> CopyInBehind(size_t offset) const {
    return Read<T>(*memory, argument + offset);
  }

  // Copies the first `size` bytes of `value` back to the argument. EFAULT.
  template <typename T>
  ioas::Status CopyOut(const T& value, size_t size = sizeof(T)) const {
    return Write(*memory, argument, value, size);
  }
};

// What a call is refused with that Lookup finds no row for.
inline ioas::Error MissingCall(DescriptorKind kind, ContainerType type) {
  return {MissingCallErrno(kind, type), "the descriptor has no such call"};
}

// The call that `request` is on a descriptor of `kind` (and, for a container, of `type`; see
// Lookup). Reads no memory. `request` is truncated to 32 bits, as the kernel does.
// EINVAL or ENOTTY (MissingCallErrno) if there is no such call.
inline ioas::Result<DecodedCall> Decode(DescriptorKind kind, ContainerType type, uint64_t request,
                                        uint64_t argument, CallerMemory& memory) {
  const CallRow* row = Lookup(kind, type, static_cast<uint32_t>(request));
  if (row == nullptr) return MissingCall(kind, type);
  return DecodedCall{row, argument, &memory};
}

}  // namespace compat::decode

#endif  // COMPAT_DECODE_DECODE_H_
