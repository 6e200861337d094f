// Data beside a call's own structure, whose form depends on the IOMMU (struct iommu_user_data).
#ifndef COMPAT_NATIVE_USER_DATA_H_
#define COMPAT_NATIVE_USER_DATA_H_

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <type_traits>

#include "compat/decode/decode.h"
#include "ioas/base/result.h"

namespace compat::native {

// Copied in once, before any lock is taken, for that may wait for the program's own threads; that
// it could not be is told to whoever needs it.
class UserData {
 public:
  UserData(decode::CallerMemory& memory, uint32_t type, uint64_t address, uint32_t length)
      : type_(type), length_(length) {
    const size_t known = std::min<size_t>(length, sizeof(bytes_));
    copied_ = memory.Read(address, std::span(bytes_).first(known));
  }

  uint32_t type() const { return type_; }
  uint32_t length() const { return length_; }

  // All of it as a T: EINVAL if it is shorter or longer than that, EFAULT if it could not be read
  // (iommu_copy_struct_from_user in include/linux/iommu.h).
  template <typename T>
  ioas::Result<T> As() const {
    static_assert(std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(bytes_));
    if (length_ != sizeof(T)) return ioas::Error{EINVAL, "the data has not the type's size"};
    if (!copied_.ok()) return copied_.error();
    T value{};
    std::memcpy(&value, bytes_, sizeof(value));
    return value;
  }

 private:
  uint32_t type_;
  uint32_t length_;
  std::byte bytes_[64] = {};
  ioas::Status copied_;
};

}  // namespace compat::native

#endif  // COMPAT_NATIVE_USER_DATA_H_
