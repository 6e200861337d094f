// opendir(), readdir() and the other functions of directory streams.
#include <dirent.h>
#include <fcntl.h>

#include "compat/preload/next.h"
#include "compat/preload/paths/dir_stream.h"
#include "compat/preload/paths/directory_open.h"

namespace compat::preload {
namespace {

template <FunctionName kName>
dirent* CallReaddir(DIR* dir) {
  DirStream* const stream = DirStream::From(dir);
  return stream != nullptr ? stream->Read() : Next<kName, dirent*(DIR*)>()(dir);
}

template <FunctionName kName>
int CallReaddirR(DIR* dir, dirent* entry, dirent** result) {
  if (DirStream* const stream = DirStream::From(dir); stream != nullptr) {
    return stream->ReadInto(entry, result);
  }
  return Next<kName, int(DIR*, dirent*, dirent**)>()(dir, entry, result);
}

}  // namespace

COMPAT_INTERPOSE DIR* opendir(const char* name) {
  if (NeedsPathStream(AT_FDCWD, name)) return OpenPathStream(AT_FDCWD, name);
  return Next<"opendir", DIR*(const char*)>()(name);
}

COMPAT_INTERPOSE DIR* fdopendir(int fd) { return OpenDescriptorStream(fd); }

COMPAT_INTERPOSE dirent* readdir(DIR* dirp) { return CallReaddir<"readdir">(dirp); }

COMPAT_INTERPOSE dirent64* readdir64(DIR* dirp) {
  return reinterpret_cast<dirent64*>(CallReaddir<"readdir64">(dirp));
}

COMPAT_INTERPOSE int readdir_r(DIR* dirp, dirent* entry, dirent** result) {
  return CallReaddirR<"readdir_r">(dirp, entry, result);
}

COMPAT_INTERPOSE int readdir64_r(DIR* dirp, dirent64* entry, dirent64** result) {
  return CallReaddirR<"readdir64_r">(dirp, reinterpret_cast<dirent*>(entry),
                                     reinterpret_cast<dirent**>(result));
}

COMPAT_INTERPOSE int closedir(DIR* dirp) {
  DirStream* const stream = DirStream::From(dirp);
  return stream != nullptr ? stream->Close() : Next<"closedir", int(DIR*)>()(dirp);
}

COMPAT_INTERPOSE void rewinddir(DIR* dirp) noexcept {
  DirStream* const stream = DirStream::From(dirp);
  return stream != nullptr ? stream->Rewind() : Next<"rewinddir", void(DIR*)>()(dirp);
}

COMPAT_INTERPOSE long telldir(DIR* dirp) noexcept {
  DirStream* const stream = DirStream::From(dirp);
  return stream != nullptr ? stream->Tell() : Next<"telldir", long(DIR*)>()(dirp);
}

COMPAT_INTERPOSE void seekdir(DIR* dirp, long pos) noexcept {
  DirStream* const stream = DirStream::From(dirp);
  return stream != nullptr ? stream->Seek(pos) : Next<"seekdir", void(DIR*, long)>()(dirp, pos);
}

COMPAT_INTERPOSE int dirfd(DIR* dirp) noexcept {
  DirStream* const stream = DirStream::From(dirp);
  return stream != nullptr ? stream->Descriptor() : Next<"dirfd", int(DIR*)>()(dirp);
}

}  // namespace compat::preload
