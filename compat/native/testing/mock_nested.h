// Page tables on those of mock devices: a few numbers, as a cache that can be looked at.
#ifndef COMPAT_NATIVE_TESTING_MOCK_NESTED_H_
#define COMPAT_NATIVE_TESTING_MOCK_NESTED_H_

#include <cstdint>

#include "compat/native/context.h"
#include "compat/native/testing/test_command.h"
#include "compat/native/user_data.h"
#include "ioas/base/result.h"

namespace compat::native::testing {

inline constexpr uint32_t kInvalidationType = 0xdeadbeef;

// As MockDevices has them. EOPNOTSUPP for other data than the tests', EINVAL for an entry that is
// not there.
ioas::Result<uint32_t> NewNested(Context& context, const UserData& data);
void DestroyNested(Context& context, uint32_t unit);
ioas::Status InvalidateNested(Context& context, uint32_t unit, const UserData& entry);

// Whether number `index` of page table `id` is `expected`: EINVAL if not, ENOENT if it is no page
// table on another.
ioas::Status CheckNumber(const Context& context, uint32_t id, uint32_t index, uint32_t expected);

// Has a mock device ask for a page, if it is attached to a page table that has somebody to ask.
// ENOENT if it is no device, EINVAL if it is one of the host's.
ioas::Status TriggerPageRequest(const Context& context, const TestCommand& command);

}  // namespace compat::native::testing

#endif  // COMPAT_NATIVE_TESTING_MOCK_NESTED_H_
