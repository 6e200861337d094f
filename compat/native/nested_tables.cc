#include "compat/native/nested_tables.h"

#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/native/mock_devices.h"
#include "compat/native/soft_iommu.h"
#include "ioas/domain.h"
#include "ioas/user_table.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::DomainState;
using ioas::Error;
using ioas::Result;
using ioas::Status;
using ioas::UserTableFormat;
using ioas::UserTableState;

namespace {

constexpr uint32_t kFourLevelWidth = 48;
constexpr uint32_t kFiveLevelWidth = 57;

// What a table is, beside its cache.
struct TableShape {
  UserTableFormat format;
  uint32_t levels;
  uint32_t page_shift;
  uint64_t table;
  ioas::IovaRange window;
  bool is_unusable;  // no device can be attached
};

// The kernel takes any configuration, and refuses to attach devices where the IOMMU lacks something
// (intel_pasid_setup_nested in drivers/iommu/intel/pasid.c).
Result<TableShape> FirstStage(const UserData& data) {
  const auto stage = data.As<iommufd::HwptVtdS1>();
  if (!stage.ok()) return stage.error();
  constexpr iommufd::HwInfoVtd kIommu = SoftIommuInfo();
  const bool is_four_levels = stage->addr_width == kFourLevelWidth;
  const bool is_five_levels =
      stage->addr_width == kFiveLevelWidth && (kIommu.cap_reg & kCapFiveLevels) != 0;
  // No device is a supervisor, and no accessed bits are set: the IOMMU has neither SRS nor EAFS.
  // Whether supervisors' writes are checked (WPE) is all the same then.
  constexpr uint64_t kLacking = iommufd::kVtdS1Sre | iommufd::kVtdS1Eafe;
  const bool is_usable = (is_four_levels || is_five_levels) && (stage->flags & kLacking) == 0;
  return TableShape{UserTableFormat::kVtdFirstStage,
                    is_five_levels ? 5u : 4u,
                    0,
                    stage->pgtbl_addr,
                    {},
                    !is_usable};
}

Result<TableShape> Tces(const UserData& data) {
  constexpr uint64_t kTableAlignment = 4096;
  constexpr uint64_t kMostEntries = uint64_t{1} << 32;
  const auto tces = data.As<iommufd::HwptSoftTce>();
  if (!tces.ok()) return tces.error();
  if (tces->flags != 0 || tces->reserved != 0 || tces->levels != 1) {
    return Error{EOPNOTSUPP, "a flag or a number of levels that is not known"};
  }
  if (tces->page_shift < 12 || tces->page_shift > 34 || tces->entries == 0 ||
      tces->entries > kMostEntries) {
    return Error{EINVAL, "the window's pages are too small or too large, too few or too many"};
  }
  // A window may be as large as 2 to the 66 here: counted in pages.
  const uint64_t page = uint64_t{1} << tces->page_shift;
  const uint64_t last_page = (UINT64_MAX >> tces->page_shift);
  const uint64_t first_page = tces->window_start >> tces->page_shift;
  const uint64_t last_byte = tces->entries * sizeof(uint64_t) - 1;
  if ((tces->window_start & (page - 1)) != 0 || (tces->table & (kTableAlignment - 1)) != 0 ||
      tces->entries - 1 > last_page - first_page || tces->table + last_byte < tces->table) {
    return Error{EINVAL, "the window or the table is not aligned, or wraps around"};
  }
  const uint64_t last = ((first_page + (tces->entries - 1)) << tces->page_shift) | (page - 1);
  return TableShape{UserTableFormat::kTce,      1,    tces->page_shift, tces->table,
                    {tces->window_start, last}, false};
}

Result<TableShape> ShapeOf(const UserData& data) {
  switch (data.type()) {
    case iommufd::kHwptDataVtdS1:
      return FirstStage(data);
    case iommufd::kHwptDataSoftTce:
      return Tces(data);
    default:
      return Error{EOPNOTSUPP, "the IOMMU has no page tables of that type"};
  }
}

// What lies in the arena for a table of the software IOMMU's.
Status MakeTable(Context& context, const HwptState& parent, const TableShape& shape,
                 NestedState& nested) {
  ioas::Arena arena = context.host().arena();
  const auto domain = arena.New<DomainState>();
  if (!domain.ok()) return domain.error();
  const auto table = arena.New<UserTableState>();
  if (!table.ok()) {
    arena.Delete(*domain);
    return table.error();
  }
  UserTableState& state = *arena.Get(*table);
  state.format = shape.format;
  state.levels = shape.levels;
  state.page_shift = shape.page_shift;
  state.table = shape.table;
  state.window = shape.window;
  DomainState& own = *arena.Get(*domain);
  own.space = arena.Get(parent.domain)->space;
  own.parent = parent.domain;
  own.user_table = *table;
  nested.domain = *domain;
  nested.is_unusable = shape.is_unusable ? 1 : 0;
  return {};
}

Status Make(Context& context, const HwptState& parent, const UserData& data, NestedState& nested) {
  if (parent.made_for >= kFirstMockDevice) {
    const Result<uint32_t> mock = mock_devices->new_nested(context, data);
    if (!mock.ok()) return mock.error();
    nested.mock = *mock;
    return {};
  }
  const Result<TableShape> shape = ShapeOf(data);
  if (!shape.ok()) return shape.error();
  return MakeTable(context, parent, *shape, nested);
}

}  // namespace

Result<uint32_t> NewNestedTable(Context& context, uint32_t parent, const DeviceObject& device,
                                const UserData& data) {
  const ViommuState* const viommu = context.FindViommu(parent);
  const uint32_t table = viommu != nullptr ? viommu->parent : parent;
  const HwptState& paging = *context.FindHwpt(table);
  const bool is_mock = device.device >= kFirstMockDevice;
  if (paging.is_auto != 0 || paging.is_nest_parent == 0 ||
      (paging.made_for >= kFirstMockDevice) != is_mock) {
    return Error{EINVAL, "the page table was not made to be a parent of this one"};
  }
  const Result<uint32_t> id = context.New<NestedState>(ObjectKind::kHwptNested);
  if (!id.ok()) return id;
  NestedState& nested = *context.FindNested(*id);
  nested.parent = table;
  if (viommu != nullptr) nested.viommu = parent;
  context.AddUser(parent);
  const Status made = Make(context, paging, data, nested);
  if (made.ok() && viommu != nullptr) {
    context.host().arena().Get(nested.domain)->events = viommu->events;
  }
  if (made.ok()) return id;
  (void)context.Destroy(*id);
  return made.error();
}

void DeleteNestedTable(Context& context, const NestedState& nested) {
  ioas::Arena arena = context.host().arena();
  if (nested.mock != 0) mock_devices->destroy_nested(context, nested.mock);
  if (!nested.domain) return;
  arena.Delete(arena.Get(nested.domain)->user_table);
  arena.Delete(nested.domain);
}

}  // namespace compat::native
