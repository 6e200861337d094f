#include "ioas/soft/nvme/flush.h"

#include "ioas/soft/nvme/async_events.h"

namespace ioas::soft::nvme {

// Linux tells of lost pages once and then calls the file clean (errseq_t): a flush that is repeated
// would succeed, and acknowledge data that is gone.
CommandStatus FlushImage(const Context& context) {
  NvmeState& state = context.state;
  if (state.flush_failed) return CommandStatus::kWriteFault;
  const Status flushed = context.image.Flush();
  if (flushed.ok()) return CommandStatus::kSuccess;
  const int code = flushed.error().code;
  if (code == EIO || code == ENOSPC || code == EDQUOT) {
    state.flush_failed = true;
    RaiseEvent(state.session, AsyncEvent::kReliability);
  }
  return CommandStatus::kWriteFault;
}

}  // namespace ioas::soft::nvme
