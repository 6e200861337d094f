// The program's end of a connection to the daemon.
#ifndef COMPAT_SESSION_CONNECTION_H_
#define COMPAT_SESSION_CONNECTION_H_

#include <cstddef>
#include <span>

namespace compat::session {

// A socket on a hidden descriptor. Used by one thread. Whatever is wrong with the connection closes
// it.
class Connection {
 public:
  Connection() = default;
  ~Connection() { Close(); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Connects to the daemon that listens on `path`, shorter than sockaddr_un::sun_path. Returns
  // false if there is none. Not to be called while it is open.
  bool Open(const char* path);
  void Close();
  bool is_open() const { return socket_ >= 0; }
  int descriptor() const { return socket_; }
  // The process that listened when it was opened, in this process's numbering; 0: not known.
  int peer() const;

  // Sends a message, and waits for the daemon to make room, for some seconds at most.
  void Send(std::span<const std::byte> message);
  // Sends a message if there is room for it. Returns false if there is none.
  bool TrySend(std::span<const std::byte> message);
  // Receives a message into `buffer`. Returns its size; 0 if there is none now, or the connection
  // was closed, as it is for a message that does not fit.
  size_t Receive(std::span<std::byte> buffer);

 private:
  int socket_ = -1;
};

}  // namespace compat::session

#endif  // COMPAT_SESSION_CONNECTION_H_
