// scandir() and scandirat(), with and without 64.
#include <dirent.h>
#include <fcntl.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "compat/preload/next.h"
#include "compat/preload/paths/directory_open.h"

namespace compat::preload {
namespace {

using Select = int (*)(const dirent*);
using Compare = int (*)(const dirent**, const dirent**);
using ScandirFunction = int(const char*, dirent***, Select, Compare);
using ScandiratFunction = int(int, const char*, dirent***, Select, Compare);

// The entries that scandir() collects; theirs is the program's memory in the end.
class EntryList {
 public:
  EntryList() = default;
  ~EntryList() {
    for (size_t index = 0; index < size_; ++index) std::free(entries_[index]);
    std::free(entries_);
  }
  EntryList(const EntryList&) = delete;
  EntryList& operator=(const EntryList&) = delete;

  bool Add(const dirent& entry) {
    if (size_ == capacity_) {
      const size_t capacity = capacity_ == 0 ? 16 : 2 * capacity_;
      void* const grown = std::realloc(static_cast<void*>(entries_), capacity * kPointer);
      if (grown == nullptr) return false;
      entries_ = static_cast<dirent**>(grown);
      capacity_ = capacity;
    }
    auto* const copy = static_cast<dirent*>(std::malloc(entry.d_reclen));
    if (copy == nullptr) return false;
    std::memcpy(copy, &entry, entry.d_reclen);
    entries_[size_++] = copy;
    return true;
  }

  // Sorts the entries and hands them over; returns how many there are.
  int Release(Compare compare, dirent*** out) {
    if (compare != nullptr && size_ > 0) {
      std::qsort(static_cast<void*>(entries_), size_, kPointer,
                 reinterpret_cast<int (*)(const void*, const void*)>(compare));
    }
    const int count = static_cast<int>(size_);
    *out = entries_;
    entries_ = nullptr;
    size_ = 0;
    return count;
  }

 private:
  static constexpr size_t kPointer = sizeof(void*);

  dirent** entries_ = nullptr;
  size_t size_ = 0;
  size_t capacity_ = 0;
};

int ScanView(int dirfd, const char* path, dirent*** out, Select select, Compare compare) {
  const int saved_errno = errno;
  DIR* const dir = OpenPathStream(dirfd, path);
  if (dir == nullptr) return -1;
  EntryList list;
  bool has_memory = true;
  errno = 0;
  const dirent* entry = nullptr;
  while (has_memory && (entry = readdir(dir)) != nullptr) {
    if (select == nullptr || select(entry) != 0) has_memory = list.Add(*entry);
    // The program's function may have set it; readdir() alone is to count.
    errno = 0;
  }
  const int error = has_memory ? errno : ENOMEM;
  closedir(dir);
  errno = error != 0 ? error : saved_errno;
  return error != 0 ? -1 : list.Release(compare, out);
}

template <FunctionName kName>
int CallScandir(const char* path, dirent*** out, Select select, Compare compare) {
  if (NeedsPathStream(AT_FDCWD, path)) return ScanView(AT_FDCWD, path, out, select, compare);
  return Next<kName, ScandirFunction>()(path, out, select, compare);
}

template <FunctionName kName>
int CallScandirat(int dirfd, const char* path, dirent*** out, Select select, Compare compare) {
  if (NeedsPathStream(dirfd, path)) return ScanView(dirfd, path, out, select, compare);
  return Next<kName, ScandiratFunction>()(dirfd, path, out, select, compare);
}

}  // namespace

COMPAT_INTERPOSE int scandir(const char* dir, dirent*** namelist, Select selector, Compare cmp) {
  return CallScandir<"scandir">(dir, namelist, selector, cmp);
}

COMPAT_INTERPOSE int scandir64(const char* dir, dirent64*** namelist,
                               int (*selector)(const dirent64*),
                               int (*cmp)(const dirent64**, const dirent64**)) {
  return CallScandir<"scandir64">(dir, reinterpret_cast<dirent***>(namelist),
                                  reinterpret_cast<Select>(selector),
                                  reinterpret_cast<Compare>(cmp));
}

COMPAT_INTERPOSE int scandirat(int dfd, const char* dir, dirent*** namelist, Select selector,
                               Compare cmp) {
  return CallScandirat<"scandirat">(dfd, dir, namelist, selector, cmp);
}

COMPAT_INTERPOSE int scandirat64(int dfd, const char* dir, dirent64*** namelist,
                                 int (*selector)(const dirent64*),
                                 int (*cmp)(const dirent64**, const dirent64**)) {
  return CallScandirat<"scandirat64">(dfd, dir, reinterpret_cast<dirent***>(namelist),
                                      reinterpret_cast<Select>(selector),
                                      reinterpret_cast<Compare>(cmp));
}

}  // namespace compat::preload
