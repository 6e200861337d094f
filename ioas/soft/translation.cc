#include "ioas/soft/translation.h"

#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

#include "ioas/base/system_call.h"
#include "ioas/soft/owner_memory.h"

namespace ioas::soft {
namespace {

// Whether all of `value` could be read from `address` of the process.
bool Fetch(pid_t pid, uint64_t address, uint64_t& value) {
  const iovec local = {&value, sizeof(value)};
  const iovec remote = {reinterpret_cast<void*>(address), sizeof(value)};
  return SystemCall(SYS_process_vm_readv, pid, &local, 1L, &remote, 1L, 0L) ==
         static_cast<long>(sizeof(value));
}

}  // namespace

Result<Translation> TargetTranslation::Translate(uint64_t iova, uint32_t access) {
  const DomainState* const domain = target_->domain ? arena_->Get(target_->domain) : nullptr;
  if (domain == nullptr || !domain->user_table) {
    is_recoverable_ = true;
    return space_->Translate(iova, access);
  }
  UserTable table(arena_->Get(domain->user_table), this);
  const Result<UserTranslation> first = table.Translate(iova, access);
  is_recoverable_ = first.error().code == ENOENT || first.error().code == EACCES;
  if (!first.ok()) return first.error();
  Result<Translation> second = space_->Translate(first->target, access);
  if (second.ok()) second->contiguous = std::min(second->contiguous, first->contiguous);
  return second;
}

FaultReason TargetTranslation::ReasonOf(int code) {
  switch (code) {
    case EACCES:
      return FaultReason::kPermission;
    case EFAULT:
      return FaultReason::kTableGone;
    case EINVAL:
      return FaultReason::kTableInvalid;
    default:
      return FaultReason::kNotMapped;
  }
}

Result<uint64_t> TargetTranslation::ReadEntry(uint64_t address) {
  const Result<Translation> at = space_->Translate(address, kAccessRead);
  if (!at.ok()) return at.error();
  constexpr Error kGone = {EFAULT, "the memory is gone"};
  if (at->contiguous < sizeof(uint64_t)) return kGone;
  uint64_t entry = 0;
  const OwnerMemory memory(processes_, at->process, at->user_address + sizeof(entry));
  const bool is_read =
      memory.pid() != 0 && Fetch(memory.pid(), memory.base() + at->user_address, entry);
  if (!is_read) return kGone;
  return entry;
}

}  // namespace ioas::soft
