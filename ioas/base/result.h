// Result<T>: a value, or an errno with the reason for it.
//
// The core speaks errno, because errno is what its callers are promised. A reason is a string
// literal: it costs nothing to carry, needs no allocation, and `--log=debug` prints it.
#ifndef IOAS_BASE_RESULT_H_
#define IOAS_BASE_RESULT_H_

#include <cassert>
#include <cerrno>
#include <type_traits>
#include <utility>

namespace ioas {

// Why a call was refused.
struct Error {
  int code;            // a positive errno value
  const char* reason;  // a string literal, in a form that fits behind "refused: "
};

namespace internal {

// Whether a T is no more than a register holds.
template <typename T>
inline constexpr bool kIsWord = std::is_trivially_copyable_v<T> && sizeof(T) <= sizeof(const char*);

}  // namespace internal

// A value of type T, or an Error. T must be default constructible (all of them are plain values).
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Error error) : error_(error) {}         // NOLINT(google-explicit-constructor)

  bool ok() const { return error_.code == 0; }
  // The error; code is 0 when ok().
  const Error& error() const { return error_; }
  // The value; meaningful only when ok().
  T& operator*() { return value_; }
  const T& operator*() const { return value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }

 private:
  T value_{};
  Error error_{0, nullptr};
};

// The same where that takes two registers, in which functions return it. Its value cannot be
// changed.
template <typename T>
requires internal::kIsWord<T>
class [[nodiscard]] Result<T> {
 public:
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(T value) : content_{.value = value}, code_(0) {}
  // NOLINTNEXTLINE(google-explicit-constructor)
  Result(Error error) : content_{.reason = error.reason}, code_(error.code) {}

  bool ok() const { return code_ == 0; }
  Error error() const { return {static_cast<int>(code_), ok() ? nullptr : content_.reason}; }
  // As above; a T{} unless ok().
  T operator*() const { return ok() ? content_.value : T{}; }
  const T* operator->() const {
    assert(ok());
    return &content_.value;
  }

 private:
  union Content {
    T value;
    const char* reason;
  };

  Content content_;
  long code_;  // as wide as a register, so that no part of one is to be kept
};

// Success, or an Error.
template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(error) {}  // NOLINT(google-explicit-constructor)

  bool ok() const { return error_.code == 0; }
  const Error& error() const { return error_; }

 private:
  Error error_{0, nullptr};
};

using Status = Result<void>;

}  // namespace ioas

// Returns the error of `expression` (a Status or a Result) from the enclosing function, if it has
// one.
#define IOAS_RETURN_IF_ERROR(expression)                                     \
  do {                                                                       \
    if (auto ioas_status_ = (expression); !ioas_status_.ok()) [[unlikely]] { \
      return ioas_status_.error();                                           \
    }                                                                        \
  } while (false)

#endif  // IOAS_BASE_RESULT_H_
