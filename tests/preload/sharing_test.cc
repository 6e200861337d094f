// Descriptors of the library in other processes: children that are forked, programs that are
// executed, and whoever receives one over a socket.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>
#include <string>

#include "compat/abi/iommufd.h"
#include "tests/support/runfiles.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Client;
using tests::Descriptor;
using tests::kGroup;
using tests::MakeClient;
using tests::MapDma;
using tests::Memory;
using tests::OpenGroup;
using tests::UnmapDma;

// Runs `body` in a forked child and returns what it returns (0 to 255), or 256 + the signal.
template <typename Body>
int InChild(Body body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFSIGNALED(status) ? 256 + WTERMSIG(status) : WEXITSTATUS(status);
}

TEST(SharingTest, AForkedChildSharesTheContainer) {
  const Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
  const int container = client.container.get();
  const Memory memory(8192);
  ASSERT_EQ(MapDma(container, memory.data(), 0, 4096), 0);
  EXPECT_EQ(InChild([&] {
              return MapDma(container, memory.data(), 4096, 4096) == 0 &&
                             UnmapDma(container, 0, 4096) == 4096
                         ? 0
                         : 1;
            }),
            0);
  EXPECT_EQ(UnmapDma(container, 0, 4096), 0);
  EXPECT_EQ(UnmapDma(container, 4096, 4096), 4096);
}

TEST(SharingTest, AChildsEndTakesNothingFromTheParent) {
  const Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
  EXPECT_EQ(InChild([] { return 0; }), 0);
  EXPECT_EQ(InChild([&] { return close(client.container.get()) + close(client.group.get()); }), 0);
  EXPECT_EQ(ioctl(client.container.get(), VFIO_GET_API_VERSION), VFIO_API_VERSION);
  EXPECT_FALSE(OpenGroup(kGroup).is_open());
}

TEST(SharingTest, WhatAKilledChildHadOpenIsFreeAgain) {
  EXPECT_EQ(InChild([] {
              Descriptor group = OpenGroup(kGroup);
              if (!group.is_open()) return 1;
              kill(getpid(), SIGKILL);
              return 0;
            }),
            256 + SIGKILL);
  EXPECT_TRUE(OpenGroup(kGroup).is_open());
}

TEST(SharingTest, AFileLivesInAChildThatOutlivesTheParentsDescriptor) {
  int ends[2];
  ASSERT_EQ(pipe2(ends, O_CLOEXEC), 0);
  Descriptor reader(ends[0]);
  Descriptor writer(ends[1]);
  Descriptor group = OpenGroup(kGroup);
  const pid_t child = fork();
  if (child == 0) {
    char byte;
    writer.Close();
    _exit(read(reader.get(), &byte, 1) == 0 ? 0 : 1);
  }
  group.Close();
  EXPECT_FALSE(OpenGroup(kGroup).is_open());
  writer.Close();
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(OpenGroup(kGroup).is_open());
}

