#include "tools/daemon/devices/held_devices.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <string>
#include <vector>

#include "compat/sysfs/fake_tree.h"

namespace tools::daemon {
namespace {

using compat::sysfs::FakeTree;

// A process that holds files, and does nothing until it is killed.
class Holder {
 public:
  explicit Holder(const std::vector<std::string>& paths) {
    int ready[2];
    if (pipe(ready) != 0) std::abort();
    pid_ = fork();
    if (pid_ == 0) {
      for (const std::string& path : paths) open(path.c_str(), O_RDWR);
      (void)!write(ready[1], "x", 1);
      while (true) pause();
    }
    char byte = 0;
    (void)!read(ready[0], &byte, 1);
    close(ready[0]);
    close(ready[1]);
    pidfd_.reset(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  }
  ~Holder() { Kill(); }

  void Kill() {
    if (pid_ == 0) return;
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    pid_ = 0;
  }
  pid_t pid() const { return pid_; }
  int pidfd() const { return pidfd_.get(); }

 private:
  pid_t pid_ = 0;
  UniqueFd pidfd_;
};

class HeldDevicesTest : public testing::Test {
 protected:
  HeldDevicesTest() {
    tree_.AddDevice(7, "0000:00:05.0", "0x020000");
    tree_.BindVfio("0000:00:05.0", 3);
    tree_.AddDevice(8, "0000:00:06.0", "0x020000");
    tree_.BindVfio("0000:00:06.0", 4);
    tree_.Write("/dev/vfio/other", "");
  }
  std::string Node(const std::string& name) const { return tree_.root() + ("/dev/vfio/" + name); }

  FakeTree tree_;
};

TEST_F(HeldDevicesTest, EachDeviceOfAProcessIsFoundOnce) {
  const Holder holder(
      {Node("devices/vfio4"), Node("other"), Node("devices/vfio3"), Node("devices/vfio3")});
  const auto devices = FindHeldDevices(holder.pid(), holder.pidfd(), tree_.root());
  if (absl::IsPermissionDenied(devices.status())) GTEST_SKIP() << devices.status();
  ASSERT_TRUE(devices.ok()) << devices.status();
  ASSERT_EQ(devices->size(), 2u);
  EXPECT_EQ((*devices)[0].cdev, 3u);
  EXPECT_EQ((*devices)[0].name, "0000:00:05.0");
  EXPECT_EQ((*devices)[0].group, 7u);
  EXPECT_TRUE((*devices)[0].fd.ok());
  EXPECT_EQ((*devices)[1].cdev, 4u);
  EXPECT_EQ((*devices)[1].group, 8u);
}

TEST_F(HeldDevicesTest, AStoppedProcessIsLookedAtToo) {
  const Holder holder({Node("devices/vfio3")});
  kill(holder.pid(), SIGSTOP);
  int status = 0;
  waitpid(holder.pid(), &status, WUNTRACED);
  const auto devices = FindHeldDevices(holder.pid(), holder.pidfd(), tree_.root());
  if (absl::IsPermissionDenied(devices.status())) GTEST_SKIP() << devices.status();
  ASSERT_TRUE(devices.ok()) << devices.status();
  EXPECT_EQ(devices->size(), 1u);
}

TEST_F(HeldDevicesTest, AProcessThatHasEndedHasNone) {
  Holder holder({Node("devices/vfio3")});
  const pid_t pid = holder.pid();
  holder.Kill();
  EXPECT_EQ(FindHeldDevices(pid, holder.pidfd(), tree_.root()).status().code(),
            absl::StatusCode::kNotFound);
}

TEST_F(HeldDevicesTest, WhatIsNoDeviceCannotBeDetached) {
  HeldDevice device;
  device.name = "0000:00:05.0";
  device.fd.reset(open(Node("devices/vfio3").c_str(), O_RDWR | O_CLOEXEC));
  const absl::Status detached = Detach(device);
  EXPECT_FALSE(detached.ok());
  EXPECT_NE(detached.message().find("0000:00:05.0"), absl::string_view::npos);
}

}  // namespace
}  // namespace tools::daemon
