#include "tools/daemon/remote/process.h"

#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <thread>

#include "compat/settings/settings.h"
#include "tests/support/runfiles.h"

namespace tools::daemon::remote {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint32_t kUser = 0x7ffe0001;

// A process with one NVMe controller in group 7, and what it answers.
class ProcessTest : public testing::Test {
 protected:
  void SetUp() override { Start(std::chrono::seconds(10)); }

  void Start(std::chrono::milliseconds patience) {
    compat::settings::Settings settings;
    settings.devices.push_back(
        *compat::settings::ParseDevice("nvme,addr=0000:00:03.0,group=7,image=/"));
    settings.container = compat::settings::ContainerTypes::kBoth;
    const ProcessOptions options{
        .program = tests::Runfile("tools/daemon/remote/vfio-compat-remote"),
        .library = tests::Runfile("compat/preload/libvfio_compat.so"),
        .control = "",
        .patience = patience};
    auto process = Process::Start(options, settings, 1 << 20, getuid() == 0 ? kUser : 0);
    ASSERT_TRUE(process.ok()) << process.status();
    process_ = *std::move(process);
  }

  // A call's result, or its errno as a negative number.
  int64_t Make(const Call& call, absl::string_view bytes = "") {
    const absl::StatusOr<Answer> answer = process_->Make(call, bytes, out_);
    EXPECT_TRUE(answer.ok()) << answer.status();
    if (!answer.ok()) return -ESHUTDOWN;
    EXPECT_EQ(answer->result < 0, answer->error != 0);
    return answer->result < 0 ? -static_cast<int64_t>(answer->error) : answer->result;
  }
  int64_t Open(absl::string_view path) { return Make({.operation = Operation::kOpen}, path); }
  int64_t Ioctl(int64_t fd, uint32_t request, uint64_t argument = 0) {
    return Make({.operation = Operation::kIoctl,
                 .fd = static_cast<int32_t>(fd),
                 .request = request,
                 .argument = argument});
  }
  int64_t IoctlBytes(int64_t fd, uint32_t request, absl::string_view bytes) {
    return Make(
        {.operation = Operation::kIoctlBytes, .fd = static_cast<int32_t>(fd), .request = request},
        bytes);
  }
  int64_t Map(uint64_t size, uint32_t protection, uint64_t address = 0, uint32_t is_shared = 0) {
    return Make({.operation = Operation::kMapMemory,
                 .argument = address,
                 .length = size,
                 .protection = protection,
                 .is_shared = is_shared});
  }
  int64_t Unmap(uint64_t address, uint64_t size) {
    return Make({.operation = Operation::kUnmapMemory, .argument = address, .length = size});
  }
  int64_t Read(uint64_t address, uint64_t size) {
    return Make({.operation = Operation::kReadMemory, .argument = address, .length = size});
  }
  int64_t Write(uint64_t address, absl::string_view bytes) {
    return Make({.operation = Operation::kWriteMemory, .argument = address}, bytes);
  }
  int64_t Plain(Operation operation, int64_t fd = -1) {
    return Make({.operation = operation, .fd = static_cast<int32_t>(fd)});
  }

  // A line of /proc/PID/status of the process, behind the name.
  std::string Status(const std::string& name) const {
    const std::string status =
        tests::ReadFile("/proc/" + std::to_string(process_->pid()) + "/status");
    const size_t start = status.find("\n" + name + ":\t") + name.size() + 3;
    return status.substr(start, status.find('\n', start) - start);
  }

  std::unique_ptr<Process> process_;
  std::string out_;
};

TEST_F(ProcessTest, MakesLegacyCalls) {
  const int64_t container = Open("/dev/vfio/vfio");
  ASSERT_GE(container, 0);
  EXPECT_EQ(Ioctl(container, VFIO_GET_API_VERSION), VFIO_API_VERSION);
  const int64_t group = Open("/dev/vfio/7");
  const auto number = static_cast<int32_t>(container);
  EXPECT_EQ(IoctlBytes(group, VFIO_GROUP_SET_CONTAINER,
                       {reinterpret_cast<const char*>(&number), sizeof(number)}),
            0);
  EXPECT_EQ(Ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU), 0);
  const int64_t device =
      IoctlBytes(group, VFIO_GROUP_GET_DEVICE_FD, absl::string_view("0000:00:03.0\0", 13));
  ASSERT_GE(device, 0);
  // The vendor and the device in configuration space.
  EXPECT_EQ(Make({.operation = Operation::kPread,
                  .fd = static_cast<int32_t>(device),
                  .argument = uint64_t{VFIO_PCI_CONFIG_REGION_INDEX} << 40,
                  .length = 4}),
            4);
  EXPECT_EQ(out_.size(), 4U);
  EXPECT_NE(out_, std::string(4, '\0'));
}

