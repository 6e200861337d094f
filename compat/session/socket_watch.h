// Notices that a socket may have appeared in its folder.
#ifndef COMPAT_SESSION_SOCKET_WATCH_H_
#define COMPAT_SESSION_SOCKET_WATCH_H_

namespace compat::session {

// Watches the folder of a path, as far as there is one and it may be watched.
class SocketWatch {
 public:
  SocketWatch() = default;
  ~SocketWatch() { End(); }
  SocketWatch(const SocketWatch&) = delete;
  SocketWatch& operator=(const SocketWatch&) = delete;

  // Begins to watch the folder of `path`, an absolute one; does nothing if it is watched.
  void Begin(const char* path);
  void End();
  // Readable when something was made in the folder; -1 if it is not watched.
  int descriptor() const { return inotify_; }

 private:
  int inotify_ = -1;
};

}  // namespace compat::session

#endif  // COMPAT_SESSION_SOCKET_WATCH_H_
