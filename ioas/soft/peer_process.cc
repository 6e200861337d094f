#include "ioas/soft/peer_process.h"

#include <poll.h>
#include <pthread.h>

#include <ctime>

#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"

namespace ioas::soft {
namespace {

struct Peer {
  ProcessIdentity identity;
  int descriptor;  // a pidfd; -1 where the kernel has none
};

// Callers hold a RobustLock, so no signal handler comes in between.
pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
Peer peers[kMaxProcesses];

int OpenProcess(pid_t pid) {
  const Result<int> hidden = OpenHidden([pid] { return SystemCall(SYS_pidfd_open, pid, 0); });
  return hidden.ok() ? *hidden : -1;
}

bool IsRunning(const Peer& peer) {
  if (peer.descriptor < 0) return ProcessStartTime(peer.identity.pid) == peer.identity.start_time;
  pollfd poll = {peer.descriptor, POLLIN, 0};
  const timespec now = {0, 0};
  // The descriptor of a process is readable when it has ended.
  return SystemCall(SYS_ppoll, &poll, 1, &now, nullptr, 0) == 0;
}

// The process behind `index`, or null if it is gone. The mutex is held.
const Peer* FindRunning(ProcessTable table, uint32_t index) {
  const ProcessIdentity identity = table.identity(index);
  if (identity.pid == 0) return nullptr;
  Peer& peer = peers[index];
  if (peer.identity != identity) {
    if (peer.identity.pid != 0) CloseHidden(peer.descriptor);
    peer = {identity, OpenProcess(identity.pid)};
    // The number may have been another process's by the time that it was opened.
    if (ProcessStartTime(identity.pid) != identity.start_time) {
      CloseHidden(peer.descriptor);
      peer = {};
      return nullptr;
    }
  }
  return IsRunning(peer) ? &peer : nullptr;
}

}  // namespace

pid_t MemoryOf(ProcessTable table, uint32_t index) {
  const Result<uint32_t> own = table.Register();
  if (own.ok() && *own == index) return table.identity(index).pid;
  pthread_mutex_lock(&mutex);
  const Peer* peer = FindRunning(table, index);
  const pid_t pid = peer == nullptr ? 0 : peer->identity.pid;
  pthread_mutex_unlock(&mutex);
  return pid;
}

Result<int> TakeDescriptor(ProcessTable table, uint32_t index, int fd) {
  pthread_mutex_lock(&mutex);
  const Peer* peer = FindRunning(table, index);
  Result<int> copy = OpenHidden([peer, fd]() -> long {
    return peer == nullptr ? -ESRCH : SystemCall(SYS_pidfd_getfd, peer->descriptor, fd, 0);
  });
  pthread_mutex_unlock(&mutex);
  return copy;
}

void ForgetPeersAfterFork() {
  mutex = PTHREAD_MUTEX_INITIALIZER;
  for (Peer& peer : peers) {
    if (peer.identity.pid != 0) CloseHidden(peer.descriptor);
    peer = {};
  }
}

}  // namespace ioas::soft
