// The host of tests that run under the library themselves, and how they get there.
#ifndef TESTS_SUPPORT_SHIMMED_H_
#define TESTS_SUPPORT_SHIMMED_H_

#include <cstdint>
#include <functional>

namespace tests {

struct ShimmedDevice {
  const char* address;
  uint32_t group;
};

inline constexpr uint32_t kGroup = 7;
inline constexpr char kDevice[] = "0000:00:03.0";
inline constexpr uint32_t kOtherGroup = 8;
inline constexpr char kOtherDevice[] = "0000:00:04.0";
inline constexpr uint32_t kSharedGroup = 9;  // of two devices
inline constexpr char kSharedDevices[2][sizeof(kDevice)] = {"0000:00:05.0", "0000:00:06.0"};

inline constexpr ShimmedDevice kShimmedDevices[] = {
    {kDevice, kGroup},
    {kOtherDevice, kOtherGroup},
    {kSharedDevices[0], kSharedGroup},
    {kSharedDevices[1], kSharedGroup},
};

inline constexpr int64_t kShimmedImageSize = 1 << 20;

// For a main(): starts this program again, with the arguments `argv`, under the library and with
// the devices above. There returns what `body` returns.
int RunShimmed(char** argv, const std::function<int()>& body);

}  // namespace tests

#endif  // TESTS_SUPPORT_SHIMMED_H_
