// Devices that are nowhere: what the kernel's own tests ask for by IOMMU_TEST_CMD, as kernels with
// CONFIG_IOMMUFD_TEST have it. Only a library that is built for tests has them (testing/).
#ifndef COMPAT_NATIVE_MOCK_DEVICES_H_
#define COMPAT_NATIVE_MOCK_DEVICES_H_

#include <cstdint>

#include "compat/native/context.h"
#include "compat/vfio/platform.h"
#include "ioas/backend.h"
#include "ioas/base/result.h"

namespace compat::native {

// _IO(';', 0xa0).
inline constexpr uint32_t kTestCommand = 0x3ba0;

struct MockDevices {
  // IOMMU_TEST_CMD.
  ioas::Status (*call)(const Caller& caller, const vfio::CallArguments& arguments);
  // Destroys the kMock object at `unit` of the arena.
  void (*destroy)(Context& context, uint32_t unit);
  // What is behind all of them.
  ioas::IommuProperties properties;
};

// Null where there are none.
inline const MockDevices* mock_devices = nullptr;

}  // namespace compat::native

#endif  // COMPAT_NATIVE_MOCK_DEVICES_H_
