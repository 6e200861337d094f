// The thread that answers the daemon.
#ifndef COMPAT_SESSION_CONTROL_THREAD_H_
#define COMPAT_SESSION_CONTROL_THREAD_H_

#include <pthread.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <span>

#include "compat/session/channel.h"
#include "compat/session/connection.h"
#include "compat/session/socket_watch.h"
#include "compat/vfio/host.h"
#include "ioas/base/result.h"

namespace compat::session {

// Connects to the daemon's socket, says who the process is, answers requests and sends events;
// where there is no daemon, waits for one, for ever. The program never waits for it: all that it
// does to the program's threads is to hold a host's lock for a moment. A process has one at most.
class ControlThread {
 public:
  // `host` outlives it. `path`: the daemon's socket, absolute, shorter than sockaddr_un::sun_path.
  ControlThread(vfio::Host& host, const char* path);
  ~ControlThread() { Stop(); }
  ControlThread(const ControlThread&) = delete;
  ControlThread& operator=(const ControlThread&) = delete;

  // Starts the thread: with no signals, an ordinary priority and a small stack, named
  // "vfio-compat". EAGAIN, EMFILE or ENOMEM if it is not to be had. Not to be called while it runs.
  ioas::Status Start();
  // Ends the thread and the connection, and waits for that. Programs never do.
  void Stop();
  bool running() const { return is_running_.load(std::memory_order_acquire); }

  // To be called in a forked child, where no thread runs: gives up what the parent's needs. Start
  // begins a session of the child's own.
  void AfterForkInChild();

 private:
  static void* ThreadMain(void* thread);
  void Run();
  // Tries to connect, and else waits until that is worth another attempt.
  void AwaitDaemon();
  void Greet();
  // One round of an open connection: sends events, waits, answers.
  void Serve();
  void ReceiveAndAnswer();
  // `packet` is of another version, or says goodbye, or is not right: ends the connection.
  void EndFor(const MessageHeader* header);
  void Disconnect();
  // Sends what the rings hold, as far as there is room. Returns whether there was anything.
  bool SendEvents();
  bool BuildBatch();
  // Waits for the wake descriptor, and for `fd` (-1: nothing else) to be ready for `events`.
  // Returns what it is ready for.
  short Wait(int fd, short events, int64_t milliseconds);
  // Whether the program has ended all of its threads and this one keeps it.
  bool IsAlone();

  vfio::Host& host_;
  const char* path_;
  Hello hello_ = {};
  pthread_t thread_ = {};
  std::atomic<bool> is_running_{false};
  std::atomic<bool> is_stopping_{false};
  int wake_ = -1;
  Connection connection_;
  SocketWatch watch_;
  int64_t delay_ = 0;             // milliseconds until the next attempt to connect
  int64_t next_look_ = 0;         // milliseconds of CLOCK_MONOTONIC: when to ask again IsAlone
  std::byte* buffers_ = nullptr;  // a request's, an answer's and a batch's
  size_t batch_size_ = 0;         // of a batch that waits to be sent; 0: none does
  int64_t awake_until_ = 0;       // milliseconds of CLOCK_MONOTONIC: when to sleep without events
};

}  // namespace compat::session

#endif  // COMPAT_SESSION_CONTROL_THREAD_H_
