// What every target needs: numbers out of an input's bytes, and what must hold.
#ifndef FUZZ_INPUT_H_
#define FUZZ_INPUT_H_

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <span>
#include <type_traits>

namespace fuzz {

// An input's bytes, taken from its front. One that has ended goes on with zeroes, so that every
// prefix of an input is an input: libFuzzer shortens them.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : bytes_(data, size) {}

  // Whether there is nothing left.
  bool empty() const { return bytes_.empty(); }

  // The next bytes as a T, in the machine's own order, as the dictionaries have numbers.
  template <typename T>
  T Take() {
    static_assert(std::is_trivially_copyable_v<T>);
    T value{};
    const std::span<const uint8_t> bytes = TakeBytes(sizeof(T));
    if (!bytes.empty()) std::memcpy(&value, bytes.data(), bytes.size());
    return value;
  }

  // A number below `end`, which is not 0, out of one byte, or of two from 257 on.
  uint32_t TakeBelow(uint32_t end) {
    return (end <= 256 ? Take<uint8_t>() : Take<uint16_t>()) % end;
  }

  // The next `size` bytes, or what there is of them.
  std::span<const uint8_t> TakeBytes(size_t size) {
    const auto taken = bytes_.first(std::min(size, bytes_.size()));
    bytes_ = bytes_.subspan(taken.size());
    return taken;
  }

  // Everything that is left.
  std::span<const uint8_t> TakeRest() { return TakeBytes(bytes_.size()); }

 private:
  std::span<const uint8_t> bytes_;
};

// Ends the process, and says what did not hold: libFuzzer keeps the input.
[[noreturn]] inline void Fail(const char* what, const char* file, int line) {
  std::fprintf(stderr, "%s:%d: this does not hold: %s\n", file, line, what);
  std::abort();
}

}  // namespace fuzz

// What is right whatever the input.
#define FUZZ_REQUIRE(condition) \
  ((condition) ? static_cast<void>(0) : ::fuzz::Fail(#condition, __FILE__, __LINE__))

#endif  // FUZZ_INPUT_H_
