// Behaviour: mock_domain_alloc_user, mock_domain_cache_invalidate_user and
// iommufd_test_md_check_iotlb in drivers/iommu/iommufd/selftest.c.
#include "compat/native/testing/mock_nested.h"

#include <cerrno>

#include "compat/native/attachment.h"
#include "ioas/soft/page_requests.h"

namespace compat::native::testing {
namespace {

using ioas::ArenaRef;
using ioas::Error;
using ioas::Result;
using ioas::Status;

constexpr uint32_t kDataType = 0xdead;
constexpr uint32_t kNumbers = 4;
constexpr uint32_t kInvalidateAll = 1;

struct MockNestedState {
  uint32_t numbers[kNumbers];
};

struct Invalidation {
  uint32_t flags;
  uint32_t index;
};

}  // namespace

Result<uint32_t> NewNested(Context& context, const UserData& data) {
  if (data.type() != kDataType) return Error{EOPNOTSUPP, "not the tests' type of data"};
  const Result<uint32_t> number = data.As<uint32_t>();
  if (!number.ok()) return number;
  ioas::Arena arena = context.host().arena();
  const auto made = arena.New<MockNestedState>();
  if (!made.ok()) return made.error();
  for (uint32_t& each : arena.Get(*made)->numbers) each = *number;
  return made->unit;
}

void DestroyNested(Context& context, uint32_t unit) {
  ioas::Arena arena = context.host().arena();
  arena.Delete(ArenaRef<MockNestedState>{unit});
}

Status InvalidateNested(Context& context, uint32_t unit, const UserData& entry) {
  const auto invalidation = entry.As<Invalidation>();
  if (!invalidation.ok()) return invalidation.error();
  if ((invalidation->flags & ~kInvalidateAll) != 0) return Error{EOPNOTSUPP, "an unknown flag"};
  if (invalidation->index >= kNumbers) return Error{EINVAL, "no such number"};
  MockNestedState& nested = *context.host().arena().Get(ArenaRef<MockNestedState>{unit});
  const bool is_all = invalidation->flags != 0;
  for (uint32_t i = 0; i < kNumbers; ++i) {
    if (is_all || i == invalidation->index) nested.numbers[i] = 0;
  }
  return {};
}

Status CheckNumber(const Context& context, uint32_t id, uint32_t index, uint32_t expected) {
  const NestedState* const nested = context.FindNested(id);
  if (nested == nullptr) return kNoObject;
  if (nested->mock == 0 || index >= kNumbers) return Error{EINVAL, "no such number"};
  const auto* state = context.host().arena().Get(ArenaRef<MockNestedState>{nested->mock});
  if (state->numbers[index] != expected) return Error{EINVAL, "another number"};
  return {};
}

// A PASID that no page table is attached for is looked up in that of the device.
Status TriggerPageRequest(const Context& context, const TestCommand& command) {
  const auto& [dev_id, pasid, grpid, perm, addr] = command.trigger_iopf;
  DeviceObject* const device = context.FindDevice(dev_id);
  if (device == nullptr) return kNoObject;
  if (device->device < kFirstMockDevice) return Error{EINVAL, "a device of the host's"};
  const uint32_t own_table = TableOf(context, *device, pasid);
  const uint32_t table = own_table != 0 ? own_table : device->hwpt;
  const FaultState* const fault = context.FindFault(FaultOf(context, table));
  if (fault == nullptr) return {};
  ioas::soft::PageRequests(context.host().arena().Get(fault->requests))
      .Raise({.device = dev_id,
              .has_pasid = pasid != 0 ? 1u : 0u,
              .pasid = pasid,
              .group = grpid,
              .access = perm,
              .address = addr,
              .attachment = own_table != 0 ? pasid : 0});
  return {};
}

}  // namespace compat::native::testing
