// All that an NVMe controller remembers, as it lies in memory that processes share.
//
// Any process may take over where another was killed. Each step is therefore either one that may be
// done again, or is recorded in the journal before it takes effect.
#ifndef IOAS_SOFT_NVME_STATE_H_
#define IOAS_SOFT_NVME_STATE_H_

#include <cstdint>
#include <type_traits>

#include "ioas/soft/nvme/nvme_spec.h"

namespace ioas::soft {

namespace nvme {

// How many commands of one queue are fetched, and how many completions are posted, at once.
inline constexpr uint32_t kBatch = 32;

struct SubmissionQueue {
  uint64_t base;     // an IOVA
  uint32_t entries;  // 0: there is no such queue
  uint32_t head;
  uint32_t tail;
  uint32_t seen_doorbell;
  uint32_t completion_queue;
};

struct CompletionQueue {
  uint64_t base;     // an IOVA
  uint32_t entries;  // 0: there is no such queue
  uint32_t head;
  uint32_t tail;
  uint32_t seen_doorbell;
  uint32_t submission_queues;  // how many use it
  uint16_t vector;
  bool phase;  // of the next entry
  bool interrupts_enabled;
  bool interrupt_due;  // something was posted and not signalled yet
};

// Completions of commands that are carried out, on their way to the completion queue. A command
// counts as carried out from the moment that `count` covers it.
struct CompletionJournal {
  uint32_t count;
  uint32_t submission_queue;
  uint32_t first_slot;
  bool first_phase;
  CompletionEntry entries[kBatch];
};

struct FeatureValues {
  uint32_t arbitration;
  uint32_t temperature_over;
  uint32_t temperature_under;
  uint32_t error_recovery;
  uint32_t write_cache;
  uint32_t interrupt_coalescing;
  uint32_t write_atomicity;
  uint32_t async_events;
  bool coalescing_disabled[kInterruptVectors];
  bool timestamp_was_set;
  uint64_t timestamp;         // milliseconds, as it was set
  uint64_t timestamp_set_at;  // milliseconds of the monotonic clock
  uint8_t host_identifier[16];
};

struct AsyncEvents {
  uint32_t outstanding;  // requests that wait for an event
  uint16_t command_ids[kAsyncEventRequests];
  uint32_t pending;       // bits: 1 << AsyncEvent, happened and not reported
  uint32_t masked_types;  // bits: 1 << type, reported and the log page not read since
};

// What a controller level reset clears.
struct Session {
  uint32_t cc;    // as last seen and acted on
  uint32_t csts;  // as last stored
  uint32_t interrupt_mask;
  uint32_t page_size;  // while CSTS.RDY
  bool pin_asserted;
  bool interrupts_due;             // what the interrupts depend on has changed
  uint32_t next_io_queue;          // bit number where the next round of arbitration begins
  uint64_t submission_queue_bits;  // I/O queues that are there: bit 0 is queue 1
  uint64_t completion_queue_bits;
  SubmissionQueue submission_queues[kMaximumIoQueues + 1];
  CompletionQueue completion_queues[kMaximumIoQueues + 1];
  CompletionJournal journal;
  FeatureValues features;
  AsyncEvents events;
};

struct ErrorRecord {
  uint64_t error_count;
  uint16_t submission_queue;
  uint16_t command_id;
  uint16_t status;
  uint32_t namespace_id;
  uint64_t lba;
};

// What lasts until the device is gone.
struct Lifetime {
  uint64_t power_on_at;   // milliseconds of the monotonic clock; 0: never reset yet
  uint64_t sectors_read;  // units of 512 bytes
  uint64_t sectors_written;
  uint64_t host_reads;
  uint64_t host_writes;
  uint64_t media_errors;
  uint64_t errors;
  ErrorRecord error_log[kErrorLogEntries];  // error number n at (n - 1) % kErrorLogEntries
};

}  // namespace nvme

// Memory of zeroes, once reset, is a controller just powered on.
struct NvmeState {
  uint64_t block_count;  // of the namespace, from the image's size at the last reset
  // The image failed to reach its disk. What was lost then no later flush can bring back, so all
  // of them fail until the function is reset.
  bool flush_failed;
  nvme::Session session;
  nvme::Lifetime lifetime;
};
static_assert(std::is_trivially_copyable_v<NvmeState>);

}  // namespace ioas::soft

#endif  // IOAS_SOFT_NVME_STATE_H_