TEST_F(ProcessTest, NothingLiesBehindTheBytesOfAnIoctl) {
  const int64_t group = Open("/dev/vfio/7");
  vfio_group_status status{};
  status.argsz = sizeof(status);
  const absl::string_view whole(reinterpret_cast<const char*>(&status), sizeof(status));
  EXPECT_EQ(IoctlBytes(group, VFIO_GROUP_GET_STATUS, whole), 0);
  EXPECT_EQ(out_.size(), sizeof(status));
  EXPECT_EQ(IoctlBytes(group, VFIO_GROUP_GET_STATUS, whole.substr(0, 7)), -EFAULT);
  EXPECT_EQ(IoctlBytes(group, VFIO_GROUP_GET_STATUS, ""), -EFAULT);
}

TEST_F(ProcessTest, OpensNothingButNodesOfVfio) {
  for (const char* const path : {"/etc/passwd", "/dev/vfio", "/dev/vfio/../null", "vfio", "",
                                 "/proc/self/mem", "/dev/vfio/7/../../mem"}) {
    EXPECT_EQ(Open(path), -EACCES) << path;
  }
  EXPECT_EQ(Open(absl::string_view("/dev/vfio/7\0/x", 14)), -EACCES);
  EXPECT_EQ(Open("/dev/vfio/" + std::string(8000, 'x')), -ENAMETOOLONG);
  EXPECT_EQ(Open("/dev/vfio/8"), -ENOENT);
}

TEST_F(ProcessTest, TouchesNoDescriptorThatNoCallReturned) {
  for (const int fd : {-1, 0, kSocket, kFirstImage, 100, 5000}) {
    EXPECT_EQ(Ioctl(fd, VFIO_GET_API_VERSION), -EBADF) << fd;
    EXPECT_EQ(Plain(Operation::kClose, fd), -EBADF) << fd;
  }
  const int64_t event = Plain(Operation::kEventfd);
  EXPECT_GE(event, 0);
  EXPECT_EQ(Plain(Operation::kClose, event), 0);
  EXPECT_EQ(Plain(Operation::kClose, event), -EBADF);
}

TEST_F(ProcessTest, DuplicatesDescriptors) {
  const int64_t container = Open("/dev/vfio/vfio");
  const int64_t second = Plain(Operation::kDup, container);
  EXPECT_NE(second, container);
  EXPECT_EQ(Plain(Operation::kClose, container), 0);
  EXPECT_EQ(Ioctl(second, VFIO_GET_API_VERSION), VFIO_API_VERSION);
}

TEST_F(ProcessTest, MemoryIsWhatCallsMappedAndNothingElse) {
  const int64_t address = Map(3 * kPage, PROT_READ | PROT_WRITE);
  ASSERT_GT(address, 0);
  EXPECT_EQ(Write(address + kPage, "hello"), 5);
  EXPECT_EQ(Read(address + kPage - 1, 7), 7);
  EXPECT_EQ(out_, absl::string_view("\0hello\0", 7));
  EXPECT_EQ(Map(kPage, PROT_READ, address), -EEXIST);
  EXPECT_EQ(Unmap(address + kPage, kPage), 0);
  EXPECT_EQ(Read(address + kPage - 1, 7), -EFAULT);
  EXPECT_EQ(Read(address + 2 * kPage, kPage), kPage);
  EXPECT_EQ(Read(address + 2 * kPage, kPage + 1), -EFAULT);
  EXPECT_EQ(Unmap(address, 3 * kPage), -EINVAL);
  EXPECT_EQ(Map(kPage, PROT_READ, address + kPage), address + kPage);
  EXPECT_EQ(Unmap(address, 3 * kPage), 0);
}

TEST_F(ProcessTest, AWriteThatCannotBeDoneWhollyWritesNothing) {
  const int64_t address = Map(2 * kPage, PROT_READ | PROT_WRITE);
  ASSERT_EQ(Unmap(address + kPage, kPage), 0);
  ASSERT_EQ(Map(kPage, PROT_READ, address + kPage), address + kPage);
  EXPECT_EQ(Write(address + kPage - 2, "abcd"), -EFAULT);
  EXPECT_EQ(Read(address + kPage - 2, 2), 2);
  EXPECT_EQ(out_, std::string(2, '\0'));
}

TEST_F(ProcessTest, MemoryHasABound) {
  const int64_t address = Map(kMaxMemory, PROT_READ | PROT_WRITE);
  ASSERT_GT(address, 0);
  EXPECT_EQ(Map(kPage, PROT_READ), -ENOMEM);
  EXPECT_EQ(Unmap(address, kPage), 0);
  EXPECT_GT(Map(kPage, PROT_READ), 0);
  for (const uint64_t size : {uint64_t{0}, uint64_t{1}, UINT64_MAX, UINT64_MAX - kPage + 1}) {
    EXPECT_EQ(Map(size, PROT_READ), -EINVAL) << size;
  }
  EXPECT_EQ(Map(kPage, PROT_EXEC), -EINVAL);
}

