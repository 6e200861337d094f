#include "ioas/soft/dma.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "ioas/base/system_call.h"
#include "ioas/soft/iommu_events.h"
#include "ioas/soft/owner_memory.h"
#include "ioas/soft/page_requests.h"
#include "ioas/soft/translation.h"

namespace ioas::soft {
namespace {

// How much is copied, and in how many pieces, while the address space's lock is held: about 30
// microseconds' worth, for which an unmap may have to wait.
constexpr uint64_t kMaxBatchBytes = 256 * 1024;
constexpr uint32_t kMaxBatchPieces = 64;

// How often a device asks for the same.
constexpr uint32_t kMaxPageRequestsInVain = 4;

}  // namespace

struct SoftDmaPort::Cursor {
  std::span<const DmaSegment> segments;
  uint32_t offset;  // done of the first one

  bool done() const { return segments.empty(); }
  uint64_t iova() const { return segments.front().iova + offset; }
  uint32_t left() const { return segments.front().length - offset; }
  void Advance(uint32_t bytes) {
    offset += bytes;
    if (offset < segments.front().length) return;
    segments = segments.subspan(1);
    offset = 0;
  }
};

struct SoftDmaPort::Batch {
  Batch() {}  // NOLINT(modernize-use-equals-default): leaves the arrays alone

  uint32_t process = 0;
  uint32_t count = 0;
  uint64_t bytes = 0;
  // Only the first `count` of each mean anything.
  iovec pieces[kMaxBatchPieces];    // where in the process's memory
  uint64_t iovas[kMaxBatchPieces];  // where each begins as the device has it
  uint64_t spots[kMaxBatchPieces];  // where in the address space

