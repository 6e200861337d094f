#include "tools/daemon/systemd/service_manager.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <vector>

namespace tools::daemon {
namespace {

UniqueFd Listening(int type) {
  UniqueFd fd(socket(AF_UNIX, type | SOCK_CLOEXEC, 0));
  // A name of the kernel's choice.
  const sockaddr_un address{.sun_family = AF_UNIX, .sun_path = ""};
  EXPECT_EQ(bind(fd.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(sa_family_t)), 0);
  EXPECT_EQ(listen(fd.get(), 1), 0);
  return fd;
}

// Whether `check` holds in a process that got these descriptors of the service manager.
bool Holds(const std::vector<int>& fds, const std::function<bool()>& check) {
  const pid_t child = fork();
  if (child == 0) {
    int number = 3;
    std::vector<int> aside;
    for (const int fd : fds) aside.push_back(fcntl(fd, F_DUPFD, 100));
    for (const int fd : aside) dup2(fd, number++);
    setenv("LISTEN_PID", std::to_string(getpid()).c_str(), 1);
    setenv("LISTEN_FDS", std::to_string(fds.size()).c_str(), 1);
    _exit(check() ? 0 : 1);
  }
  int status = 0;
  waitpid(child, &status, 0);
  return status == 0;
}

TEST(ActivationTest, SocketsAreToldByTheirTypes) {
  const UniqueFd api = Listening(SOCK_STREAM);
  const UniqueFd session = Listening(SOCK_SEQPACKET);
  EXPECT_TRUE(Holds({session.get(), api.get()}, [] {
    const auto sockets = TakeActivationSockets();
    return sockets.ok() && sockets->session.get() == 3 && sockets->api.get() == 4 &&
           (fcntl(4, F_GETFL) & O_NONBLOCK) != 0 && (fcntl(4, F_GETFD) & FD_CLOEXEC) != 0 &&
           getenv("LISTEN_FDS") == nullptr;
  }));
}

TEST(ActivationTest, WithoutAServiceManagerThereAreNone) {
  const auto sockets = TakeActivationSockets();
  ASSERT_TRUE(sockets.ok());
  EXPECT_FALSE(sockets->api.ok());
  EXPECT_FALSE(sockets->session.ok());
}

TEST(ActivationTest, WhatIsNotWantedIsRefused) {
  const UniqueFd api = Listening(SOCK_STREAM);
  const UniqueFd file(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const auto is_refused = [] { return !TakeActivationSockets().ok(); };
  EXPECT_TRUE(Holds({api.get(), api.get()}, is_refused));
  EXPECT_TRUE(Holds({file.get()}, is_refused));
}

TEST(NotificationTest, TheServiceManagerIsTold) {
  const std::string path = "/tmp/vfio_compat_notify." + std::to_string(getpid());
  const UniqueFd manager(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{.sun_family = AF_UNIX, .sun_path = ""};
  std::strncpy(address.sun_path, path.c_str(), sizeof(address.sun_path) - 1);
  ASSERT_EQ(bind(manager.get(), reinterpret_cast<const sockaddr*>(&address), sizeof(address)), 0);
  setenv("NOTIFY_SOCKET", path.c_str(), 1);
  const auto told = [&manager] {
    std::array<char, 256> text{};
    const ssize_t size = recv(manager.get(), text.data(), text.size(), MSG_DONTWAIT);
    return std::string(text.data(), size > 0 ? size : 0);
  };
  NotifyReady("serves");
  EXPECT_EQ(told(), "READY=1\nSTATUS=serves");
  NotifyReloading();
  EXPECT_EQ(told(), "RELOADING=1");
  NotifyStopping();
  EXPECT_EQ(told(), "STOPPING=1");
  unsetenv("NOTIFY_SOCKET");
  NotifyReady("nobody listens");
  EXPECT_EQ(told(), "");
  unlink(path.c_str());
}

}  // namespace
}  // namespace tools::daemon
