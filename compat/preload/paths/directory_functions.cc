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

COMPAT_INTERPOSE DIR* opendir(const char* path) {
  if (NeedsPathStream(AT_FDCWD, path)) return OpenPathStream(AT_FDCWD, path);
  return Next<"opendir", DIR*(const char*)>()(path);
}

COMPAT_INTERPOSE DIR* fdopendir(int fd) { return OpenDescriptorStream(fd); }

COMPAT_INTERPOSE dirent* readdir(DIR* dir) { return CallReaddir<"readdir">(dir); }

COMPAT_INTERPOSE dirent64* readdir64(DIR* dir) {
  return reinterpret_cast<dirent64*>(CallReaddir<"readdir64">(dir));
}

COMPAT_INTERPOSE int readdir_r(DIR* dir, dirent* entry, dirent** result) {
  return CallReaddirR<"readdir_r">(dir, entry, result);
}

COMPAT_INTERPOSE int readdir64_r(DIR* dir, dirent64* entry, dirent64** result) {
  return CallReaddirR<"readdir64_r">(dir, reinterpret_cast<dirent*>(entry),
                                     reinterpret_cast<dirent**>(result));
}

COMPAT_INTERPOSE int closedir(DIR* dir) {
  DirStream* const stream = DirStream::From(dir);
  return stream != nullptr ? stream->Close() : Next<"closedir", int(DIR*)>()(dir);
}

COMPAT_INTERPOSE void rewinddir(DIR* dir) noexcept {
  DirStream* const stream = DirStream::From(dir);
  return stream != nullptr ? stream->Rewind() : Next<"rewinddir", void(DIR*)>()(dir);
}

COMPAT_INTERPOSE long telldir(DIR* dir) noexcept {
  DirStream* const stream = DirStream::From(dir);
  return stream != nullptr ? stream->Tell() : Next<"telldir", long(DIR*)>()(dir);
}

COMPAT_INTERPOSE void seekdir(DIR* dir, long position) noexcept {
  DirStream* const stream = DirStream::From(dir);
  return stream != nullptr ? stream->Seek(position)
                           : Next<"seekdir", void(DIR*, long)>()(dir, position);
}

COMPAT_INTERPOSE int dirfd(DIR* dir) noexcept {
  DirStream* const stream = DirStream::From(dir);
  return stream != nullptr ? stream->Descriptor() : Next<"dirfd", int(DIR*)>()(dir);
}

}  // namespace compat::preload
