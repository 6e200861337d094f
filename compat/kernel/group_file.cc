#include "compat/kernel/group_file.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <cstring>

namespace compat::kernel {
namespace {

using ioas::kernel::SystemCalls;

constexpr uint64_t kMagic = 0x70756f72674356;  // "VCgroup"
// The host's file, the other end, the container, and two of each device.
constexpr size_t kMaxDescriptors = 2 + kMaxBound + kMaxGroupDevices;

// A message of a header and descriptors.
struct Message {
  explicit Message(GroupHeader& header) {
    part = {&header, sizeof(header)};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
  }

  alignas(cmsghdr) std::byte control[CMSG_SPACE(kMaxDescriptors * sizeof(int))] = {};
  iovec part = {};
  msghdr message = {};
};

bool IsGroupHeader(const GroupHeader& header, long size) {
  return size == static_cast<long>(sizeof(header)) && header.magic == kMagic &&
         header.bound_count <= kMaxBound && header.guard_count <= kMaxGroupDevices;
}

constexpr ioas::Error kNoGroup = {EBADF, "not a group's file"};

// What a system call's failure says of the file it was made on.
ioas::Error NotReadable(long result) {
  const bool is_none = result == -ENOTSOCK || result == -EAGAIN || result == -EBADF;
  return is_none ? kNoGroup : ioas::Error{ENOMEM, "the group's file cannot be looked into"};
}

// How often a message is taken that is known to be there.
constexpr int kMaxAttempts = 16;

ioas::Status CloseAndFail(SystemCalls& calls, const int* fds, size_t count, ioas::Error error) {
  for (size_t i = 0; i < count; ++i) calls(SYS_close, fds[i]);
  return error;
}

}  // namespace

ioas::Result<GroupHeader> ReadGroupHeader(SystemCalls& calls, int fd) {
  // Looking at other sockets' messages could disturb them.
  int type = 0;
  socklen_t size = sizeof(type);
  const long known = calls(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, &type, &size);
  if (known < 0) return NotReadable(known);
  if (type != SOCK_SEQPACKET) return kNoGroup;
  GroupHeader header = {};
  const long received =
      calls(SYS_recvfrom, fd, &header, sizeof(header), MSG_PEEK | MSG_DONTWAIT, 0L, 0L);
  if (received < 0) return NotReadable(received);
  if (!IsGroupHeader(header, received)) return kNoGroup;
  return header;
}

GroupContents::~GroupContents() {
  SystemCalls& calls = *calls_;
  if (owns_host_fd_) calls(SYS_close, host_fd_);
  if (other_end_ >= 0) calls(SYS_close, other_end_);
  DropAllBound();
  for (uint32_t i = 0; i < header_.guard_count; ++i) calls(SYS_close, guards_[i]);
}

ioas::Status GroupContents::Read(int fd) {
  SystemCalls& calls = *calls_;
  GroupHeader header = {};
  Message message(header);
  message.message.msg_control = message.control;
  message.message.msg_controllen = sizeof(message.control);
  const long received =
      calls(SYS_recvmsg, fd, &message.message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  if (received < 0) return NotReadable(received);
  const cmsghdr* const part = CMSG_FIRSTHDR(&message.message);
  int fds[kMaxDescriptors] = {};
  size_t count = 0;
  if (part != nullptr && part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
    count = (part->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    std::memcpy(fds, CMSG_DATA(part), count * sizeof(int));
  }
  if (!IsGroupHeader(header, received)) return CloseAndFail(calls, fds, count, kNoGroup);
  if (count != 2 + header.bound_count + header.guard_count) {
    return CloseAndFail(calls, fds, count, {EMFILE, "too few descriptors are free"});
  }
  header_ = header;
  host_fd_ = fds[0];
  owns_host_fd_ = true;
  other_end_ = fds[1];
  std::memcpy(bound_, fds + 2, header.bound_count * sizeof(int));
  std::memcpy(guards_, fds + 2 + header.bound_count, header.guard_count * sizeof(int));
  return {};
}

int GroupContents::BoundDescriptor(uint32_t device) const {
  for (uint32_t i = 0; i < header_.bound_count; ++i) {
    if (header_.bound[i] == device) return bound_[i];
  }
  return -1;
}

int GroupContents::ReleaseHost() {
  owns_host_fd_ = false;
  return host_fd_;
}

ioas::Status GroupContents::AddBound(uint32_t device, int fd) {
  if (header_.bound_count == kMaxBound) {
    return ioas::Error{ENOSPC, "the group has more devices than its file can carry"};
  }
  header_.bound[header_.bound_count] = device;
  bound_[header_.bound_count++] = fd;
  return {};
}

ioas::Status GroupContents::AddGuard(int fd) {
  if (header_.guard_count == kMaxGroupDevices) {
    return ioas::Error{ENOSPC, "the group has more devices than its file can carry"};
  }
  guards_[header_.guard_count++] = fd;
  return {};
}

void GroupContents::DropBound(uint32_t device) {
  for (uint32_t i = 0; i < header_.bound_count; ++i) {
    if (header_.bound[i] != device) continue;
    (*calls_)(SYS_close, bound_[i]);
    --header_.bound_count;
    header_.bound[i] = header_.bound[header_.bound_count];
    bound_[i] = bound_[header_.bound_count];
    return;
  }
}

void GroupContents::DropAllBound() {
  while (header_.bound_count != 0) DropBound(header_.bound[0]);
}

ioas::Status GroupContents::Send() {
  Message message(header_);
  const size_t count = 2 + header_.bound_count + header_.guard_count;
  message.message.msg_control = message.control;
  message.message.msg_controllen = CMSG_SPACE(count * sizeof(int));
  cmsghdr* const part = CMSG_FIRSTHDR(&message.message);
  part->cmsg_level = SOL_SOCKET;
  part->cmsg_type = SCM_RIGHTS;
  part->cmsg_len = CMSG_LEN(count * sizeof(int));
  std::byte* const data = reinterpret_cast<std::byte*>(CMSG_DATA(part));
  std::memcpy(data, &host_fd_, sizeof(int));
  std::memcpy(data + sizeof(int), &other_end_, sizeof(int));
  std::memcpy(data + 2 * sizeof(int), bound_, header_.bound_count * sizeof(int));
  std::memcpy(data + (2 + header_.bound_count) * sizeof(int), guards_,
              header_.guard_count * sizeof(int));
  const long sent =
      (*calls_)(SYS_sendmsg, other_end_, &message.message, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (sent == static_cast<long>(sizeof(header_))) return {};
  // Descriptors on their way are limited by RLIMIT_NOFILE (too_many_unix_fds in net/core/scm.c).
  if (sent == -ETOOMANYREFS) return ioas::Error{EMFILE, "too many descriptors are on their way"};
  return ioas::Error{sent == -EMFILE ? EMFILE : ENOMEM,
                     "the group's file cannot carry its devices"};
}

ioas::Result<int> GroupContents::Make(int host_fd, uint64_t host, uint32_t slot,
                                      bool close_on_exec) {
  SystemCalls& calls = *calls_;
  int ends[2] = {-1, -1};
  const long made = calls(SYS_socketpair, AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends);
  if (made == -EMFILE || made == -ENFILE) {
    return ioas::Error{static_cast<int>(-made), "no descriptor is free for the group"};
  }
  if (made < 0) return ioas::Error{ENOMEM, "the group's file cannot be made"};
  header_.magic = kMagic;
  header_.host = host;
  header_.slot = slot;
  host_fd_ = host_fd;
  other_end_ = ends[1];
  ioas::Status sent = Send();
  if (sent.ok() && !close_on_exec && calls(SYS_fcntl, ends[0], F_SETFD, 0) < 0) {
    sent = ioas::Error{ENOMEM, "the group's descriptor cannot be kept over exec"};
  }
  if (sent.ok()) return ends[0];
  calls(SYS_close, ends[0]);
  return sent.error();
}

ioas::Status GroupContents::Replace(int fd) {
  IOAS_RETURN_IF_ERROR(Send());
  // The old message goes, and what it alone carried ends. Until here it was the one that is seen.
  // Were it left there, the new one would not be seen, and hold its descriptors all the same.
  for (int i = 0; i < kMaxAttempts; ++i) {
    GroupHeader old = {};
    const long taken = (*calls_)(SYS_recvfrom, fd, &old, sizeof(old), MSG_DONTWAIT, 0L, 0L);
    if (taken >= 0) return {};
  }
  return ioas::Error{ENOMEM, "the group's file cannot be changed"};
}

}  // namespace compat::kernel
