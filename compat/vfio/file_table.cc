#include "compat/vfio/file_table.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <charconv>
#include <cstring>

#include "ioas/base/system_call.h"

namespace compat::vfio {
namespace {

using ioas::SystemCall;

// Where the locks lie: beyond all data, so that nobody else's locks meet them.
constexpr off_t kLockBase = off_t{1} << 40;

struct flock SlotLock(uint32_t slot) {
  struct flock lock = {};
  lock.l_type = F_WRLCK;
  lock.l_whence = SEEK_SET;
  lock.l_start = kLockBase + slot;
  lock.l_len = 1;
  return lock;
}

// Opens the arena's file once more: a new open file description.
long Reopen(int arena_fd, bool close_on_exec) {
  char path[32] = "/proc/self/fd/";
  char* const end = std::to_chars(path + std::strlen(path), path + sizeof(path) - 1, arena_fd).ptr;
  *end = '\0';
  return SystemCall(SYS_openat, AT_FDCWD, path, O_RDWR | (close_on_exec ? O_CLOEXEC : 0), 0);
}

}  // namespace

ioas::Result<uint32_t> FileTable::TakeSlot() {
  if (state_->first_free != 0) {
    const uint32_t number = state_->first_free;
    state_->first_free = slot(number).next_free;
    return number;
  }
  const uint32_t number = state_->slots + 1;
  const uint32_t chunk = number / kSlotsPerChunk;
  if (chunk == kMaxSlotChunks) return ioas::Error{ENFILE, "the host has no file slots left"};
  if (!state_->chunks[chunk]) {
    const auto memory = arena_.New<FileSlot>(kSlotsPerChunk);
    if (!memory.ok()) return memory.error();
    state_->chunks[chunk] = *memory;
  }
  state_->slots = number;
  return number;
}

ioas::Result<uint32_t> FileTable::Take(decode::DescriptorKind kind, uint32_t object) {
  const ioas::Result<uint32_t> number = TakeSlot();
  if (!number.ok()) return number;
  FileSlot& taken = slot(*number);
  taken.Store({.object = object, .kind = kind, .unused = {}});
  taken.next_free = 0;
  taken.position = 0;
  taken.in_use = 1;
  return number;
}

ioas::Result<int> FileTable::Open(uint32_t number, bool close_on_exec) const {
  const long fd = Reopen(arena_fd_, close_on_exec);
  if (fd < 0) return ioas::Error{static_cast<int>(-fd), "cannot open another file of the host"};
  struct flock lock = SlotLock(number);
  SystemCall(SYS_lseek, fd, static_cast<off_t>(number), SEEK_SET);
  const long locked = SystemCall(SYS_fcntl, fd, F_OFD_SETLK, &lock);
  if (locked < 0) {
    SystemCall(SYS_close, fd);
    return ioas::Error{static_cast<int>(-locked), "cannot lock the file's slot"};
  }
  return static_cast<int>(fd);
}

bool FileTable::IsOpen(uint32_t slot) const {
  struct flock lock = SlotLock(slot);
  const long result = SystemCall(SYS_fcntl, arena_fd_, F_OFD_GETLK, &lock);
  return result < 0 || lock.l_type != F_UNLCK;
}

void FileTable::Free(uint32_t number) {
  slot(number).in_use = 0;
  slot(number).next_free = state_->first_free;
  state_->first_free = number;
}

ioas::Result<uint32_t> FileTable::SlotOf(int fd) const {
  struct stat other = {};
  struct stat own = {};
  const long result = SystemCall(SYS_fstat, fd, &other);
  if (result < 0) return ioas::Error{static_cast<int>(-result), "not an open descriptor"};
  if (SystemCall(SYS_fstat, arena_fd_, &own) < 0 || own.st_dev != other.st_dev ||
      own.st_ino != other.st_ino) {
    return 0u;
  }
  const long position = SystemCall(SYS_lseek, fd, off_t{0}, SEEK_CUR);
  if (position <= 0 || position > state_->slots) return 0u;
  const auto number = static_cast<uint32_t>(position);
  return slot(number).in_use != 0 ? number : 0u;
}

}  // namespace compat::vfio