TEST_F(ProcessTest, AChildMakesCallsUntilItEnds) {
  const int64_t container = Open("/dev/vfio/vfio");
  const int64_t own = Map(kPage, PROT_READ | PROT_WRITE);
  const int64_t shared = Map(kPage, PROT_READ | PROT_WRITE, 0, 1);
  ASSERT_EQ(Plain(Operation::kFork), 0);
  EXPECT_EQ(Write(own, "x"), 1);
  EXPECT_EQ(Write(shared, "x"), 1);
  EXPECT_EQ(Plain(Operation::kClose, container), 0);
  ASSERT_EQ(Plain(Operation::kExit), 0);
  EXPECT_EQ(Read(own, 1), 1);
  EXPECT_EQ(out_[0], '\0');
  EXPECT_EQ(Read(shared, 1), 1);
  EXPECT_EQ(out_[0], 'x');
  EXPECT_EQ(Ioctl(container, VFIO_GET_API_VERSION), VFIO_API_VERSION);
}

TEST_F(ProcessTest, ChildrenAreBounded) {
  EXPECT_EQ(Plain(Operation::kExit), -ECHILD);
  for (int i = 0; i < kMaxForks; ++i) EXPECT_EQ(Plain(Operation::kFork), 0);
  EXPECT_EQ(Plain(Operation::kFork), -EAGAIN);
  for (int i = 0; i < kMaxForks; ++i) EXPECT_EQ(Plain(Operation::kExit), 0);
  EXPECT_EQ(Plain(Operation::kExit), -ECHILD);
}

TEST_F(ProcessTest, IsConfined) {
  EXPECT_GE(Plain(Operation::kEventfd), 0);  // it has come to its first call
  EXPECT_EQ(Status("NoNewPrivs"), "1");
  EXPECT_EQ(Status("Seccomp"), "2");
  if (getuid() == 0) {
    const std::string user = std::to_string(kUser);
    EXPECT_EQ(Status("Uid"), user + "\t" + user + "\t" + user + "\t" + user);
    EXPECT_EQ(Status("Gid"), user + "\t" + user + "\t" + user + "\t" + user);
    EXPECT_EQ(Status("Groups"), " ");
    // CAP_IPC_LOCK at most.
    const std::string capabilities = Status("CapPrm");
    EXPECT_TRUE(capabilities == "0000000000004000" || capabilities == "0000000000000000")
        << capabilities;
  }
}

TEST_F(ProcessTest, AProcessThatIsKilledIsAnErrorOfTheCall) {
  ASSERT_EQ(kill(process_->pid(), SIGKILL), 0);
  Call call{.operation = Operation::kEventfd};
  for (int i = 0; i < 2; ++i) {
    const absl::StatusOr<Answer> answer = process_->Make(call, "", out_);
    EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable) << answer.status();
  }
}

TEST_F(ProcessTest, AProcessThatHangsIsEnded) {
  Start(std::chrono::milliseconds(50));
  // Whether it still starts or waits for calls does not matter.
  ASSERT_EQ(kill(process_->pid(), SIGSTOP), 0);
  const absl::StatusOr<Answer> answer =
      process_->Make({.operation = Operation::kEventfd}, "", out_);
  EXPECT_EQ(answer.status().code(), absl::StatusCode::kUnavailable) << answer.status();
  EXPECT_EQ(kill(process_->pid(), 0), -1);
}

TEST_F(ProcessTest, EndsWithItsObject) {
  ASSERT_EQ(Plain(Operation::kFork), 0);
  const std::string number = std::to_string(process_->pid());
  const std::string child = tests::ReadFile("/proc/" + number + "/task/" + number + "/children");
  ASSERT_NE(child, "");
  process_.reset();
  EXPECT_EQ(tests::ReadFile("/proc/" + number + "/status"), "");
  // Nobody but the system waits for the child.
  const std::string status = "/proc/" + child.substr(0, child.find(' ')) + "/status";
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  while (tests::ReadFile(status).find("State:\tZ") == std::string::npos &&
         !tests::ReadFile(status).empty()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    std::this_thread::yield();
  }
}

TEST_F(ProcessTest, EndsWithTheThreadThatStartedIt) {
  std::thread([this] {
    Start(std::chrono::seconds(10));
    EXPECT_GE(Plain(Operation::kEventfd), 0);
  }).join();
  // The signal comes shortly after the thread can be joined.
  const auto end = std::chrono::steady_clock::now() + std::chrono::seconds(10);
  absl::Status status;
  while (status.ok()) {
    ASSERT_LT(std::chrono::steady_clock::now(), end);
    status = process_->Make({.operation = Operation::kEventfd}, "", out_).status();
  }
  EXPECT_EQ(status.code(), absl::StatusCode::kUnavailable) << status;
}

}  // namespace
}  // namespace tools::daemon::remote
