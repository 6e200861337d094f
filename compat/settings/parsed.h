// Parsed<T>: a value, or one line that says what was wrong with the text it should have come from.
#ifndef COMPAT_SETTINGS_PARSED_H_
#define COMPAT_SETTINGS_PARSED_H_

#include <string>
#include <utility>

namespace compat::settings {

// Why a text was refused: names the bad value and what was expected instead. One line, no newline.
struct Refusal {
  std::string message;
};

// A value of type T, or a Refusal. T must be default constructible.
template <typename T>
class [[nodiscard]] Parsed {
 public:
  Parsed(T value) : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Parsed(Refusal refusal)                        // NOLINT(google-explicit-constructor)
      : ok_(false), refusal_(std::move(refusal)) {}

  bool ok() const { return ok_; }
  // Why not; empty when ok().
  const std::string& message() const { return refusal_.message; }
  // The value; meaningful only when ok().
  T& operator*() { return value_; }
  const T& operator*() const { return value_; }
  T* operator->() { return &value_; }
  const T* operator->() const { return &value_; }

 private:
  bool ok_ = true;
  T value_{};
  Refusal refusal_;
};

}  // namespace compat::settings

#endif  // COMPAT_SETTINGS_PARSED_H_
