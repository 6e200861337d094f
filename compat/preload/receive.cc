// Descriptors that come over sockets.
#include <sys/socket.h>

#include <cstring>

#include "compat/preload/next.h"
#include "compat/preload/process_host.h"
#include "compat/preload/session.h"

namespace compat::preload {
namespace {

// Lets the table know the library's descriptors among those that came with `message`.
void AdoptReceived(msghdr* message) {
  if (message->msg_controllen == 0 || !Configured()) return;
  const int saved_errno = errno;
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr; part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    const size_t count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd = -1;
      std::memcpy(&fd, CMSG_DATA(part) + i * sizeof(fd), sizeof(fd));
      Adopt(fd);
    }
  }
  errno = saved_errno;
}

}  // namespace

COMPAT_INTERPOSE ssize_t recvmsg(int fd, msghdr* message, int flags) {
  const ssize_t result = Next<"recvmsg", ssize_t(int, msghdr*, int)>()(fd, message, flags);
  if (result >= 0) AdoptReceived(message);
  return result;
}

COMPAT_INTERPOSE int recvmmsg(int fd, mmsghdr* messages, unsigned count, int flags,
                              timespec* timeout) {
  const int result = Next<"recvmmsg", int(int, mmsghdr*, unsigned, int, timespec*)>()(
      fd, messages, count, flags, timeout);
  for (int i = 0; i < result; ++i) AdoptReceived(&messages[i].msg_hdr);
  return result;
}

}  // namespace compat::preload
