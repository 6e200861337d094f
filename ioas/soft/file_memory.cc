#include "ioas/soft/file_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include <algorithm>
#include <bit>
#include <cerrno>

#include "ioas/base/system_call.h"
#include "ioas/soft/file_search.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

constexpr long kTmpfs = 0x01021994;
constexpr long kHugetlbfs = 0x958458f6;
constexpr uint64_t kPage = 4096;

// What this process knows of a file.
struct KnownFile {
  uint64_t generation;  // 0: nothing
  int fd;
  uint64_t address;
  uint64_t size;
};

PrivateLock lock;
SignalMask signals_over_fork;
// Of one table: a process has one host.
const ProcessTableState* known_table;
KnownFile known[kMaxFiles];

void Forget(KnownFile& file) {
  if (file.generation == 0) return;
  if (file.address != 0) SystemCall(SYS_munmap, file.address, file.size);
  CloseHidden(file.fd);
  file = {};
}

void ForgetGone(FileTable files) {
  for (uint32_t i = 0; i < kMaxFiles; ++i) {
    const uint32_t owner = kFirstFile + i;
    if (!files.is_held(owner) || files.generation(owner) != known[i].generation) Forget(known[i]);
  }
}

void UseTable(ProcessTable processes) {
  if (known_table == processes.state()) return;
  std::for_each(std::begin(known), std::end(known), Forget);
  known_table = processes.state();
}

// Maps it up to `end`, and as far again as may be wanted soon: what lies beyond the file's end is
// no memory, but harmless.
void MapUpTo(KnownFile& file, uint64_t end) {
  if (file.address != 0 && file.size >= end) return;
  if (file.address != 0) SystemCall(SYS_munmap, file.address, file.size);
  file.size = std::bit_ceil(std::max(end, kPage));
  long mapped = -EACCES;
  for (const int protection : {PROT_READ | PROT_WRITE, PROT_READ}) {
    if (mapped >= 0 || mapped == -ENOMEM) break;
    mapped = SystemCall(SYS_mmap, nullptr, file.size, protection, MAP_SHARED | MAP_NORESERVE,
                        file.fd, 0L);
  }
  // The last page of all is no address, but an error.
  file.address = static_cast<uint64_t>(mapped) < uint64_t{0} - kPage ? mapped : 0;
}

}  // namespace

FileMemory::FileMemory(ProcessTable processes, uint32_t owner, uint64_t end) : guard_(lock) {
  UseTable(processes);
  const FileTable files(processes);
  KnownFile& file = known[owner - kFirstFile];
  if (file.generation != files.generation(owner)) {
    ForgetGone(files);
    const Result<int> fd = OpenByIdentity(processes, files.identity(owner));
    if (!fd.ok()) return;
    file = {files.generation(owner), *fd, 0, 0};
  }
  constexpr uint64_t kMost = uint64_t{1} << 46;
  if (end > kMost) return;
  MapUpTo(file, end);
  fd_ = file.fd;
  address_ = file.address;
}

Status FileMemory::CheckPinnable(uint64_t end) const {
  struct statfs kind = {};
  struct stat status = {};
  if (fd_ < 0 || SystemCall(SYS_fstatfs, fd_, &kind) != 0 ||
      SystemCall(SYS_fstat, fd_, &status) != 0 ||
      (kind.f_type != kTmpfs && kind.f_type != kHugetlbfs)) {
    return Error{EINVAL, "the file is no memory"};
  }
  if (end > static_cast<uint64_t>(status.st_size)) {
    return Error{EINVAL, "the file ends before"};
  }
  return {};
}

Status KnowFile(ProcessTable processes, uint32_t owner, int fd) {
  const PrivateLock::Guard guard(lock);
  UseTable(processes);
  const uint64_t generation = FileTable(processes).generation(owner);
  KnownFile& file = known[owner - kFirstFile];
  if (file.generation == generation) return {};
  Forget(file);
  const Result<int> opened = OpenAgain(fd);
  if (!opened.ok()) return opened.error();
  file = {generation, *opened, 0, 0};
  return {};
}

void ForgetFiles(ProcessTable processes) {
  const PrivateLock::Guard guard(lock);
  UseTable(processes);
  ForgetGone(FileTable(processes));
}

void HoldFiles() { signals_over_fork = lock.Lock(); }
void ReleaseFiles() { lock.Unlock(signals_over_fork); }

}  // namespace ioas::soft
