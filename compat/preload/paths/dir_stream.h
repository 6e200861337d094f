// Directory streams that list what the real directory holds and what the view adds to it.
//
// They are told from libc's own by their address: all lie in one array, so that readdir() of any
// other stream costs a comparison.
#ifndef COMPAT_PRELOAD_PATHS_DIR_STREAM_H_
#define COMPAT_PRELOAD_PATHS_DIR_STREAM_H_

#include <dirent.h>
#include <pthread.h>

#include <atomic>
#include <cstdint>

#include "compat/preload/paths/descriptor_nodes.h"

namespace compat::preload {

// The functions with and without 64 are one on 64-bit Linux.
static_assert(sizeof(dirent) == sizeof(dirent64));

class DirStream {
 public:
  // A stream on directory `fd`, which it owns from then on, where `fd` stands for `node`. Null with
  // errno: EMFILE if there are too many, or what fdopendir() says; `fd` is the caller's then.
  static DirStream* Open(int fd, RememberedNode node);

  // The stream that `dir` is, or null if it is one of libc's.
  static DirStream* From(DIR* dir);
  DIR* handle() { return reinterpret_cast<DIR*>(this); }

  // Each is as libc's function of the same name.
  dirent* Read();
  int ReadInto(dirent* entry, dirent** result);
  int Close();
  void Rewind();
  long Tell();
  void Seek(long position);
  int Descriptor();

 private:
  dirent* ReadLocked();
  dirent* ReadReal();
  bool ReadView();
  bool IsListedAlready(const char* name, vfs::NodeId node);
  void Fill(const char* name, uint64_t inode, vfs::NodeKind kind);

  std::atomic<bool> in_use_{false};
  pthread_mutex_t mutex_ = PTHREAD_MUTEX_INITIALIZER;  // as libc: one thread at a time in a stream
  DIR* real_ = nullptr;  // the real directory, or the placeholder for one
  RememberedNode node_;
  bool in_view_ = false;   // whether the real directory has been listed to its end
  uint64_t position_ = 0;  // in the view's part: 0 ".", 1 "..", then 2 + the cursor of View::List()
  dirent entry_ = {};
};

}  // namespace compat::preload

#endif  // COMPAT_PRELOAD_PATHS_DIR_STREAM_H_
