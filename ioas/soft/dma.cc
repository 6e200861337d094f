#include "ioas/soft/dma.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "ioas/base/system_call.h"
#include "ioas/soft/peer_process.h"

namespace ioas::soft {
namespace {

// How much is copied, and in how many pieces, while the address space's lock is held: about 30
// microseconds' worth, for which an unmap may have to wait.
constexpr uint64_t kMaxBatchBytes = 256 * 1024;
constexpr uint32_t kMaxBatchPieces = 64;

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
  uint64_t iovas[kMaxBatchPieces];  // where each begins in the address space

  void Append(const Translation& to, uint64_t iova, uint32_t length) {
    process = to.process;
    pieces[count] = {reinterpret_cast<void*>(to.user_address), length};
    iovas[count] = iova;
    ++count;
    bytes += length;
  }
  // The IOVA of byte number `done` of the batch.
  uint64_t IovaOf(uint64_t done) const {
    uint32_t i = 0;
    while (i + 1 < count && done >= pieces[i].iov_len) done -= pieces[i++].iov_len;
    return iovas[i] + done;
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

Status SoftDmaPort::Transfer(std::span<const DmaSegment> segments, std::byte* buffer,
                             Access access) {
  if (segments.empty()) return {};
  if (watch_ != nullptr) watch_->Disarm();
  Cursor cursor{segments, 0};
  if (!PciConfig(&device_->config).bus_master()) {
    return Fail({cursor.iova(), FaultReason::kBusMasterOff}, access);
  }
  const GroupErrors& errors = host_->errors_of(*device_);
  if (errors.has(kDmaFrozen)) return Fail({cursor.iova(), FaultReason::kFrozen}, access);
  if (device_->is_held) return Fail({cursor.iova(), FaultReason::kHeld}, access);
  if (!device_->space) return Fail({cursor.iova(), FaultReason::kBlocked}, access);
  AddressSpace space(*arena_, device_->space);
  while (!cursor.done()) {
    if (std::optional<Fault> fault = TransferBatch(space, cursor, buffer, access)) {
      return Fail(*fault, access);
    }
  }
  return {};
}

// Copies as much as one batch takes, and moves `cursor` and `buffer` on. What comes before a fault
// is copied.
std::optional<SoftDmaPort::Fault> SoftDmaPort::TransferBatch(AddressSpace& space, Cursor& cursor,
                                                             std::byte*& buffer, Access access) {
  AddressSpace::Lock lock(space);
  Batch batch;
  std::optional<Fault> fault = Gather(space, cursor, access, batch);
  if (batch.count != 0) {
    const pid_t pid = MemoryOf(host_->processes(), batch.process);
    const uint64_t copied = pid == 0 ? 0 : batch.Copy(pid, buffer, access);
    if (copied < batch.bytes) fault = {batch.IovaOf(copied), FaultReason::kMemoryGone};
    buffer += copied;
    (access == kAccessRead ? space.statistics().dma_read : space.statistics().dma_written) +=
        copied;
  }
  if (fault) ++space.statistics().faults;
  return fault;
}

// Translates from `cursor` on, which it moves, until `batch` is full, another process's memory
// begins, or a byte cannot be reached.
std::optional<SoftDmaPort::Fault> SoftDmaPort::Gather(AddressSpace& space, Cursor& cursor,
                                                      Access access, Batch& batch) const {
  while (!cursor.done() && batch.count < kMaxBatchPieces && batch.bytes < kMaxBatchBytes) {
    const uint64_t iova = cursor.iova();
    const uint64_t permitted = BytesBeforeRefused(iova);
    if (permitted == 0) return Fault{iova, FaultReason::kRefused};
    const Result<Translation> to = space.Translate(iova, access);
    if (!to.ok()) {
      return Fault{iova,
                   to.error().code == EACCES ? FaultReason::kPermission : FaultReason::kNotMapped};
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

Status SoftDmaPort::Fail(const Fault& fault, Access access) {
  host_->faults().Record({fault.iova, device_->address.number(), access, fault.reason, 1});
  // A device that may not use the bus does nothing that the bus could find wrong, and what an
  // operator does to a group is no error of it.
  const bool is_error =
      fault.reason != FaultReason::kBusMasterOff && fault.reason != FaultReason::kHeld;
  if (is_error) host_->errors_of(*device_).OnFault();
  return Error{EFAULT, Describe(fault.reason)};
}

}  // namespace ioas::soft
