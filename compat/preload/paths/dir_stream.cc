#include "compat/preload/paths/dir_stream.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <climits>
#include <cstring>

#include "compat/preload/next.h"
#include "compat/preload/paths/route.h"
#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

// As many as a process may have descriptors unless it raises its limit.
constexpr size_t kStreams = 1024;
DirStream streams[kStreams];

// Positions in the view's part are negative: no file system's own are.
constexpr long kViewPositions = LONG_MIN;

constexpr uint64_t kDotEntries = 2;

class Lock {
 public:
  explicit Lock(pthread_mutex_t* mutex) : mutex_(mutex) { pthread_mutex_lock(mutex_); }
  ~Lock() { pthread_mutex_unlock(mutex_); }
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

 private:
  pthread_mutex_t* mutex_;
};

unsigned char TypeOf(vfs::NodeKind kind) {
  switch (kind) {
    case vfs::NodeKind::kNone:
      return DT_UNKNOWN;
    case vfs::NodeKind::kDirectory:
      return DT_DIR;
    case vfs::NodeKind::kFile:
      return DT_REG;
    case vfs::NodeKind::kLink:
      return DT_LNK;
    case vfs::NodeKind::kContainer:
    case vfs::NodeKind::kGroup:
    case vfs::NodeKind::kIommufd:
    case vfs::NodeKind::kCdev:
      return DT_CHR;
  }
  return DT_UNKNOWN;
}

}  // namespace

DirStream* DirStream::Open(int fd, RememberedNode node) {
  for (DirStream& stream : streams) {
    bool in_use = stream.in_use_.load(std::memory_order_relaxed);
    if (in_use || !stream.in_use_.compare_exchange_strong(in_use, true)) continue;
    stream.node_ = node;
    stream.in_view_ = node.is_placeholder;
    stream.position_ = 0;
    stream.real_ = Next<"fdopendir", DIR*(int)>()(fd);
    if (stream.real_ != nullptr) return &stream;
    stream.in_use_.store(false);
    return nullptr;
  }
  errno = EMFILE;
  return nullptr;
}

DirStream* DirStream::From(DIR* dir) {
  const auto address = reinterpret_cast<uintptr_t>(dir);
  const auto first = reinterpret_cast<uintptr_t>(streams);
  return address - first < sizeof(streams) ? reinterpret_cast<DirStream*>(dir) : nullptr;
}

dirent* DirStream::Read() {
  const Lock lock(&mutex_);
  return ReadLocked();
}

int DirStream::ReadInto(dirent* entry, dirent** result) {
  const Lock lock(&mutex_);
  const int saved_errno = errno;
  errno = 0;
  *result = nullptr;
  if (const dirent* read = ReadLocked(); read != nullptr) {
    std::memcpy(entry, read, read->d_reclen);
    *result = entry;
  }
  const int error = errno;
  errno = saved_errno;
  return error;
}

dirent* DirStream::ReadLocked() {
  if (!in_view_) {
    const int saved_errno = errno;
    errno = 0;
    if (dirent* entry = ReadReal(); entry != nullptr || errno != 0) {
      if (entry != nullptr) errno = saved_errno;
      return entry;
    }
    errno = saved_errno;
    in_view_ = true;
    position_ = kDotEntries;
  }
  return ReadView() ? &entry_ : nullptr;
}

// The next entry of the real directory that no node of the view hides.
dirent* DirStream::ReadReal() {
  dirent* entry = nullptr;
  while ((entry = Next<"readdir", dirent*(DIR*)>()(real_)) != nullptr) {
    const vfs::NodeId node = CurrentView().Child(node_.node, entry->d_name);
    if (node == vfs::kNoNode || CurrentView().IsMerged(node)) break;
  }
  return entry;
}

// Moves `entry_` to the next entry of the view's part. Returns false at the end.
bool DirStream::ReadView() {
  const vfs::View view = CurrentView();
  if (position_ < kDotEntries) {
    const bool is_dot = position_++ == 0;
    const vfs::NodeId node = is_dot ? node_.node : view.Parent(node_.node);
    Fill(is_dot ? "." : "..", view.Describe(node).inode, vfs::NodeKind::kDirectory);
    return true;
  }
  uint64_t cursor = position_ - kDotEntries;
  vfs::Entry entry;
  while (view.List(node_.node, &cursor, &entry)) {
    position_ = cursor + kDotEntries;
    if (IsListedAlready(entry.name, entry.id)) continue;
    Fill(entry.name, entry.inode, entry.kind);
    return true;
  }
  return false;
}

// Whether the real directory has shown this entry: ReadReal() leaves merged directories in.
bool DirStream::IsListedAlready(const char* name, vfs::NodeId node) {
  if (node_.is_placeholder || !CurrentView().IsMerged(node)) return false;
  struct stat status;
  return ioas::SystemCall(SYS_newfstatat, Descriptor(), name, &status, AT_SYMLINK_NOFOLLOW) == 0;
}

void DirStream::Fill(const char* name, uint64_t inode, vfs::NodeKind kind) {
  entry_.d_ino = inode;
  entry_.d_off = kViewPositions + static_cast<long>(position_);
  entry_.d_reclen = sizeof(entry_);
  entry_.d_type = TypeOf(kind);
  static_assert(sizeof(entry_.d_name) >= sizeof(vfs::Entry::name));
  std::memcpy(entry_.d_name, name, std::strlen(name) + 1);
}

int DirStream::Close() {
  OnDescriptorClosed(Descriptor());
  const int result = Next<"closedir", int(DIR*)>()(real_);
  in_use_.store(false);
  return result;
}

void DirStream::Rewind() {
  const Lock lock(&mutex_);
  Next<"rewinddir", void(DIR*)>()(real_);
  in_view_ = node_.is_placeholder;
  position_ = 0;
}

long DirStream::Tell() {
  const Lock lock(&mutex_);
  if (in_view_) return kViewPositions + static_cast<long>(position_);
  return Next<"telldir", long(DIR*)>()(real_);
}

void DirStream::Seek(long position) {
  const Lock lock(&mutex_);
  in_view_ = position < 0 || node_.is_placeholder;
  position_ = position < 0 ? static_cast<uint64_t>(position - kViewPositions) : 0;
  if (!in_view_) Next<"seekdir", void(DIR*, long)>()(real_, position);
}

int DirStream::Descriptor() { return Next<"dirfd", int(DIR*)>()(real_); }

}  // namespace compat::preload