TEST(SharingTest, AVforkedChildCanExecuteAnother) {
  const Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
  const pid_t child = vfork();
  if (child == 0) {
    execl("/bin/true", "true", nullptr);
    _exit(1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(ioctl(client.container.get(), VFIO_GET_API_VERSION), VFIO_API_VERSION);
}

// Executes the program that makes a call of its own on a descriptor it is told the number of.
int RunUser(int fd, const char* kind = "container") {
  const std::string program = tests::Runfile("tests/preload/subjects/descriptor_user");
  return InChild([&] {
    execl(program.c_str(), program.c_str(), kind, std::to_string(fd).c_str(), nullptr);
    return 99;
  });
}

TEST(SharingTest, AnExecutedProgramUsesTheDescriptorsItInherits) {
  const Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
  const Descriptor inherited(dup(client.container.get()));
  const Memory memory(4096);
  ASSERT_EQ(MapDma(inherited.get(), memory.data(), 1 << 20, 4096), 0);
  // It unmaps what is mapped there.
  EXPECT_EQ(RunUser(inherited.get()), 0);
  EXPECT_EQ(UnmapDma(inherited.get(), 1 << 20, 4096), 0);
}

// A queue of page requests is a socket beneath.
TEST(SharingTest, AnExecutedProgramReadsTheQueuesItInherits) {
  namespace iommufd = compat::abi::iommufd;
  const Descriptor context(open("/dev/iommu", O_RDWR));
  iommufd::FaultAlloc command = {};
  command.size = sizeof(command);
  ASSERT_EQ(ioctl(context.get(), iommufd::kFaultQueueAlloc, &command), 0);
  const Descriptor queue(static_cast<int>(command.out_fault_fd));
  ASSERT_EQ(fcntl(queue.get(), F_SETFD, 0), 0);
  EXPECT_EQ(RunUser(queue.get(), "requests"), 0);
}

TEST(SharingTest, DescriptorsThatCloseOnExecAreNotInherited) {
  const Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
  EXPECT_EQ(RunUser(client.container.get()), EBADF);
}

// Sends `fd` over a socket with `flags`.
bool Send(int socket, int fd) {
  char byte = 'x';
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int));
  std::memcpy(CMSG_DATA(header), &fd, sizeof(fd));
  return sendmsg(socket, &message, 0) == 1;
}

Descriptor Receive(int socket) {
  char byte = 0;
  iovec data{&byte, 1};
  alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))] = {};
  msghdr message{};
  message.msg_iov = &data;
  message.msg_iovlen = 1;
  message.msg_control = control;
  message.msg_controllen = sizeof(control);
  if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) != 1) return Descriptor();
  const cmsghdr* const header = CMSG_FIRSTHDR(&message);
  if (header == nullptr) return Descriptor();
  int fd = -1;
  std::memcpy(&fd, CMSG_DATA(header), sizeof(fd));
  return Descriptor(fd);
}

struct SocketPair {
  SocketPair() {
    int both[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, both), 0);
    near = Descriptor(both[0]);
    far = Descriptor(both[1]);
  }
  Descriptor near;
  Descriptor far;
};

TEST(SharingTest, ADescriptorReceivedFromAChildWorks) {
  const SocketPair sockets;
  EXPECT_EQ(InChild([&] {
              const Client client = MakeClient(kGroup, VFIO_TYPE1v2_IOMMU);
              return Send(sockets.far.get(), client.group.get()) &&
                             Send(sockets.far.get(), client.container.get())
                         ? 0
                         : 1;
            }),
            0);
  const Descriptor group = Receive(sockets.near.get());
  const Descriptor container = Receive(sockets.near.get());
  ASSERT_TRUE(container.is_open());
  vfio_group_status status{};
  status.argsz = sizeof(status);
  ASSERT_EQ(ioctl(group.get(), VFIO_GROUP_GET_STATUS, &status), 0);
  EXPECT_EQ(status.flags,
            unsigned{VFIO_GROUP_FLAGS_VIABLE} | unsigned{VFIO_GROUP_FLAGS_CONTAINER_SET});
  const Memory memory(4096);
  EXPECT_EQ(MapDma(container.get(), memory.data(), 0, 4096), 0);
  // As a DPDK secondary process does.
  EXPECT_TRUE(Descriptor(ioctl(group.get(), VFIO_GROUP_GET_DEVICE_FD, tests::kDevice)).is_open());
}

TEST(SharingTest, ADescriptorOnItsWayKeepsItsFileAlive) {
  SocketPair sockets;
  Descriptor group = OpenGroup(kGroup);
  ASSERT_TRUE(Send(sockets.near.get(), group.get()));
  group.Close();
  EXPECT_FALSE(OpenGroup(kGroup).is_open());
  Receive(sockets.far.get()).Close();
  EXPECT_TRUE(OpenGroup(kGroup).is_open());
}

}  // namespace
