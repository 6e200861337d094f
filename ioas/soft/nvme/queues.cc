#include "ioas/soft/nvme/queues.h"

#include <algorithm>
#include <atomic>
#include <bit>

#include "ioas/soft/nvme/async_events.h"

namespace ioas::soft::nvme {
namespace {

// Calls `visit` with 0, the admin queue, and with every I/O queue of `bits`.
template <typename Visit>
void ForEachQueue(uint64_t bits, Visit visit) {
  visit(0);
  for (; bits != 0; bits &= bits - 1) visit(static_cast<uint32_t>(std::countr_zero(bits)) + 1);
}

uint64_t BitOf(uint32_t id) { return id == 0 ? 0 : uint64_t{1} << (id - 1); }

// How far it is from `from` to `to` in a ring.
uint32_t Distance(uint32_t from, uint32_t to, uint32_t entries) {
  return to >= from ? to - from : to + entries - from;
}

uint32_t Advance(uint32_t place, uint32_t by, uint32_t entries) {
  return place + by < entries ? place + by : place + by - entries;
}

// Tells whoever comes after this process was killed which commands were carried out: it must not be
// written before the entries that it counts.
std::atomic_ref<uint32_t> CountOf(CompletionJournal& journal) {
  return std::atomic_ref<uint32_t>(journal.count);
}

}  // namespace

void Queues::CreateSubmission(uint32_t id, uint64_t base, uint32_t entries,
                              uint32_t completion_queue) {
  registers_.Store(TailDoorbell(id), 0);
  SubmissionQueue& queue = session_.submission_queues[id];
  queue = {};
  queue.base = base;
  queue.entries = entries;
  queue.completion_queue = completion_queue;
  session_.submission_queue_bits |= BitOf(id);
  ++session_.completion_queues[completion_queue].submission_queues;
}

void Queues::CreateCompletion(uint32_t id, uint64_t base, uint32_t entries, uint16_t vector,
                              bool interrupts_enabled) {
  registers_.Store(HeadDoorbell(id), 0);
  CompletionQueue& queue = session_.completion_queues[id];
  queue = {};
  queue.base = base;
  queue.entries = entries;
  queue.vector = vector;
  queue.phase = true;
  queue.interrupts_enabled = interrupts_enabled;
  session_.completion_queue_bits |= BitOf(id);
}

void Queues::DeleteSubmission(uint32_t id) {
  SubmissionQueue& queue = session_.submission_queues[id];
  session_.submission_queue_bits &= ~BitOf(id);
  --session_.completion_queues[queue.completion_queue].submission_queues;
  queue = {};
}

void Queues::DeleteCompletion(uint32_t id) {
  session_.completion_queue_bits &= ~BitOf(id);
  session_.completion_queues[id] = {};
  session_.interrupts_due = true;  // the pin may have been asserted for it
}

bool Queues::NoticeDoorbells() {
  bool noticed = false;
  ForEachQueue(session_.completion_queue_bits, [&](uint32_t id) { noticed |= NoticeHead(id); });
  ForEachQueue(session_.submission_queue_bits, [&](uint32_t id) { noticed |= NoticeTail(id); });
  return noticed;
}

bool Queues::NoticeTail(uint32_t id) {
  SubmissionQueue& queue = session_.submission_queues[id];
  const uint32_t written = registers_.Load(TailDoorbell(id));
  if (written == queue.seen_doorbell) return false;
  queue.seen_doorbell = written;
  const uint32_t tail = written & 0xffff;
  if (tail < queue.entries) {
    queue.tail = tail;
  } else {
    RaiseEvent(session_, AsyncEvent::kInvalidDoorbellValue);
  }
  return true;
}

bool Queues::NoticeHead(uint32_t id) {
  CompletionQueue& queue = session_.completion_queues[id];
  const uint32_t written = registers_.Load(HeadDoorbell(id));
  if (written == queue.seen_doorbell) return false;
  queue.seen_doorbell = written;
  const uint32_t head = written & 0xffff;
  if (head < queue.entries && Distance(queue.head, head, queue.entries) <=
                                  Distance(queue.head, queue.tail, queue.entries)) {
    queue.head = head;
    session_.interrupts_due = true;
  } else {
    RaiseEvent(session_, AsyncEvent::kInvalidDoorbellValue);
  }
  return true;
}

uint32_t Queues::FreeCompletions(uint32_t submission_id) const {
  const uint32_t id = session_.submission_queues[submission_id].completion_queue;
  const CompletionQueue& queue = session_.completion_queues[id];
  return queue.entries - 1 - Distance(queue.head, queue.tail, queue.entries);
}

Result<uint32_t> Queues::Fetch(uint32_t id, std::span<SubmissionEntry> commands) {
  const SubmissionQueue& queue = session_.submission_queues[id];
  const uint32_t end = queue.tail >= queue.head ? queue.tail : queue.entries;
  const uint32_t count = std::min(
      {end - queue.head, FreeCompletions(id), static_cast<uint32_t>(commands.size()), kBatch});
  if (count == 0) return 0U;
  const DmaSegment segment{queue.base + uint64_t{queue.head} * sizeof(SubmissionEntry),
                           count * static_cast<uint32_t>(sizeof(SubmissionEntry))};
  IOAS_RETURN_IF_ERROR(dma_.Read({&segment, 1}, reinterpret_cast<std::byte*>(commands.data())));
  const CompletionQueue& completions = session_.completion_queues[queue.completion_queue];
  CompletionJournal& journal = session_.journal;
  journal.submission_queue = id;
  journal.first_slot = completions.tail;
  journal.first_phase = completions.phase;
  return count;
}

void Queues::Complete(uint16_t command_id, const CommandOutcome& outcome) {
  const CompletionJournal& journal = session_.journal;
  const SubmissionQueue& queue = session_.submission_queues[journal.submission_queue];
  Append(command_id, outcome, Advance(queue.head, journal.count + 1, queue.entries));
}

void Queues::Hold(uint32_t id) {
  SubmissionQueue& queue = session_.submission_queues[id];
  queue.head = Advance(queue.head, 1, queue.entries);
}

bool Queues::HasRoomForHeld(uint32_t id) const { return FreeCompletions(id) != 0; }

void Queues::CompleteHeld(uint32_t id, uint16_t command_id, uint32_t result) {
  const SubmissionQueue& queue = session_.submission_queues[id];
  const CompletionQueue& completions = session_.completion_queues[queue.completion_queue];
  CompletionJournal& journal = session_.journal;
  journal.submission_queue = id;
  journal.first_slot = completions.tail;
  journal.first_phase = completions.phase;
  Append(command_id, {.result = result}, queue.head);
}

void Queues::Append(uint16_t command_id, const CommandOutcome& outcome, uint32_t submission_head) {
  CompletionJournal& journal = session_.journal;
  const uint32_t id = session_.submission_queues[journal.submission_queue].completion_queue;
  const uint32_t slot = journal.first_slot + journal.count;
  const bool wrapped = slot >= session_.completion_queues[id].entries;
  const bool phase = journal.first_phase != wrapped;
  journal.entries[journal.count] = {
      .result = outcome.result,
      .reserved = 0,
      .submission_head = static_cast<uint16_t>(submission_head),
      .submission_queue = static_cast<uint16_t>(journal.submission_queue),
      .command_id = command_id,
      .status = static_cast<uint16_t>(static_cast<uint16_t>(outcome.status) << 1 | phase)};
  CountOf(journal).store(journal.count + 1, std::memory_order_release);
}

bool Queues::HasUnposted() const { return session_.journal.count != 0; }

// All of it may be done twice: where this process is killed, the next one posts the same
// completions to the same places.
Status Queues::Post() {
  CompletionJournal& journal = session_.journal;
  const uint32_t count = CountOf(journal).load(std::memory_order_acquire);
  if (count == 0) return {};
  SubmissionQueue& submissions = session_.submission_queues[journal.submission_queue];
  CompletionQueue& queue = session_.completion_queues[submissions.completion_queue];
  const uint32_t before_wrap = std::min(count, queue.entries - journal.first_slot);
  constexpr uint32_t kSize = sizeof(CompletionEntry);
  const DmaSegment segments[] = {
      {queue.base + uint64_t{journal.first_slot} * kSize, before_wrap * kSize},
      {queue.base, (count - before_wrap) * kSize},
  };
  // In ascending order, eight bytes at a time at least: a host that polls sees the phase last.
  const Status status = dma_.Write({segments, before_wrap == count ? 1U : 2U},
                                   reinterpret_cast<const std::byte*>(journal.entries));
  submissions.head = journal.entries[count - 1].submission_head;
  queue.tail = Advance(journal.first_slot, count, queue.entries);
  queue.phase = journal.first_phase != (journal.first_slot + count >= queue.entries);
  queue.interrupt_due = queue.interrupts_enabled;
  session_.interrupts_due = true;
  CountOf(journal).store(0, std::memory_order_release);
  return status;
}

bool Queues::IsMasked(const CompletionQueue& queue) const {
  return queue.vector < 32 && (session_.interrupt_mask >> queue.vector & 1) != 0;
}

void Queues::DeliverInterrupts() {
  if (!session_.interrupts_due) return;
  if (interrupts_.message_signalled()) {
    SignalMessages();
  } else {
    SetPin();
  }
}

void Queues::SignalMessages() {
  bool masked = false;
  ForEachQueue(session_.completion_queue_bits, [&](uint32_t id) {
    CompletionQueue& queue = session_.completion_queues[id];
    if (!queue.interrupt_due) return;
    if (IsMasked(queue)) {
      masked = true;
      return;
    }
    interrupts_.Signal(queue.vector);
    queue.interrupt_due = false;
  });
  session_.interrupts_due = masked;
}

// The pin is asserted while a completion queue with interrupts holds entries the host has not
// taken (7.5.1.1).
void Queues::SetPin() {
  bool asserted = false;
  ForEachQueue(session_.completion_queue_bits, [&](uint32_t id) {
    CompletionQueue& queue = session_.completion_queues[id];
    queue.interrupt_due = false;
    asserted |= queue.interrupts_enabled && queue.head != queue.tail && !IsMasked(queue);
  });
  if (asserted != session_.pin_asserted) {
    interrupts_.SetPin(asserted);
    session_.pin_asserted = asserted;
  }
  session_.interrupts_due = false;
}

}  // namespace ioas::soft::nvme
