// Submission and completion queues (4.1): fetching commands, posting completions, doorbells, and
// the interrupts that follow from them.
#ifndef IOAS_SOFT_NVME_QUEUES_H_
#define IOAS_SOFT_NVME_QUEUES_H_

#include <cstdint>
#include <span>

#include "ioas/base/result.h"
#include "ioas/soft/device_model.h"
#include "ioas/soft/nvme/registers.h"
#include "ioas/soft/nvme/state.h"

namespace ioas::soft::nvme {

// A view of the queues of one controller. Queue 0 is the admin queue; ids are at most
// kMaximumIoQueues in every call.
class Queues {
 public:
  Queues(Session& session, RegisterPages registers, DmaPort& dma, InterruptSink& interrupts)
      : session_(session), registers_(registers), dma_(dma), interrupts_(interrupts) {}

  bool HasSubmission(uint32_t id) const { return session_.submission_queues[id].entries != 0; }
  bool HasCompletion(uint32_t id) const { return session_.completion_queues[id].entries != 0; }

  // Makes queue `id`, empty, of `entries` (2 to kMaximumQueueEntries) at IOVA `base`, and sets its
  // doorbell to 0. The caller has checked that it may.
  void CreateSubmission(uint32_t id, uint64_t base, uint32_t entries, uint32_t completion_queue);
  void CreateCompletion(uint32_t id, uint64_t base, uint32_t entries, uint16_t vector,
                        bool interrupts_enabled);
  // Drops queue `id`, which is there, with the commands in it that were not fetched.
  void DeleteSubmission(uint32_t id);
  void DeleteCompletion(uint32_t id);

  // Looks at the doorbells of all queues that are there. Returns whether one was written. A value
  // outside the queue, or a completion head that passes the tail, is an event and else ignored.
  bool NoticeDoorbells();

  // Reads the next commands of submission queue `id`: as many as there are, fit `commands` (up to
  // kBatch) and have room in the completion queue, without wrapping around. They stay in the queue
  // until they are completed or held. EFAULT if they cannot be read.
  Result<uint32_t> Fetch(uint32_t id, std::span<SubmissionEntry> commands);
  // The oldest of the commands fetched last and not completed is carried out.
  void Complete(uint16_t command_id, const CommandOutcome& outcome);
  // The one command fetched is kept by whoever it is for, and completed by CompleteHeld.
  void Hold(uint32_t id);
  // Completes a command that was held: false, and nothing done, if its queue has no room. EFAULT as
  // Post.
  bool HasRoomForHeld(uint32_t id) const;
  void CompleteHeld(uint32_t id, uint16_t command_id, uint32_t result);

  // Whether completions wait to be posted: another process died before it did.
  bool HasUnposted() const;
  // Writes the completions that are due to the completion queue. EFAULT if that cannot be done.
  Status Post();

  // Signals what was posted, or sets the level of the pin, as far as the mask lets it.
  void DeliverInterrupts();

 private:
  bool NoticeTail(uint32_t id);
  bool NoticeHead(uint32_t id);
  uint32_t FreeCompletions(uint32_t submission_id) const;
  void Append(uint16_t command_id, const CommandOutcome& outcome, uint32_t submission_head);
  bool IsMasked(const CompletionQueue& queue) const;
  void SignalMessages();
  void SetPin();

  Session& session_;
  RegisterPages registers_;
  DmaPort& dma_;
  InterruptSink& interrupts_;
};

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_QUEUES_H_
