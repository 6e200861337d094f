// FAULT_QUEUE_ALLOC, and what belongs to emulated IOMMUs: VIOMMU_ALLOC, VDEVICE_ALLOC,
// VEVENTQ_ALLOC, HW_QUEUE_ALLOC. Behaviour: drivers/iommu/iommufd/{eventq,viommu}.c of Linux 6.17.
#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/native/calls.h"
#include "compat/native/event_files.h"
#include "compat/native/viommus.h"
#include "ioas/soft/iommu_events.h"
#include "ioas/soft/page_requests.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::Error;
using ioas::Result;
using ioas::Status;

namespace {

constexpr Error kUnknown = {EOPNOTSUPP, "a flag or type is not known, or a reserved field not 0"};

Result<uint32_t> NewFault(Context& context, uint32_t slot) {
  const Result<uint32_t> id = context.New<FaultState>(ObjectKind::kFault);
  if (!id.ok()) return id;
  ioas::Arena arena = context.host().arena();
  const auto requests = arena.New<ioas::soft::PageRequestsState>();
  if (!requests.ok()) {
    (void)context.Destroy(*id);
    return requests.error();
  }
  ioas::soft::PageRequests(arena.Get(*requests)).Initialize(NameOf(context.host(), slot));
  *context.FindFault(*id) = {.requests = *requests, .slot = slot};
  return id;
}

Result<uint32_t> NewVeventq(Context& context, const iommufd::VeventqAlloc& command, uint32_t slot) {
  const Result<uint32_t> id = context.New<VeventqState>(ObjectKind::kVeventq);
  if (!id.ok()) return id;
  ioas::Arena arena = context.host().arena();
  const auto queue =
      ioas::soft::EventQueue::Create(arena, command.veventq_depth, NameOf(context.host(), slot));
  if (!queue.ok()) {
    (void)context.Destroy(*id);
    return queue.error();
  }
  *context.FindVeventq(*id) = {
      .viommu = command.viommu_id, .type = command.type, .slot = slot, .queue = *queue};
  context.AddUser(command.viommu_id);
  if (command.type == iommufd::kVeventqTypeSoft) {
    EventsOf(context, *context.FindViommu(command.viommu_id)).SetQueue(*queue);
  }
  return id;
}

// Makes an object with `make(slot)` whose file is new, and calls `respond(id, descriptor)`. If any
// of it fails nothing is there.
template <typename Make, typename Answer>
Status NewWithFile(Context& context, Make make, Answer respond) {
  vfio::Host& host = context.host();
  const uint32_t unit = host.arena().RefOf(&context.state()).unit;
  const Result<vfio::NewFile> file = host.OpenEventFile(unit);
  if (!file.ok()) return file.error();
  const Result<uint32_t> id = make(file->slot);
  if (!id.ok()) {
    host.CloseEventFile(*file);
    return id.error();
  }
  const Status given = GiveFile(context, *file, *id, [&](int fd) { return respond(*id, fd); });
  if (!given.ok()) (void)context.Destroy(*id);
  return given;
}

}  // namespace

Status FaultQueueAlloc(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::FaultAlloc>();
  if (!command.ok()) return command.error();
  if (command->flags != 0) return kUnknown;
  const vfio::Host::Lock lock(caller.host);
  Context context(caller);
  return NewWithFile(
      context, [&](uint32_t slot) { return NewFault(context, slot); },
      [&](uint32_t id, int fd) {
        command->out_fault_id = id;
        command->out_fault_fd = static_cast<uint32_t>(fd);
        return Respond(call, *command);
      });
}

Status VeventqAlloc(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::VeventqAlloc>();
  if (!command.ok()) return command.error();
  if (command->flags != 0 || command->reserved != 0 ||
      command->type == iommufd::kVeventqTypeDefault) {
    return kUnknown;
  }
  if (command->veventq_depth == 0) return Error{EINVAL, "a queue for no events"};
  const vfio::Host::Lock lock(caller.host);
  Context context(caller);
  if (context.FindViommu(command->viommu_id) == nullptr) return kNoObject;
  if (HasVeventq(context, command->viommu_id, command->type)) {
    return Error{EEXIST, "there is a queue for these events already"};
  }
  return NewWithFile(
      context, [&](uint32_t slot) { return NewVeventq(context, *command, slot); },
      [&](uint32_t id, int fd) {
        command->out_veventq_id = id;
        command->out_veventq_fd = static_cast<uint32_t>(fd);
        return Respond(call, *command);
      });
}

// Only the software IOMMU's own type is there, which needs no data.
Status ViommuAlloc(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::ViommuAlloc>();
  if (!command.ok()) return command.error();
  if (command->flags != 0 || command->type == iommufd::kViommuTypeDefault) return kUnknown;
  Context context(caller);
  const DeviceObject* const device = context.FindDevice(command->dev_id);
  if (device == nullptr) return kNoObject;
  if (command->type != iommufd::kViommuTypeSoft || device->device >= kFirstMockDevice) {
    return kUnknown;
  }
  const HwptState* const parent = context.FindHwpt(command->hwpt_id);
  if (parent == nullptr) return kNoObject;
  if (parent->is_nest_parent == 0) return Error{EINVAL, "the page table can be no parent"};
  if (command->data_len != 0) return Error{EOPNOTSUPP, "the type has no data"};
  const Result<uint32_t> id = NewViommu(context, command->hwpt_id, command->type);
  if (!id.ok()) return id.error();
  command->out_viommu_id = *id;
  const Status responded = Respond(call, *command);
  if (!responded.ok()) (void)context.Destroy(*id);
  return responded;
}

Status VdeviceAlloc(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::VdeviceAlloc>();
  if (!command.ok()) return command.error();
  Context context(caller);
  if (context.FindViommu(command->viommu_id) == nullptr) return kNoObject;
  if (context.FindDevice(command->dev_id) == nullptr) return kNoObject;
  const Result<uint32_t> id = NewVdevice(context, {.viommu = command->viommu_id,
                                                   .device = command->dev_id,
                                                   .virt_id = command->virt_id,
                                                   .fault_number = 0});
  if (!id.ok()) return id.error();
  command->out_vdevice_id = *id;
  const Status responded = Respond(call, *command);
  if (!responded.ok()) (void)context.Destroy(*id);
  return responded;
}

// The software IOMMU has no queues of a hardware's.
Status HwQueueAlloc(const Caller& caller, const decode::DecodedCall& call) {
  const auto command = call.CopyIn<iommufd::HwQueueAlloc>();
  if (!command.ok()) return command.error();
  if (command->flags != 0 || command->type == iommufd::kHwQueueTypeDefault) return kUnknown;
  if (command->length == 0) return Error{EINVAL, "the queue is empty"};
  if (command->nesting_parent_iova + (command->length - 1) < command->nesting_parent_iova) {
    return Error{EOVERFLOW, "the queue wraps around"};
  }
  if (Context(caller).FindViommu(command->viommu_id) == nullptr) return kNoObject;
  return kUnknown;
}

}  // namespace compat::native
