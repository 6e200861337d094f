// The function that an interposed one stands in front of.
#ifndef COMPAT_PRELOAD_NEXT_H_
#define COMPAT_PRELOAD_NEXT_H_

#include <algorithm>
#include <atomic>
#include <cstddef>

namespace compat::preload {

// Finds the next definition of `name` behind this library, as dlsym(RTLD_NEXT) does. Returns null
// if there is none (a function that this libc does not have).
void* ResolveNext(const char* name);

// A function's name as a template argument.
template <size_t kSize>
struct FunctionName {
  char text[kSize];
  constexpr FunctionName(const char (&name)[kSize]) {  // NOLINT(google-explicit-constructor)
    std::copy_n(name, kSize, text);
  }
};

namespace internal {

template <FunctionName kName>
inline std::atomic<void*> next_function{nullptr};

}  // namespace internal

// What Next has found; null before.
template <FunctionName kName, typename Function>
Function* KnownNext() {
  return reinterpret_cast<Function*>(
      internal::next_function<kName>.load(std::memory_order_relaxed));
}

// The next definition of a function: Next<"close", int(int)>(). Looked up at the first call, so it
// works before this library's constructors ran.
template <FunctionName kName, typename Function>
Function* Next() {
  Function* function = KnownNext<kName, Function>();
  if (__builtin_expect(function == nullptr, 0)) {
    function = reinterpret_cast<Function*>(ResolveNext(kName.text));
    internal::next_function<kName>.store(reinterpret_cast<void*>(function),
                                         std::memory_order_relaxed);
  }
  return function;
}

}  // namespace compat::preload

// Marks a function that stands in front of libc's of the same name.
#define COMPAT_INTERPOSE extern "C" __attribute__((visibility("default")))

#endif  // COMPAT_PRELOAD_NEXT_H_
