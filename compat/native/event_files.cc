// Behaviour: drivers/iommu/iommufd/fault.c, and eventq.c of later kernels.
#include "compat/native/event_files.h"

#include <cerrno>

#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "ioas/soft/iommu_events.h"
#include "ioas/soft/page_requests.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::ArenaRef;
using ioas::Error;
using ioas::Result;
using ioas::Status;
using ioas::soft::EventQueue;
using ioas::soft::FaultReason;
using ioas::soft::PageRequests;

namespace {

static_assert(iommufd::kPgfaultPermRead == ioas::kAccessRead);
static_assert(iommufd::kPgfaultPermWrite == ioas::kAccessWrite);

constexpr Error kNoFile = {EBADF, "the descriptor was closed meanwhile"};

// What read() and write() return that have moved `done` bytes until something came in between.
Result<long> Moved(uint64_t done, const Status& status) {
  if (done == 0 && !status.ok()) return status.error();
  return static_cast<long>(done);
}

PageRequests RequestsOf(const Context& context, const FaultState& fault) {
  return PageRequests(context.host().arena().Get(fault.requests));
}

iommufd::HwptPgfault Compose(const ioas::soft::WaitingPageRequest& waiting) {
  const ioas::soft::PageRequest& request = waiting.request;
  const uint32_t pasid_flag = request.has_pasid != 0 ? iommufd::kPgfaultFlagsPasidValid : 0;
  return {.flags = iommufd::kPgfaultFlagsLastPage | pasid_flag,
          .dev_id = request.device,
          .pasid = request.pasid,
          .grpid = request.group,
          .perm = request.access,
          .reserved = 0,
          .addr = request.address,
          .length = 0,
          .cookie = waiting.cookie};
}

Result<long> ReadFaults(const Context& context, const FaultState& fault,
                        const vfio::CallerBuffer& buffer) {
  constexpr uint64_t kSize = sizeof(iommufd::HwptPgfault);
  if (buffer.size % kSize != 0) return Error{ESPIPE, "not a whole number of page requests"};
  PageRequests requests = RequestsOf(context, fault);
  Status status;
  uint64_t done = 0;
  while (const auto waiting = requests.Oldest()) {
    if (buffer.size - done < kSize) {
      status = Error{EINVAL, "no room for the page request"};
      break;
    }
    status = decode::Write(buffer.memory, buffer.address + done, Compose(*waiting));
    if (!status.ok()) break;
    requests.OnDelivered(*waiting, DescriptorOf(context, fault.slot));
    done += kSize;
  }
  return Moved(done, status);
}

Result<long> WriteResponses(const Context& context, const FaultState& fault,
                            const vfio::CallerBuffer& buffer) {
  constexpr uint64_t kSize = sizeof(iommufd::HwptPageResponse);
  if (buffer.size % kSize != 0) return Error{ESPIPE, "not a whole number of responses"};
  PageRequests requests = RequestsOf(context, fault);
  Status status;
  uint64_t done = 0;
  for (; done < buffer.size; done += kSize) {
    const auto response =
        decode::Read<iommufd::HwptPageResponse>(buffer.memory, buffer.address + done);
    if (!response.ok()) {
      status = response.error();
      break;
    }
    const bool is_known =
        response->code == iommufd::kPageRespSuccess || response->code == iommufd::kPageRespInvalid;
    if (!is_known ||
        !requests.Answer(response->cookie, response->code == iommufd::kPageRespSuccess)) {
      status = Error{EINVAL, "an unknown response, or none to a page request that was read"};
      break;
    }
  }
  return Moved(done, status);
}

uint32_t ReasonNumber(FaultReason reason) {
  switch (reason) {
    case FaultReason::kPermission:
      return iommufd::kVeventSoftPermission;
    case FaultReason::kMemoryGone:
      return iommufd::kVeventSoftMemoryGone;
    case FaultReason::kTableGone:
      return iommufd::kVeventSoftTableGone;
    case FaultReason::kTableInvalid:
      return iommufd::kVeventSoftTableReserved;
    default:
      return iommufd::kVeventSoftNotMapped;
  }
}

struct Vevent {
  iommufd::VeventHeader header;
  iommufd::VeventSoft event;
};
static_assert(sizeof(Vevent) == sizeof(iommufd::VeventHeader) + sizeof(iommufd::VeventSoft));

Vevent Compose(const ioas::soft::NextEvent& next) {
  if (!next.event) return {{iommufd::kVeventqFlagLostEvents, next.sequence}, {}};
  return {{0, next.sequence},
          {.virt_id = next.event->virtual_id,
           .addr = next.event->address,
           .perm = next.event->access,
           .reason = ReasonNumber(next.event->reason)}};
}

Result<long> ReadEvents(const Context& context, const VeventqState& state,
                        const vfio::CallerBuffer& buffer) {
  EventQueue queue(context.host().arena(), state.queue);
  Status status;
  uint64_t done = 0;
  while (const auto next = queue.Oldest()) {
    const uint64_t size = next->event ? sizeof(Vevent) : sizeof(iommufd::VeventHeader);
    if (buffer.size - done < size) break;
    status = decode::Write(buffer.memory, buffer.address + done, Compose(*next), size);
    if (!status.ok()) break;
    queue.Remove(*next, DescriptorOf(context, state.slot));
    done += size;
  }
  return Moved(done, status);
}

// The slot of what may be a file; null for other objects.
uint32_t* SlotOf(const Context& context, uint32_t id) {
  if (FaultState* const fault = context.FindFault(id)) return &fault->slot;
  if (VeventqState* const queue = context.FindVeventq(id)) return &queue->slot;
  return nullptr;
}

}  // namespace

