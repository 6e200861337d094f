#include "ioas/process_table.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/auxv.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstdio>
#include <cstring>

#include "ioas/base/system_call.h"

namespace ioas {
namespace {

constexpr uint64_t kNoLimit = ~uint64_t{0};
// The fields of /proc/PID/stat that are read here (proc(5) counts from 1; the second one, the
// program's name in brackets, may hold anything, so counting starts behind it).
constexpr int kStateField = 3;
constexpr int kStartTimeField = 22;

// What is known of this process without asking. One word holds the table and the index, so that
// threads that use different tables never see half of each other's: user addresses have 47 bits.
std::atomic<uint64_t> own_index{0};
std::atomic<pid_t> own_pid{0};
enum Capability : int { kUnknown = 0, kAbsent = 1, kPresent = 2 };
std::atomic<int> may_lock_any{kUnknown};

uint64_t Pack(const ProcessTableState* table, uint32_t index) {
  static_assert(kMaxProcesses <= 1u << 16);
  return reinterpret_cast<uint64_t>(table) << 16 | index;
}

uint64_t ParseStartTime(const char* stat) {
  const char* text = std::strrchr(stat, ')');
  if (text == nullptr) return 0;
  for (int field = 2; field < kStartTimeField; ++field) {
    text = std::strchr(text + 1, ' ');
    if (text == nullptr) return 0;
    // Zombies and the dead have no memory any more.
    if (field + 1 == kStateField && (text[1] == 'Z' || text[1] == 'X')) return 0;
  }
  uint64_t value = 0;
  for (++text; *text >= '0' && *text <= '9'; ++text) value = value * 10 + (*text - '0');
  return value;
}

uint64_t ImageOfThisProcess() {
  uint64_t image = 0;
  const auto* random = reinterpret_cast<const void*>(getauxval(AT_RANDOM));
  if (random != nullptr) std::memcpy(&image, random, sizeof(image));
  return image;
}

ProcessIdentity ThisProcess() {
  const auto pid = static_cast<pid_t>(SystemCall(SYS_getpid));
  return {pid, ProcessStartTime(pid), ImageOfThisProcess()};
}

bool IsAlive(const ProcessEntry& entry) {
  return entry.gone == 0 && ProcessStartTime(entry.pid) == entry.start_time &&
         SystemCall(SYS_kill, entry.pid.load(), 0) != -ESRCH;
}

// vfio asks for the capability when a range is mapped; it is looked up once here, since asking
// costs as much as the rest of a small mapping.
bool MayLockAny() {
  int known = may_lock_any.load(std::memory_order_relaxed);
  if (known == kUnknown) {
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    const bool present =
        SystemCall(SYS_capget, &header, data) == 0 && (data[0].effective & 1u << CAP_IPC_LOCK) != 0;
    known = present ? kPresent : kAbsent;
    may_lock_any.store(known, std::memory_order_relaxed);
  }
  return known == kPresent;
}

uint64_t LockedMemoryLimit() {
  if (MayLockAny()) return kNoLimit;
  rlimit64 limit = {};
  if (SystemCall(SYS_prlimit64, 0, RLIMIT_MEMLOCK, nullptr, &limit) != 0) return kNoLimit;
  return limit.rlim_cur;
}

}  // namespace

uint64_t ProcessStartTime(pid_t pid) {
  char text[1024];
  std::snprintf(text, sizeof(text), "/proc/%d/stat", pid);
  const long fd = SystemCall(SYS_openat, AT_FDCWD, text, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return 0;
  const long length = SystemCall(SYS_read, fd, text, sizeof(text) - 1);
  SystemCall(SYS_close, fd);
  if (length <= 0) return 0;
  text[length] = '\0';
  return ParseStartTime(text);
}

void ProcessTable::OnFork() {
  own_index.store(0, std::memory_order_relaxed);
  own_pid.store(0, std::memory_order_relaxed);
  may_lock_any.store(kUnknown, std::memory_order_relaxed);
}

Result<uint32_t> ProcessTable::Register() {
  const uint64_t cached = own_index.load(std::memory_order_relaxed);
  const auto index = static_cast<uint32_t>(cached & (kMaxProcesses - 1));
  // The process number is compared too, in case another table lies where the known one lay.
  if (cached == Pack(state_, index) && state_->entries[index].pid.load(std::memory_order_relaxed) ==
                                           own_pid.load(std::memory_order_relaxed)) {
    return index;
  }
  return Enter();
}

// Apart from Register, so that nobody pays for its stack frame.
[[gnu::noinline]] Result<uint32_t> ProcessTable::Enter() {
  const ProcessIdentity self = ThisProcess();
  RobustLock lock(state_->mutex);
  ProcessEntry* const end = state_->entries + kMaxProcesses;
  ProcessEntry* entry = std::find_if(state_->entries, end, [&](const ProcessEntry& candidate) {
    return identity(static_cast<uint32_t>(&candidate - state_->entries)) == self;
  });
  if (entry == end) {
    for (ProcessEntry& old : state_->entries) {
      if (old.pid == self.pid) old.gone = 1;
    }
    entry = std::find_if(state_->entries, end, [](const ProcessEntry& candidate) {
      return candidate.pid == 0 ||
             (candidate.locked_bytes == 0 && candidate.holds == 0 && !IsAlive(candidate));
    });
    if (entry == end) return Error{ENOMEM, "too many processes use the host"};
    entry->start_time = self.start_time;
    entry->image = self.image;
    entry->gone = 0;
    entry->pid = self.pid;
  }
  const auto found = static_cast<uint32_t>(entry - state_->entries);
  own_pid.store(self.pid, std::memory_order_relaxed);
  own_index.store(Pack(state_, found), std::memory_order_relaxed);
  return found;
}

ProcessIdentity ProcessTable::identity(uint32_t index) const {
  if (index >= kMaxProcesses) return {};
  const ProcessEntry& entry = state_->entries[index];
  if (entry.gone != 0) return {};
  return {entry.pid, entry.start_time, entry.image};
}

Status ProcessTable::LockMemory(uint64_t bytes, uint64_t* lockable) {
  const Result<uint32_t> index = Register();
  if (!index.ok()) return index.error();
  std::atomic<uint64_t>& locked = state_->entries[*index].locked_bytes;
  const uint64_t limit = LockedMemoryLimit();
  uint64_t before = locked.load(std::memory_order_relaxed);
  do {
    const uint64_t room = before < limit ? limit - before : 0;
    if (bytes > room) {
      if (lockable != nullptr) *lockable = room;
      return Error{ENOMEM, "the locked-memory limit (RLIMIT_MEMLOCK) would be exceeded"};
    }
  } while (!locked.compare_exchange_weak(before, before + bytes, std::memory_order_relaxed));
  return {};
}

void ProcessTable::UnlockMemory(uint32_t index, uint64_t bytes) {
  if (index >= kMaxProcesses) return;
  std::atomic<uint64_t>& locked = state_->entries[index].locked_bytes;
  uint64_t before = locked.load(std::memory_order_relaxed);
  while (!locked.compare_exchange_weak(before, before - std::min(before, bytes),
                                       std::memory_order_relaxed)) {
  }
}

}  // namespace ioas
