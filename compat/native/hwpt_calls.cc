// Page tables for devices, and what the IOMMU behind a device is. Behaviour:
// drivers/iommu/iommufd/hw_pagetable.c, and iommufd_get_hw_info in device.c.
#include <algorithm>
#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/native/attachment.h"
#include "compat/native/calls.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
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
