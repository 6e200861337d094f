// Page tables for devices, and what the IOMMU behind a device is. Behaviour:
// drivers/iommu/iommufd/hw_pagetable.c, and iommufd_get_hw_info in device.c.
#include <algorithm>
#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/native/attachment.h"
#include "compat/native/calls.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::AddressSpace;
using ioas::Error;
using ioas::Result;
using ioas::Status;

// A page table that is made for nesting needs no other format: a table of the program's own, on top
// of it, is what this host does not have.
Status HwptAlloc(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::HwptAlloc>();
  if (!command.ok()) return command.error();
  if (command->reserved != 0) return Error{EOPNOTSUPP, "a reserved field is not 0"};
  if ((command->data_type == iommufd::kHwptDataNone) != (command->data_len == 0)) {
    return Error{EINVAL, "data without a type, or a type without data"};
  }
  Context context(caller);
  const DeviceObject* const device = context.FindDevice(command->dev_id);
  if (device == nullptr) return kNoObject;
  if (context.FindHwpt(command->pt_id) != nullptr) {
    return Error{EOPNOTSUPP, "the host has no nested page tables"};
  }
  if (context.FindIoas(command->pt_id) == nullptr) {
    return Error{EINVAL, "neither an address space nor a page table"};
  }
  constexpr uint32_t kKnown = iommufd::kHwptAllocNestParent;
  if ((command->flags & ~kKnown) != 0 || command->data_len != 0) {
    return Error{EOPNOTSUPP, "the host's IOMMU has nothing like it"};
  }
  const Result<uint32_t> hwpt = NewPageTable(context, command->pt_id, *device);
  if (!hwpt.ok()) return hwpt.error();
  context.FindHwpt(*hwpt)->is_nest_parent =
      (command->flags & iommufd::kHwptAllocNestParent) != 0 ? 1 : 0;
  command->out_hwpt_id = *hwpt;
  const Status responded = Respond(call, *command);
  if (!responded.ok()) (void)context.Destroy(*hwpt);
  return responded;
}

// There are no page tables of the program's own, so there is none to invalidate.
Status HwptInvalidate(const Caller& /*caller*/, const decode::DecodedCall& call) {
  constexpr uint32_t kMaxEntries = 1u << 19;
  constexpr uint32_t kMaxEntrySize = 4096;
  auto command = call.CopyIn<iommufd::HwptInvalidate>();
  if (!command.ok()) return command.error();
  const bool has_entries = command->entry_num != 0;
  const bool is_wrong = command->data_uptr == 0 || command->entry_len == 0 ||
                        command->entry_len > kMaxEntrySize || command->entry_num > kMaxEntries;
  command->entry_num = 0;
  // How many were done is told whatever comes of it.
  IOAS_RETURN_IF_ERROR(Respond(call, *command));
  if (command->reserved != 0) return Error{EOPNOTSUPP, "a reserved field is not 0"};
  if (has_entries && is_wrong) return Error{EINVAL, "no entries, or too many or too large ones"};
  return kNoObject;
}

// The software IOMMU does not record what devices write.
Status HwptSetDirtyTracking(const Caller& caller, const decode::DecodedCall& call) {
  const auto command = call.CopyIn<iommufd::HwptSetDirtyTracking>();
  if (!command.ok()) return command.error();
  constexpr Error kNone = {EOPNOTSUPP, "the page table has no dirty tracking"};
  if ((command->flags & ~iommufd::kHwptDirtyTrackingEnable) != 0) return kNone;
  return Context(caller).FindHwpt(command->hwpt_id) == nullptr ? kNoObject : kNone;
}

Status HwptGetDirtyBitmap(const Caller& caller, const decode::DecodedCall& call) {
  const auto command = call.CopyIn<iommufd::HwptGetDirtyBitmap>();
  if (!command.ok()) return command.error();
  constexpr Error kNone = {EOPNOTSUPP, "the page table has no dirty tracking"};
  if ((command->flags & ~iommufd::kHwptGetDirtyBitmapNoClear) != 0 || command->reserved != 0) {
    return kNone;
  }
  Context context(caller);
  const HwptState* const hwpt = context.FindHwpt(command->hwpt_id);
  if (hwpt == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOfHwpt(*hwpt);
  const AddressSpace::Lock lock(space);
  const uint64_t last = command->iova + (command->length - 1);
  if (command->length == 0) return Error{EINVAL, "the range is empty"};
  if (last < command->iova) return Error{EOVERFLOW, "the range wraps around"};
  const uint64_t page = command->page_size;
  const uint64_t ends = command->iova | (last + 1);
  if (page == 0 || (ends & (space.page_size() - 1)) != 0 || (ends & (page - 1)) != 0) {
    return Error{EINVAL, "the range is not whole pages"};
  }
  return kNone;
}

// The software IOMMU is of no kind that has data.
Status GetHwInfo(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::HwInfo>();
  if (!command.ok()) return command.error();
  const auto is_set = [](uint8_t byte) { return byte != 0; };
  if (command->flags != 0 ||
      std::any_of(std::begin(command->reserved), std::end(command->reserved), is_set)) {
    return Error{EOPNOTSUPP, "a flag is not known, or a reserved field not 0"};
  }
  if (Context(caller).FindDevice(command->dev_id) == nullptr) return kNoObject;
  constexpr std::byte kZeros[256] = {};
  for (uint32_t done = 0; done < command->data_len;) {
    const uint32_t piece = std::min<uint32_t>(command->data_len - done, sizeof(kZeros));
    IOAS_RETURN_IF_ERROR(
        call.memory->Write(command->data_uptr + done, std::span(kZeros).first(piece)));
    done += piece;
  }
  command->data_len = 0;
  command->out_data_type = iommufd::kHwInfoTypeNone;
  command->out_max_pasid_log2 = 0;
  command->out_capabilities = 0;
  return Respond(call, *command);
}

}  // namespace compat::native
