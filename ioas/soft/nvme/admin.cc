#include "ioas/soft/nvme/admin.h"

#include "ioas/soft/nvme/async_events.h"
#include "ioas/soft/nvme/features.h"
#include "ioas/soft/nvme/identify.h"
#include "ioas/soft/nvme/log_pages.h"
#include "ioas/soft/nvme/registers.h"

namespace ioas::soft::nvme {
namespace {

// What both commands that create a queue say of it (figures 151 and 155).
struct QueueRequest {
  explicit QueueRequest(const SubmissionEntry& command)
      : id(command.cdw10 & 0xffff),
        entries((command.cdw10 >> 16) + 1),
        base(command.prp1),
        contiguous((command.cdw11 & 1) != 0) {}

  uint32_t id;
  uint32_t entries;
  uint64_t base;
  bool contiguous;
};

bool IsIoQueueId(uint32_t id) { return id != 0 && id <= kMaximumIoQueues; }

CommandStatus CheckRequest(const Session& session, const QueueRequest& request, bool exists,
                           bool entry_size_is_set) {
  if (exists) return CommandStatus::kInvalidQueueIdentifier;
  if (request.entries < 2 || request.entries > kMaximumQueueEntries || !entry_size_is_set) {
    return CommandStatus::kInvalidQueueSize;
  }
  if (request.base % session.page_size != 0) return CommandStatus::kPrpOffsetInvalid;
  if (!request.contiguous) return CommandStatus::kInvalidField;  // CAP.CQR
  return CommandStatus::kSuccess;
}

CommandStatus CreateCompletionQueue(const Session& session, Queues& queues,
                                    const SubmissionEntry& command) {
  const QueueRequest request(command);
  if (!IsIoQueueId(request.id)) return CommandStatus::kInvalidQueueIdentifier;
  const CommandStatus status = CheckRequest(session, request, queues.HasCompletion(request.id),
                                            CompletionEntryShiftOf(session.cc) == 4);
  if (status != CommandStatus::kSuccess) return status;
  const bool interrupts_enabled = (command.cdw11 >> 1 & 1) != 0;
  const uint32_t vector = command.cdw11 >> 16;
  if (vector >= kInterruptVectors) return CommandStatus::kInvalidInterruptVector;
  queues.CreateCompletion(request.id, request.base, request.entries, static_cast<uint16_t>(vector),
                          interrupts_enabled);
  return CommandStatus::kSuccess;
}

CommandStatus CreateSubmissionQueue(const Session& session, Queues& queues,
                                    const SubmissionEntry& command) {
  const QueueRequest request(command);
  const uint32_t completion_queue = command.cdw11 >> 16;
  if (!IsIoQueueId(request.id) || !IsIoQueueId(completion_queue)) {
    return CommandStatus::kInvalidQueueIdentifier;
  }
  if (!queues.HasCompletion(completion_queue)) return CommandStatus::kCompletionQueueInvalid;
  const CommandStatus status = CheckRequest(session, request, queues.HasSubmission(request.id),
                                            SubmissionEntryShiftOf(session.cc) == 6);
  if (status != CommandStatus::kSuccess) return status;
  queues.CreateSubmission(request.id, request.base, request.entries, completion_queue);
  return CommandStatus::kSuccess;
}

CommandStatus DeleteSubmissionQueue(Queues& queues, const SubmissionEntry& command) {
  const uint32_t id = command.cdw10 & 0xffff;
  if (!IsIoQueueId(id) || !queues.HasSubmission(id)) {
    return CommandStatus::kInvalidQueueIdentifier;
  }
  queues.DeleteSubmission(id);
  return CommandStatus::kSuccess;
}

CommandStatus DeleteCompletionQueue(const Session& session, Queues& queues,
                                    const SubmissionEntry& command) {
  const uint32_t id = command.cdw10 & 0xffff;
  if (!IsIoQueueId(id) || !queues.HasCompletion(id)) {
    return CommandStatus::kInvalidQueueIdentifier;
  }
  if (session.completion_queues[id].submission_queues != 0) {
    return CommandStatus::kInvalidQueueDeletion;
  }
  queues.DeleteCompletion(id);
  return CommandStatus::kSuccess;
}

// Commands are carried out as they are fetched: there is never one left to abort, which is what
// bit 0 of the result says.
CommandOutcome Abort(const Queues& queues, const SubmissionEntry& command) {
  constexpr uint32_t kNotAborted = 1;
  const uint32_t id = command.cdw10 & 0xffff;
  if (id > kMaximumIoQueues || !queues.HasSubmission(id)) {
    return {.status = CommandStatus::kInvalidField};
  }
  return {.result = kNotAborted};
}

}  // namespace

CommandOutcome ExecuteAdminCommand(const Context& context, Queues& queues,
                                   const SubmissionEntry& command) {
  Session& session = context.session();
  if (command.flags != 0) return {.status = CommandStatus::kInvalidField};
  switch (static_cast<AdminOpcode>(command.opcode)) {
    case AdminOpcode::kDeleteSubmissionQueue:
      return {.status = DeleteSubmissionQueue(queues, command)};
    case AdminOpcode::kCreateSubmissionQueue:
      return {.status = CreateSubmissionQueue(session, queues, command)};
    case AdminOpcode::kGetLogPage:
      return GetLogPage(context, command);
    case AdminOpcode::kDeleteCompletionQueue:
      return {.status = DeleteCompletionQueue(session, queues, command)};
    case AdminOpcode::kCreateCompletionQueue:
      return {.status = CreateCompletionQueue(session, queues, command)};
    case AdminOpcode::kIdentify:
      return Identify(context, command);
    case AdminOpcode::kAbort:
      return Abort(queues, command);
    case AdminOpcode::kSetFeatures:
      return SetFeatures(context, command);
    case AdminOpcode::kGetFeatures:
      return GetFeatures(context, command);
    case AdminOpcode::kAsyncEventRequest:
      return RequestAsyncEvent(session.events, command);
  }
  return {.status = CommandStatus::kInvalidOpcode};
}

}  // namespace ioas::soft::nvme
