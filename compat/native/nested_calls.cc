// HWPT_INVALIDATE. Behaviour: iommufd_hwpt_invalidate in drivers/iommu/iommufd/hw_pagetable.c, and
// intel_nested_cache_invalidate_user in drivers/iommu/intel/nested.c.
#include <algorithm>
#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/native/calls.h"
#include "compat/native/mock_devices.h"
#include "compat/native/user_data.h"
#include "ioas/user_table.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::AddressSpace;
using ioas::Error;
using ioas::Result;
using ioas::Status;

namespace {

constexpr uint32_t kVtdPageShift = 12;

constexpr Error kUnknownFlags = {EOPNOTSUPP, "a flag is not known, or a reserved field not 0"};

// `npages` pages from `first` on, as far as there are addresses; UINT64_MAX is all. EINVAL if
// `first` is no page's, or all begins elsewhere than at 0.
Result<ioas::IovaRange> PagesFrom(uint64_t first, uint64_t npages, uint32_t page_shift) {
  const uint64_t page = uint64_t{1} << page_shift;
  if ((first & (page - 1)) != 0 || (npages == UINT64_MAX && first != 0)) {
    return Error{EINVAL, "the range does not begin with a page"};
  }
  const uint64_t pages_left = (UINT64_MAX >> page_shift) - (first >> page_shift);
  if (npages > pages_left) return ioas::IovaRange{first, UINT64_MAX};
  // The IOMMU has no invalidation of less than a page.
  return ioas::IovaRange{first, first + (std::max<uint64_t>(npages, 1) << page_shift) - 1};
}

Result<ioas::IovaRange> FirstStageRange(const UserData& entry) {
  const auto invalidate = entry.As<iommufd::HwptVtdS1Invalidate>();
  if (!invalidate.ok()) return invalidate.error();
  if ((invalidate->flags & ~iommufd::kVtdInvFlagsLeaf) != 0 || invalidate->reserved != 0) {
    return kUnknownFlags;
  }
  return PagesFrom(invalidate->addr, invalidate->npages, kVtdPageShift);
}

Result<ioas::IovaRange> TceRange(const UserData& entry, const ioas::UserTableState& table) {
  const auto invalidate = entry.As<iommufd::HwptSoftTceInvalidate>();
  if (!invalidate.ok()) return invalidate.error();
  if (invalidate->flags != 0 || invalidate->reserved != 0) return kUnknownFlags;
  return PagesFrom(invalidate->addr, invalidate->npages, table.page_shift);
}

// The type that entries for `nested` have.
uint32_t TypeFor(const Context& context, const NestedState& nested) {
  if (nested.mock != 0) return mock_devices->invalidation_type;
  const ioas::Arena arena = context.host().arena();
  const auto format = arena.Get(arena.Get(nested.domain)->user_table)->format;
  return format == ioas::UserTableFormat::kTce ? iommufd::kHwptInvalidateDataSoftTce
                                               : iommufd::kHwptInvalidateDataVtdS1;
}

Status Invalidate(Context& context, const NestedState& nested, const UserData& entry) {
  if (nested.mock != 0) return mock_devices->invalidate(context, nested.mock, entry);
  const ioas::Arena arena = context.host().arena();
  ioas::UserTableState& table = *arena.Get(arena.Get(nested.domain)->user_table);
  const Result<ioas::IovaRange> range =
      table.format == ioas::UserTableFormat::kTce ? TceRange(entry, table) : FirstStageRange(entry);
  if (!range.ok()) return range.error();
  AddressSpace space = context.SpaceOfHwpt(*context.FindHwpt(nested.parent));
  const AddressSpace::Lock lock(space);
  ioas::UserTable(&table, nullptr).Invalidate(*range);
  return {};
}

// Carries one entry after the other out. `done`: how many.
Status InvalidateAll(const Caller& caller, const decode::DecodedCall& call,
                     const iommufd::HwptInvalidate& command, uint32_t& done) {
  do {
    const uint64_t address = command.data_uptr + uint64_t{done} * command.entry_len;
    const UserData entry(*call.memory, command.data_type, address,
                         done < command.entry_num ? command.entry_len : 0);
    Context context(caller);
    const NestedState* const nested = context.FindNested(command.hwpt_id);
    if (context.FindViommu(command.hwpt_id) != nullptr) {
      return Error{EOPNOTSUPP, "the vIOMMU caches nothing"};
    }
    if (nested == nullptr) return kNoObject;
    if (command.data_type != TypeFor(context, *nested)) {
      return Error{EINVAL, "the page table has no entries of that type"};
    }
    if (command.entry_num == 0) return {};
    IOAS_RETURN_IF_ERROR(Invalidate(context, *nested, entry));
  } while (++done < command.entry_num);
  return {};
}

Status CheckEntries(const iommufd::HwptInvalidate& command) {
  constexpr uint32_t kMaxEntries = 1u << 19;
  constexpr uint32_t kMaxEntrySize = 4096;
  if (command.reserved != 0) return Error{EOPNOTSUPP, "a reserved field is not 0"};
  const bool is_wrong = command.data_uptr == 0 || command.entry_len == 0 ||
                        command.entry_len > kMaxEntrySize || command.entry_num > kMaxEntries;
  if (command.entry_num == 0 || !is_wrong) return {};
  return Error{EINVAL, "no entries, or too many or too large ones"};
}

}  // namespace

// How many were done is told whatever comes of it.
Status HwptInvalidate(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::HwptInvalidate>();
  if (!command.ok()) return command.error();
  uint32_t done = 0;
  Status status = CheckEntries(*command);
  if (status.ok()) status = InvalidateAll(caller, call, *command, done);
  command->entry_num = done;
  IOAS_RETURN_IF_ERROR(Respond(call, *command));
  return status;
}

}  // namespace compat::native
