// The processes whose memory devices can reach.
//
// A mapping says whose memory it leads to by an index in this table, because the process that made
// the mapping need not be the one that carries its device on. The table also holds how much memory
// each process has locked for devices.
#ifndef IOAS_PROCESS_TABLE_H_
#define IOAS_PROCESS_TABLE_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>

#include "ioas/base/result.h"
#include "ioas/base/robust_mutex.h"

namespace ioas {

inline constexpr uint32_t kMaxProcesses = 256;

// What tells one process from every other, those with the same number before and after included.
struct ProcessIdentity {
  pid_t pid;            // 0: nobody
  uint64_t start_time;  // field 22 of /proc/PID/stat, in clock ticks since boot; 0 where unknown
  uint64_t image;       // differs after each execve: from the kernel's random bytes (AT_RANDOM)

  bool operator==(const ProcessIdentity&) const = default;
};

struct ProcessEntry {
  std::atomic<pid_t> pid;      // 0: free
  std::atomic<uint32_t> gone;  // 1: that process runs another program now
  std::atomic<uint64_t> start_time;
  std::atomic<uint64_t> image;
  std::atomic<uint64_t> locked_bytes;
  std::atomic<uint64_t> holds;  // see ProcessTable::Hold
};

// What tells one file from every other that is there at the same time.
struct FileIdentity {
  uint64_t device;  // as in stat()
  uint64_t inode;

  bool operator==(const FileIdentity&) const = default;
};

// See FileTable.
struct FileEntry {
  std::atomic<uint64_t> holds;  // 0: free
  std::atomic<uint64_t> generation;
  std::atomic<uint64_t> device;
  std::atomic<uint64_t> inode;
  std::atomic<uint32_t> process;
};
inline constexpr uint32_t kMaxFiles = 256;
inline constexpr uint32_t kFirstFile = kMaxProcesses;

struct ProcessTableState {
  RobustMutex mutex;  // guards taking and giving back entries
  ProcessEntry entries[kMaxProcesses];
  FileEntry files[kMaxFiles];
};

// A view on a table: one pointer.
class ProcessTable {
 public:
  explicit ProcessTable(ProcessTableState* state) : state_(state) {}

  // Makes the table usable; its memory is all zero.
  void Initialize() { state_->mutex.Initialize(); }

  // The index of this process, which is entered at the first call. Later calls cost two loads.
  // ENOMEM if there is no room: only entries of dead processes that nothing holds and that have
  // no locked memory are used again, so that a mapping never comes to mean another process's
  // memory.
  Result<uint32_t> Register();

  // To be called in a forked child before anything else here: it is another process now.
  static void OnFork();

  // Who entry `index` is, and pid 0 if there is nobody or its memory went with an execve. It may be
  // dead by now.
  ProcessIdentity identity(uint32_t index) const;

  // Adds `bytes` to this process's locked memory. ENOMEM, and nothing is added, if that exceeded
  // RLIMIT_MEMLOCK and the process has no CAP_IPC_LOCK; `lockable` is then how many bytes could
  // have been added. `lockable` may be null. Behaviour: vfio_pin_pages_remote in
  // drivers/vfio/vfio_iommu_type1.c; the limit counts what devices lock, not what mlock() does.
  Status LockMemory(uint64_t bytes, uint64_t* lockable);
  // Takes `bytes` off the locked memory of process `index`.
  void UnlockMemory(uint32_t index, uint64_t bytes);
  // Keeps entry `index`, which means some process now, from ever meaning another one until as many
  // calls of Release: for mappings whose memory is not locked.
  void Hold(uint32_t index) { state_->entries[index].holds.fetch_add(1); }
  void Release(uint32_t index) { state_->entries[index].holds.fetch_sub(1); }
  uint64_t locked_bytes(uint32_t index) const { return state_->entries[index].locked_bytes; }
  // Adds to the locked memory of process `index`, another one, what it may already have exceeded.
  void AddLockedMemory(uint32_t index, uint64_t bytes) {
    state_->entries[index].locked_bytes.fetch_add(bytes, std::memory_order_relaxed);
  }

  ProcessTableState* state() const { return state_; }

 private:
  // Register where the index is not known yet.
  Result<uint32_t> Enter();

  ProcessTableState* state_;
};

// When process `pid` started, as in ProcessIdentity; 0 if there is no such process, or it is a
// zombie, or /proc does not show it.
uint64_t ProcessStartTime(pid_t pid);

}  // namespace ioas

#endif  // IOAS_PROCESS_TABLE_H_
