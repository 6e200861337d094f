// The queues of a NestedSession: page requests that are answered, events that are read.
#include <poll.h>

#include <algorithm>
#include <cstring>
#include <iterator>
#include <utility>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "fuzz/nested_session.h"

namespace fuzz {

namespace iommufd = compat::abi::iommufd;

namespace {

// Nothing is there.
void* const kNowhere = reinterpret_cast<void*>(uint64_t{8});

bool CanBeRead(int fd) {
  pollfd wait = {fd, POLLIN, 0};
  return poll(&wait, 1, 0) == 1;
}

bool Asks(const NestedTable& table) { return table.asks; }

uint32_t NumberOf(FaultReason reason) {
  switch (reason) {
    case FaultReason::kPermission:
      return iommufd::kVeventSoftPermission;
    case FaultReason::kTableGone:
      return iommufd::kVeventSoftTableGone;
    case FaultReason::kTableInvalid:
      return iommufd::kVeventSoftTableReserved;
    default:
      return iommufd::kVeventSoftNotMapped;
  }
}

}  // namespace

void NestedSession::UseQueues() {
  switch (input_.TakeBelow(12)) {
    case 0:
    case 1:
      return OpenFaultQueue();
    case 2:
      return CloseOrDestroy(fault_queue_, std::any_of(tables_.begin(), tables_.end(), Asks));
    case 3:
    case 4:
      return ReadRequests();
    case 5:
      return Respond();
    case 6:
    case 7:
      return OpenEventQueue();
    case 8:
      return CloseOrDestroy(event_queue_, /*is_kept=*/false);
    case 9:
    case 10:
      return ReadEvents();
    default:
      return ChangeVdevice();
  }
}

void NestedSession::CheckReadable() const {
  if (is_uncertain_) return;
  if (fault_queue_ && fault_queue_->fd >= 0) {
    FUZZ_REQUIRE(CanBeRead(fault_queue_->fd) == requests_.IsReadable());
  }
  if (event_queue_ && event_queue_->fd >= 0) {
    FUZZ_REQUIRE(CanBeRead(event_queue_->fd) == events_.Oldest().has_value());
  }
}

void NestedSession::DenyRequests() {
  if (attached_ != nullptr && attached_->asks) requests_.requests.clear();
}

void NestedSession::OpenFaultQueue() {
  if (fault_queue_) return;
  iommufd::FaultAlloc command = {};
  FUZZ_REQUIRE(Call(iommufd::kFaultQueueAlloc, command) == 0);
  fault_queue_ = {command.out_fault_id, static_cast<int>(command.out_fault_fd)};
  requests_ = {};
}

void NestedSession::CloseOrDestroy(std::optional<OpenQueue>& queue, bool is_kept) {
  if (!queue) return;
  const bool is_open = queue->fd >= 0;
  iommufd::Destroy command = {.size = 0, .id = queue->id};
  FUZZ_REQUIRE(Call(iommufd::kDestroy, command) == (is_open || is_kept ? -EBUSY : 0));
  if (is_open) {
    host_.Close(std::exchange(queue->fd, -1));
  } else if (!is_kept) {
    queue.reset();
  }
}

void NestedSession::ReadRequests() {
  if (!fault_queue_ || fault_queue_->fd < 0) return;
  iommufd::HwptPgfault records[3];
  const uint32_t count_asked = input_.TakeBelow(4);
  const uint32_t odd = input_.TakeBelow(8) / 7;
  const uint32_t size = count_asked * sizeof(records[0]) + odd;
  const bool is_nowhere = input_.TakeBelow(8) == 7;
  const long result = host_.ReadNext(fault_queue_->fd, is_nowhere ? kNowhere : records, size);
  if (odd != 0) {
    FUZZ_REQUIRE(result == -ESPIPE);
    return;
  }
  if (!requests_.IsReadable()) {
    FUZZ_REQUIRE(result == 0);
    return;
  }
  if (size == 0 || is_nowhere) {
    FUZZ_REQUIRE(result == (size == 0 ? -EINVAL : -EFAULT));
    return;
  }
  uint32_t count = 0;
  for (; count < size / sizeof(records[0]); ++count) {
    const auto request = requests_.Take();
    if (!request) break;
    const iommufd::HwptPgfault& read = records[count];
    FUZZ_REQUIRE(read.flags == iommufd::kPgfaultFlagsLastPage && read.dev_id == device_);
    FUZZ_REQUIRE(read.addr == request->address && read.cookie == request->cookie);
    FUZZ_REQUIRE(read.perm ==
                 (request->write ? iommufd::kPgfaultPermWrite : iommufd::kPgfaultPermRead));
    FUZZ_REQUIRE(read.grpid == request->group && read.pasid == 0 && read.reserved == 0);
  }
  FUZZ_REQUIRE(result == static_cast<long>(count * sizeof(records[0])));
}

void NestedSession::Respond() {
  if (!fault_queue_ || fault_queue_->fd < 0) return;
  iommufd::HwptPageResponse responses[3];
  for (auto& response : responses) response = {input_.TakeBelow(5), input_.TakeBelow(10) / 4};
  const uint32_t count = input_.TakeBelow(4);
  const uint32_t odd = input_.TakeBelow(8) / 7;
  const long result =
      host_.WriteNext(fault_queue_->fd, responses, count * sizeof(responses[0]) + odd);
  if (odd != 0) {
    FUZZ_REQUIRE(result == -ESPIPE);
    return;
  }
  uint32_t done = 0;
  while (done < count && responses[done].code <= 1 && requests_.Answer(responses[done].cookie))
    ++done;
  const bool is_refused = done == 0 && count != 0;
  FUZZ_REQUIRE(result == (is_refused ? -EINVAL : static_cast<long>(done * sizeof(responses[0]))));
}

void NestedSession::OpenEventQueue() {
  iommufd::VeventqAlloc command = {};
  command.viommu_id = viommu_;
  command.type = iommufd::kVeventqTypeSoft;
  command.veventq_depth = input_.TakeBelow(4);
  const long result = Call(iommufd::kVeventqAlloc, command);
  if (command.veventq_depth == 0 || event_queue_) {
    FUZZ_REQUIRE(result == (command.veventq_depth == 0 ? -EINVAL : -EEXIST));
    return;
  }
  FUZZ_REQUIRE(result == 0);
  event_queue_ = {command.out_veventq_id, static_cast<int>(command.out_veventq_fd)};
  events_ = {command.veventq_depth};
}

void NestedSession::ReadEvents() {
  if (!event_queue_ || event_queue_->fd < 0) return;
  // One event, one loss, or both and more; and what is too short for them.
  constexpr uint32_t kSizes[] = {32, 8, 31, 40, 64, 72, 128, 7};
  std::byte bytes[128];
  const uint32_t size = kSizes[input_.TakeBelow(std::size(kSizes))];
  const bool is_nowhere = input_.TakeBelow(8) == 7;
  const long result = host_.ReadNext(event_queue_->fd, is_nowhere ? kNowhere : bytes, size);
  uint32_t done = 0;
  while (const auto next = events_.Oldest()) {
    iommufd::VeventHeader header = {};
    iommufd::VeventSoft event = {};
    const size_t length = sizeof(header) + (next->is_loss ? 0 : sizeof(event));
    if (size - done < length) break;
    if (is_nowhere) {
      FUZZ_REQUIRE(result == -EFAULT);
      return;
    }
    std::memcpy(&header, bytes + done, sizeof(header));
    FUZZ_REQUIRE(header.sequence == next->sequence);
    FUZZ_REQUIRE(header.flags == (next->is_loss ? iommufd::kVeventqFlagLostEvents : 0));
    if (!next->is_loss) {
      std::memcpy(&event, bytes + done + sizeof(header), sizeof(event));
      FUZZ_REQUIRE(event.virt_id == next->virtual_id && event.addr == next->iova);
      FUZZ_REQUIRE(event.perm ==
                   (next->write ? iommufd::kPgfaultPermWrite : iommufd::kPgfaultPermRead));
      FUZZ_REQUIRE(event.reason == NumberOf(next->reason));
    }
    events_.Remove();
    done += static_cast<uint32_t>(length);
  }
  FUZZ_REQUIRE(result == static_cast<long>(done));
}

// Gives the device a number, or takes it away.
void NestedSession::ChangeVdevice() {
  if (vdevice_ != 0 && input_.TakeBelow(2) != 0) {
    iommufd::Destroy command = {.size = 0, .id = vdevice_};
    FUZZ_REQUIRE(Call(iommufd::kDestroy, command) == 0);
    vdevice_ = 0;
    return;
  }
  iommufd::VdeviceAlloc command = {};
  command.viommu_id = viommu_;
  command.dev_id = device_;
  command.virt_id = input_.Take<uint16_t>();
  FUZZ_REQUIRE(Call(iommufd::kVdeviceAlloc, command) == (vdevice_ == 0 ? 0 : -EEXIST));
  if (vdevice_ != 0) return;
  vdevice_ = command.out_vdevice_id;
  virtual_id_ = command.virt_id;
}

}  // namespace fuzz
