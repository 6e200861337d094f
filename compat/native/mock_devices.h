// Devices that are nowhere: what the kernel's own tests ask for by IOMMU_TEST_CMD, as kernels with
// CONFIG_IOMMUFD_TEST have it. Only a library that is built for tests has them (testing/).
#ifndef COMPAT_NATIVE_MOCK_DEVICES_H_
#define COMPAT_NATIVE_MOCK_DEVICES_H_

#include <cstdint>

#include "compat/native/context.h"
#include "compat/native/user_data.h"
#include "compat/vfio/platform.h"
#include "ioas/backend.h"
#include "ioas/base/result.h"

namespace compat::native {

// _IO(';', 0xa0).
inline constexpr uint32_t kTestCommand = 0x3ba0;

struct MockDevices {
  // Comes before each call on a context: what was closed or unmapped is given up.
  void (*before_call)(const Caller& caller);
  // IOMMU_TEST_CMD.
  ioas::Status (*call)(const Caller& caller, const vfio::CallArguments& arguments);
  // Destroys the kMock object at `unit` of the arena.
  void (*destroy)(Context& context, uint32_t unit);
  // Page tables on one of theirs: makes one of `data` in the arena and returns its unit, fails as
  // NewNestedTable does; frees one; carries an entry of HWPT_INVALIDATE out, of that type.
  ioas::Result<uint32_t> (*new_nested)(Context& context, const UserData& data);
  void (*destroy_nested)(Context& context, uint32_t unit);
  ioas::Status (*invalidate)(Context& context, uint32_t unit, const UserData& entry);
  uint32_t invalidation_type;
  // What is behind the device of the kMock object `id`.
  ioas::IommuProperties (*properties_of)(const Context& context, uint32_t id);
  uint8_t (*pasid_bits_of)(const Context& context, uint32_t id);
};

// Null where there are none.
inline const MockDevices* mock_devices = nullptr;

}  // namespace compat::native

#endif  // COMPAT_NATIVE_MOCK_DEVICES_H_