uint32_t FindByFile(const Context& context, uint32_t slot) {
  for (const uint32_t id : context.objects().ids()) {
    const uint32_t* const its_slot = SlotOf(context, id);
    if (its_slot != nullptr && *its_slot == slot) return id;
  }
  return 0;
}

bool HasEventFiles(const Context& context) {
  for (const uint32_t id : context.objects().ids()) {
    const uint32_t* const slot = SlotOf(context, id);
    if (slot != nullptr && *slot != 0) return true;
  }
  return false;
}

void FreeEvents(const Context& context, ObjectKind kind, uint32_t unit) {
  ioas::Arena arena = context.host().arena();
  if (kind == ObjectKind::kFault) {
    arena.Delete(arena.Get(ArenaRef<FaultState>{unit})->requests);
    arena.Delete(ArenaRef<FaultState>{unit});
  } else if (kind == ObjectKind::kViommu) {
    arena.Delete(arena.Get(ArenaRef<ViommuState>{unit})->events);
    arena.Delete(ArenaRef<ViommuState>{unit});
  } else if (kind == ObjectKind::kVdevice) {
    arena.Delete(ArenaRef<VdeviceState>{unit});
  } else if (kind == ObjectKind::kVeventq) {
    EventQueue::Delete(arena, arena.Get(ArenaRef<VeventqState>{unit})->queue);
    arena.Delete(ArenaRef<VeventqState>{unit});
  }
}

Result<long> ReadEventFile(const Context& context, uint32_t slot,
                           const vfio::CallerBuffer& buffer) {
  const uint32_t id = FindByFile(context, slot);
  if (const FaultState* const fault = context.FindFault(id)) {
    return ReadFaults(context, *fault, buffer);
  }
  const VeventqState* const queue = context.FindVeventq(id);
  if (queue == nullptr) return kNoFile;
  return ReadEvents(context, *queue, buffer);
}

Result<long> WriteEventFile(const Context& context, uint32_t slot,
                            const vfio::CallerBuffer& buffer) {
  const uint32_t id = FindByFile(context, slot);
  if (const FaultState* const fault = context.FindFault(id)) {
    return WriteResponses(context, *fault, buffer);
  }
  if (context.FindVeventq(id) == nullptr) return kNoFile;
  return Error{EINVAL, "events are only read"};
}

void CloseEventFile(Context& context, uint32_t slot) {
  const uint32_t id = FindByFile(context, slot);
  if (id == 0) return;
  *SlotOf(context, id) = 0;
  context.DropUser(id);
}

}  // namespace compat::native
