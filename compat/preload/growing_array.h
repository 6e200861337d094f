// A list that says when there is no memory for it: libstdc++'s throw, which ends a program that
// knows nothing of them.
#ifndef COMPAT_PRELOAD_GROWING_ARRAY_H_
#define COMPAT_PRELOAD_GROWING_ARRAY_H_

#include <cstddef>
#include <cstdlib>
#include <type_traits>
#include <utility>

namespace compat::preload {

// Of values that can be copied as bytes. Usable before constructors have run; static ones are never
// freed.
template <typename T>
class GrowingArray {
 public:
  static_assert(std::is_trivially_copyable_v<T>);

  constexpr GrowingArray() = default;
  GrowingArray(const GrowingArray&) = delete;
  GrowingArray& operator=(const GrowingArray&) = delete;

  // Sees to room for `count` values in all. False, and nothing has changed, if there is none.
  [[nodiscard]] bool Reserve(size_t count) {
    if (count <= capacity_) return true;
    const size_t wanted = count + count / 2;
    auto* const grown = static_cast<T*>(std::realloc(values_, wanted * sizeof(T)));
    if (grown == nullptr) return false;
    values_ = grown;
    capacity_ = wanted;
    return true;
  }
  // Appends a value, if there is room for it. Returns whether there is.
  bool Add(const T& value) {
    if (size_ == capacity_) return false;
    values_[size_++] = value;
    return true;
  }
  // Takes a value away; the last one takes its place.
  void Remove(size_t index) { values_[index] = values_[--size_]; }
  void Swap(GrowingArray& other) {
    std::swap(values_, other.values_);
    std::swap(size_, other.size_);
    std::swap(capacity_, other.capacity_);
  }
  // Gives all memory back.
  void Free() {
    std::free(values_);
    values_ = nullptr;
    size_ = capacity_ = 0;
  }

  size_t size() const { return size_; }
  T& operator[](size_t index) { return values_[index]; }
  T* begin() { return values_; }
  T* end() { return values_ + size_; }

 private:
  T* values_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_GROWING_ARRAY_H_