  void Append(const Translation& to, uint64_t iova, uint32_t length) {
    process = to.process;
    pieces[count] = {reinterpret_cast<void*>(to.user_address), length};
    iovas[count] = iova;
    spots[count] = to.iova;
    ++count;
    bytes += length;
  }
  // The IOVA of byte number `done` of the batch.
  uint64_t IovaOf(uint64_t done) const {
    uint32_t i = 0;
    while (i + 1 < count && done >= pieces[i].iov_len) done -= pieces[i++].iov_len;
    return iovas[i] + done;
  }
  // Has the pieces, which are in a file, be where this process has the file.
  void MoveTo(uint64_t base) {
    for (iovec& piece : std::span(pieces, count)) {
      piece.iov_base = static_cast<std::byte*>(piece.iov_base) + base;
    }
  }
  // How far in a file the pieces reach.
  uint64_t End() const {
    uint64_t end = 0;
    for (const iovec& piece : std::span(pieces, count)) {
      end = std::max(end, reinterpret_cast<uint64_t>(piece.iov_base) + piece.iov_len);
    }
    return end;
  }
  // Returns how many bytes were copied before the memory came to an end.
  uint64_t Copy(pid_t pid, std::byte* buffer, Access access) const {
    const iovec local = {buffer, bytes};
    const long copied =
        SystemCall(access == kAccessRead ? SYS_process_vm_readv : SYS_process_vm_writev, pid,
                   &local, 1L, pieces, static_cast<unsigned long>(count), 0L);
    return copied < 0 ? 0 : static_cast<uint64_t>(copied);
  }
};

// Segments with one PASID after the other are one access each.
Status SoftDmaPort::Transfer(std::span<const DmaSegment> segments, std::byte* buffer,
                             Access access) {
  if (segments.empty()) return {};
  if (watch_ != nullptr) watch_->Disarm();
  while (!segments.empty()) {
    const uint32_t pasid = segments.front().pasid;
    size_t count = 1;
    while (count < segments.size() && segments[count].pasid == pasid) ++count;
    DmaTarget by_pasid;
    const bool has_own = pasid != kNoPasid && pasid != 0;
    if (has_own) by_pasid = PasidTable(*arena_, &device_->pasid_targets).Get(pasid);
    const Request request = {access, pasid, has_own ? by_pasid : device_->target};
    IOAS_RETURN_IF_ERROR(TransferAll(segments.first(count), buffer, request));
    segments = segments.subspan(count);
  }
  return {};
}

Status SoftDmaPort::TransferAll(std::span<const DmaSegment> segments, std::byte*& buffer,
                                const Request& request) {
  Cursor cursor{segments, 0};
  if (!PciConfig(&device_->config).bus_master()) {
    return Fail({cursor.iova(), FaultReason::kBusMasterOff}, request);
  }
  const GroupErrors& errors = host_->errors_of(*device_);
  if (errors.has(kDmaFrozen)) return Fail({cursor.iova(), FaultReason::kFrozen}, request);
  if (device_->is_held) return Fail({cursor.iova(), FaultReason::kHeld}, request);
  if (!request.target.space) return Fail({cursor.iova(), FaultReason::kBlocked}, request);
  AddressSpace space(*arena_, request.target.space);
  uint64_t asked_for = 0;
  uint32_t in_vain = 0;
  while (!cursor.done()) {
    const std::optional<Fault> fault = TransferBatch(space, cursor, buffer, request);
    if (!fault) continue;
    in_vain = fault->iova == asked_for ? in_vain + 1 : 0;
    asked_for = fault->iova;
    if (in_vain < kMaxPageRequestsInVain && AskFor(*fault, request)) continue;
    Report(*fault, request);
    return Fail(*fault, request);
  }
  return {};
}

// Whether somebody says that the access will succeed now.
bool SoftDmaPort::AskFor(const Fault& fault, const Request& request) const {
  const DmaTarget& target = request.target;
  if (!fault.is_recoverable || !target.domain) return false;
  const auto requests = arena_->Get(target.domain)->page_requests;
  if (!requests) return false;
  constexpr uint64_t kPageMask = 4095;
  const uint32_t pasid = request.pasid != kNoPasid ? request.pasid : 0;
  const PageRequest asked = {.device = target.device,
                             .has_pasid = request.pasid != kNoPasid ? 1u : 0u,
                             .pasid = pasid,
                             .group = 0,
                             .access = request.access,
                             .address = fault.iova & ~kPageMask,
                             .attachment = pasid};
  return PageRequests(arena_->Get(requests)).Ask(asked, page_request_milliseconds_);
}

void SoftDmaPort::Report(const Fault& fault, const Request& request) const {
  if (!request.target.domain) return;
  const auto events = arena_->Get(request.target.domain)->events;
  if (!events) return;
  IommuEvents(*arena_, arena_->Get(events))
      .Report(
          {fault.iova, device_->address.number(), request.access, fault.reason, 1, request.pasid});
}

// Returns how many bytes were copied before the memory came to an end.
uint64_t SoftDmaPort::Copy(Batch& batch, std::byte* buffer, Access access) const {
  const OwnerMemory memory(host_->processes(), batch.process, batch.End());
  if (memory.pid() == 0) return 0;
  if (memory.base() != 0) batch.MoveTo(memory.base());
  return batch.Copy(memory.pid(), buffer, access);
}

// Copies as much as one batch takes, and moves `cursor` and `buffer` on. What comes before a fault
// is copied.
std::optional<SoftDmaPort::Fault> SoftDmaPort::TransferBatch(AddressSpace& space, Cursor& cursor,
                                                             std::byte*& buffer,
                                                             const Request& request) {
  AddressSpace::Lock lock(space);
  Batch batch;
  std::optional<Fault> fault = Gather(space, cursor, request, batch);
  if (batch.count != 0) {
    const Access access = request.access;
    const uint64_t copied = Copy(batch, buffer, access);
    if (copied < batch.bytes) fault = {batch.IovaOf(copied), FaultReason::kMemoryGone};
    buffer += copied;
    if (access == kAccessWrite && request.target.domain) MarkDirty(space, request, batch, copied);
    (access == kAccessRead ? space.statistics().dma_read : space.statistics().dma_written) +=
        copied;
  }
  if (fault) ++space.statistics().faults;
  return fault;
}

// The first `copied` bytes of `batch` were written: by the page table that the program's own lies
// on, if it has one.
void SoftDmaPort::MarkDirty(AddressSpace& space, const Request& request, const Batch& batch,
                            uint64_t copied) const {
  const ArenaRef<DomainState> parent = arena_->Get(request.target.domain)->parent;
  const ArenaRef<DomainState> domain = parent ? parent : request.target.domain;
  for (uint32_t i = 0; i < batch.count && copied != 0; ++i) {
    const uint64_t written = std::min<uint64_t>(copied, batch.pieces[i].iov_len);
    space.MarkDirty(domain, {batch.spots[i], batch.spots[i] + (written - 1)});
    copied -= written;
  }
}

// Translates from `cursor` on, which it moves, until `batch` is full, another process's memory
// begins, or a byte cannot be reached.
std::optional<SoftDmaPort::Fault> SoftDmaPort::Gather(AddressSpace& space, Cursor& cursor,
                                                      const Request& request, Batch& batch) const {
  TargetTranslation translation(*arena_, host_->processes(), space, request.target);
  while (!cursor.done() && batch.count < kMaxBatchPieces && batch.bytes < kMaxBatchBytes) {
    const uint64_t iova = cursor.iova();
    const uint64_t permitted = BytesBeforeRefused(iova);
    if (permitted == 0) return Fault{iova, FaultReason::kRefused};
    const Result<Translation> to = translation.Translate(iova, request.access);
    if (!to.ok()) {
      return Fault{iova, TargetTranslation::ReasonOf(to.error().code),
                   translation.is_recoverable()};
    }
    if (batch.count != 0 && to->process != batch.process) break;
    const auto length = static_cast<uint32_t>(std::min(
        {uint64_t{cursor.left()}, to->contiguous, permitted, kMaxBatchBytes - batch.bytes}));
    batch.Append(*to, iova, length);
    cursor.Advance(length);
  }
  return std::nullopt;
}

// How many bytes from `iova` on come before the next one that the host refuses.
uint64_t SoftDmaPort::BytesBeforeRefused(uint64_t iova) const {
  uint64_t bytes = UINT64_MAX;
  IovaRange ranges[kMaxRefusedRanges];
  const uint32_t count = ListRefused(*host_, ranges);
  for (const IovaRange& refused : std::span(ranges, count)) {
    if (refused.Contains(iova)) return 0;
    if (refused.first > iova) bytes = std::min(bytes, refused.first - iova);
  }
  return bytes;
}

Status SoftDmaPort::Fail(const Fault& fault, const Request& request) {
  host_->faults().Record(
      {fault.iova, device_->address.number(), request.access, fault.reason, 1, request.pasid});
  // A device that may not use the bus does nothing that the bus could find wrong, and what an
  // operator does to a group is no error of it.
  const bool is_error =
      fault.reason != FaultReason::kBusMasterOff && fault.reason != FaultReason::kHeld;
  if (is_error) host_->errors_of(*device_).OnFault();
  return Error{EFAULT, Describe(fault.reason)};
}

}  // namespace ioas::soft
