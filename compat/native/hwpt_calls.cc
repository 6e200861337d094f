// Page tables for devices, and what the IOMMU behind a device is. Behaviour:
// drivers/iommu/iommufd/hw_pagetable.c, and iommufd_get_hw_info in device.c.
#include <algorithm>
#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/native/attachment.h"
#include "compat/native/calls.h"
#include "compat/native/nested_tables.h"
#include "compat/native/user_data.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::Error;
using ioas::Result;
using ioas::Status;

namespace {

// Writes as much of `info` as the caller has room for, and zeros behind it.
Status WriteInfo(decode::CallerMemory& memory, const iommufd::HwInfo& command,
                 std::span<const std::byte> info) {
  const auto known = std::min<uint32_t>(command.data_len, static_cast<uint32_t>(info.size()));
  if (known != 0) IOAS_RETURN_IF_ERROR(memory.Write(command.data_uptr, info.first(known)));
  constexpr std::byte kZeros[256] = {};
  for (uint32_t done = known; done < command.data_len;) {
    const uint32_t piece = std::min<uint32_t>(command.data_len - done, sizeof(kZeros));
    IOAS_RETURN_IF_ERROR(memory.Write(command.data_uptr + done, std::span(kZeros).first(piece)));
    done += piece;
  }
  return {};
}

Result<uint32_t> NewTable(Context& context, const iommufd::HwptAlloc& command,
                          const UserData& data) {
  const DeviceObject* const device = context.FindDevice(command.dev_id);
  if (device == nullptr) return kNoObject;
  constexpr Error kNothingLikeIt = {EOPNOTSUPP, "the host's IOMMU has nothing like it"};
  constexpr uint32_t kFault = iommufd::kHwptFaultIdValid;
  constexpr uint32_t kParent = iommufd::kHwptAllocNestParent;
  constexpr uint32_t kPasid = iommufd::kHwptAllocPasid;
  const uint8_t is_for_pasids = (command.flags & kPasid) != 0 ? 1 : 0;
  if (context.FindHwpt(command.pt_id) != nullptr || context.FindViommu(command.pt_id) != nullptr) {
    if ((command.flags & ~(kFault | kPasid)) != 0 || command.data_len == 0) return kNothingLikeIt;
    const Result<uint32_t> nested = NewNestedTable(context, command.pt_id, *device, data);
    if (nested.ok()) context.FindNested(*nested)->is_for_pasids = is_for_pasids;
    return nested;
  }
  if (context.FindIoas(command.pt_id) == nullptr) {
    return Error{EINVAL, "nothing that a page table could be of"};
  }
  constexpr uint32_t kDirty = iommufd::kHwptAllocDirtyTracking;
  const bool can_track = PropertiesOf(context, *device).tracks_dirty_pages;
  const uint32_t known = kFault | kParent | kPasid | (can_track ? kDirty : 0);
  const bool is_both = (command.flags & (kFault | kParent)) == (kFault | kParent);
  if ((command.flags & ~known) != 0 || is_both || command.data_len != 0) return kNothingLikeIt;
  const Result<uint32_t> hwpt = NewPageTable(context, command.pt_id, *device);
  if (!hwpt.ok()) return hwpt;
  HwptState& table = *context.FindHwpt(*hwpt);
  table.is_nest_parent = (command.flags & kParent) != 0 ? 1 : 0;
  table.has_dirty_tracking = (command.flags & kDirty) != 0 ? 1 : 0;
  table.is_for_pasids = is_for_pasids;
  return hwpt;
}

// Has page table `id` ask `fault_id` for what it lacks. ENOENT if that is no queue.
Status SetFaultQueue(const Context& context, uint32_t id, uint32_t fault_id) {
  const FaultState* const fault = context.FindFault(fault_id);
  if (fault == nullptr) return kNoObject;
  const auto ask = [&](uint32_t& asked, ioas::ArenaRef<ioas::DomainState> domain) {
    asked = fault_id;
    // Mock devices have none.
    if (domain) context.host().arena().Get(domain)->page_requests = fault->requests;
  };
  if (NestedState* const nested = context.FindNested(id)) ask(nested->fault, nested->domain);
  if (HwptState* const paging = context.FindHwpt(id)) ask(paging->fault, paging->domain);
  context.AddUser(fault_id);
  return {};
}

}  // namespace

Status HwptAlloc(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::HwptAlloc>();
  if (!command.ok()) return command.error();
  if (command->reserved != 0) return Error{EOPNOTSUPP, "a reserved field is not 0"};
  if ((command->data_type == iommufd::kHwptDataNone) != (command->data_len == 0)) {
    return Error{EINVAL, "data without a type, or a type without data"};
  }
  const UserData data(*call.memory, command->data_type, command->data_uptr, command->data_len);
  Context context(caller);
  const Result<uint32_t> hwpt = NewTable(context, *command, data);
  if (!hwpt.ok()) return hwpt.error();
  command->out_hwpt_id = *hwpt;
  Status status;
  if ((command->flags & iommufd::kHwptFaultIdValid) != 0) {
    status = SetFaultQueue(context, *hwpt, command->fault_id);
  }
  if (status.ok()) status = Respond(call, *command);
  if (!status.ok()) (void)context.Destroy(*hwpt);
  return status;
}

Status GetHwInfo(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::HwInfo>();
  if (!command.ok()) return command.error();
  const auto is_set = [](uint8_t byte) { return byte != 0; };
  if (command->flags != 0 ||
      std::any_of(std::begin(command->reserved), std::end(command->reserved), is_set)) {
    return Error{EOPNOTSUPP, "a flag is not known, or a reserved field not 0"};
  }
  ioas::IommuProperties iommu{};
  {
    const Context context(caller);
    const DeviceObject* const device = context.FindDevice(command->dev_id);
    if (device == nullptr) return kNoObject;
    iommu = PropertiesOf(context, *device);
    command->out_max_pasid_log2 = PasidBitsOf(context, *device);
  }
  IOAS_RETURN_IF_ERROR(WriteInfo(*call.memory, *command, iommu.info));
  command->data_len = static_cast<uint32_t>(iommu.info.size());
  command->out_data_type = iommu.info_type;
  command->out_capabilities = iommu.tracks_dirty_pages ? iommufd::kHwCapDirtyTracking : 0;
  return Respond(call, *command);
}

}  // namespace compat::native
