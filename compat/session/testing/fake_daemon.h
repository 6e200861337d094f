// A daemon that does what a test says.
#ifndef COMPAT_SESSION_TESTING_FAKE_DAEMON_H_
#define COMPAT_SESSION_TESTING_FAKE_DAEMON_H_

#include <string>
#include <vector>

#include "compat/session/channel.h"
#include "compat/session/testing/message.h"

namespace compat::session::testing {

// One program's connection. What takes longer than 10 seconds has failed.
class FakeSession {
 public:
  explicit FakeSession(int socket = -1) : socket_(socket) {}
  ~FakeSession() { Close(); }
  FakeSession(FakeSession&& other) noexcept;
  FakeSession& operator=(FakeSession&& other) noexcept;

  bool is_open() const { return socket_ >= 0; }
  int descriptor() const { return socket_; }
  void Close();

  void Send(const Message& message) const { SendBytes(message.bytes()); }
  void SendBytes(std::span<const std::byte> bytes) const;
  // The next message; an empty one if the connection ended, or none came.
  Message Receive() const;
  // Whether the program ends the connection; what it says before is passed over.
  bool Ends() const;

  // Sends a request and returns the answer to it. Events that come before are kept.
  Message Ask(Kind kind) { return Await(Message(kind, ++requests_)); }
  template <typename Body>
  Message Ask(Kind kind, const Body& body) {
    return Await(Message(kind, body, ++requests_));
  }
  // Waits until `count` events have come since the last time. Returns all that have by then; fewer
  // if no more came.
  std::vector<Event> Events(size_t count);
  // How many events the program said it lost.
  uint64_t dropped() const { return dropped_; }

 private:
  Message Await(const Message& request);
  void Keep(const Message& batch);

  int socket_;
  uint64_t requests_ = 0;
  std::vector<Event> events_;
  uint64_t dropped_ = 0;
};

// Listens on a socket in a folder of its own, which is gone with this object.
class FakeDaemon {
 public:
  FakeDaemon();
  ~FakeDaemon();
  FakeDaemon(const FakeDaemon&) = delete;
  FakeDaemon& operator=(const FakeDaemon&) = delete;

  const std::string& path() const { return path_; }
  // Begins and ends to listen, as a daemon that starts and one that is killed: the socket's file
  // stays until the next Start.
  void Start();
  void Stop();
  // Waits for a program to connect. One that is not open if none does.
  FakeSession Accept() const;
  // The same, and takes its greeting.
  FakeSession Greet(Hello& hello) const;

 private:
  std::string folder_;
  std::string path_;
  int listener_ = -1;
};

}  // namespace compat::session::testing

#endif  // COMPAT_SESSION_TESTING_FAKE_DAEMON_H_
