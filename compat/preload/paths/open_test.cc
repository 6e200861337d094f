// The functions that open paths: the open, creat, fopen families; working directories.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <climits>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <thread>

#include "compat/preload/paths/descriptor_nodes.h"
#include "compat/preload/paths/fake_session.h"
#include "compat/preload/paths/paths_test.h"
#include "compat/preload/session.h"

extern "C" {
int __open_2(const char*, int);
int __open64_2(const char*, int);
int __openat_2(int, const char*, int);
int __openat64_2(int, const char*, int);
}

namespace compat::preload {
namespace {

using Open = std::function<int(const char*, int)>;
const std::vector<Open>& Opens() {
  static const std::vector<Open> kFunctions = {
      [](const char* path, int flags) { return open(path, flags, 0600); },
      [](const char* path, int flags) { return open64(path, flags, 0600); },
      [](const char* path, int flags) { return openat(AT_FDCWD, path, flags, 0600); },
      [](const char* path, int flags) { return openat64(AT_FDCWD, path, flags, 0600); },
      [](const char* path, int flags) { return __open_2(path, flags); },
      [](const char* path, int flags) { return __open64_2(path, flags); },
      [](const char* path, int flags) { return __openat_2(AT_FDCWD, path, flags); },
      [](const char* path, int flags) { return __openat64_2(AT_FDCWD, path, flags); },
  };
  return kFunctions;
}

std::string ShownPath(int fd) {
  char path[64] = "";
  return DescriptorPath(fd, path, sizeof(path)) ? path : "";
}

TEST(OpenTest, EveryFunctionOpensContainersAndGroups) {
  for (const Open& each : Opens()) {
    errno = kUntouched;
    const int container = each(kContainerPath, O_RDWR);
    EXPECT_EQ(ShownPath(container), kContainerPath);
    const int group = each("/dev//vfio/./12", O_RDWR | O_CLOEXEC);
    EXPECT_EQ(ShownPath(group), "/dev/vfio/12");
    EXPECT_EQ(errno, kUntouched);
    close(container);
    close(group);
    EXPECT_EQ(each("/dev/vfio/8", O_RDWR), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(each(kGroupPath, O_RDWR | O_DIRECTORY), -1);
    EXPECT_EQ(errno, ENOTDIR);
  }
}

TEST(OpenTest, EveryFunctionReadsFiles) {
  for (const Open& each : Opens()) {
    errno = kUntouched;
    const int fd = each(kVendorPath, O_RDONLY | O_CLOEXEC);
    ASSERT_GE(fd, 0);
    EXPECT_EQ(ReadAll(fd), "0x1b36\n");
    EXPECT_EQ(lseek(fd, 2, SEEK_SET), 2);
    EXPECT_EQ(ReadAll(fd), "1b36\n");
    EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    EXPECT_EQ(errno, kUntouched);
    EXPECT_EQ(write(fd, "x", 1), -1);
    close(fd);
  }
}

TEST(OpenTest, FilesCannotBeWrittenMadeOrTruncated) {
  for (const Open& each : Opens()) {
    EXPECT_EQ(each(kVendorPath, O_WRONLY), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(each(kVendorPath, O_RDWR), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(each(kDevicePath, O_RDWR), -1);
    EXPECT_EQ(errno, EISDIR);
    EXPECT_EQ(each(kDeviceLink, O_RDONLY | O_NOFOLLOW), -1);
    EXPECT_EQ(errno, ELOOP);
  }
  EXPECT_EQ(open(kVendorPath, O_RDWR | O_CREAT | O_EXCL, 0600), -1);
  EXPECT_EQ(errno, EEXIST);
  EXPECT_EQ(open(kGroupsPath, O_RDONLY | O_CREAT, 0600), -1);
  EXPECT_EQ(errno, EISDIR);
  EXPECT_EQ(creat(kVendorPath, 0600), -1);
  EXPECT_EQ(errno, EACCES);
  EXPECT_EQ(creat64(kDeviceLink, 0600), -1);
  EXPECT_EQ(errno, EISDIR);
}

TEST(OpenTest, EveryFunctionSurvivesBadPointers) {
  for (const Open& each : Opens()) {
    for (const char* path : BadPaths()) {
      for (const int flags : {O_RDONLY, O_RDWR}) {
        EXPECT_EQ(each(path, flags), -1);
        EXPECT_EQ(errno, EFAULT);
      }
    }
  }
  for (const char* path : BadPaths()) {
    EXPECT_EQ(creat(path, 0600), -1);
    EXPECT_EQ(errno, EFAULT);
    EXPECT_EQ(chdir(path), -1);
    EXPECT_EQ(errno, EFAULT);
  }
}

TEST(OpenTest, PathsAreTakenFromDirectoryDescriptors) {
  for (const char* directory : {"/", "/sys", "/sys/bus/pci", kGroupsPath, kDevicePath, "/dev"}) {
    const int fd = open(directory, O_RDONLY | O_DIRECTORY);
    ASSERT_GE(fd, 0) << directory;
    std::string up;
    for (const char* letter = directory; letter[1] != '\0'; ++letter)
      up += *letter == '/' ? "../" : "";
    const int vendor =
        openat(fd, (up + "../sys/bus/pci/devices/0000:00:05.0/vendor").c_str(), O_RDONLY);
    EXPECT_EQ(ReadAll(vendor), "0x1b36\n") << directory;
    close(vendor);
    close(fd);
  }
  const int devices = open("/sys/bus/pci/devices", O_PATH);
  const int device = openat(devices, "0000:00:05.0", O_RDONLY | O_DIRECTORY);
  const int config = openat(device, "config", O_RDONLY);
  EXPECT_EQ(ReadAll(config).substr(0, 2), "\x36\x1b");
  struct stat status;
  EXPECT_EQ(fstatat(device, "iommu_group", &status, AT_SYMLINK_NOFOLLOW), 0);
  EXPECT_TRUE(S_ISLNK(status.st_mode));
  for (const int fd : {devices, device, config}) close(fd);
}

TEST(OpenTest, DescriptorsForPathsAloneStandForTheirNodes) {
  const int link = open(kDeviceLink, O_PATH | O_NOFOLLOW);
  ASSERT_GE(link, 0);
  struct stat status;
  ASSERT_EQ(fstat(link, &status), 0);
  EXPECT_TRUE(S_ISLNK(status.st_mode));
  char text[PATH_MAX];
  const ssize_t size = readlinkat(link, "", text, sizeof(text));
  EXPECT_EQ(std::string(text, std::max<ssize_t>(size, 0)),
            "../../../devices/pci0000:00/0000:00:05.0");
  close(link);
}

TEST(OpenTest, DescriptorsAreForgottenWhenClosedAndFollowTheirDuplicates) {
  const int fd = open(kDevicePath, O_RDONLY);
  const int copy = dup(fd);
  close(fd);
  EXPECT_EQ(NodeOfDescriptor(fd).node, vfs::kNoNode);
  const int vendor = openat(copy, "vendor", O_RDONLY);
  EXPECT_EQ(ReadAll(vendor), "0x1b36\n");
  close(vendor);
  close(copy);
  EXPECT_FALSE(AnyDescriptorsRemembered());
}

TEST(OpenTest, DescriptorClosedUnseenIsNotMistakenForAnother) {
  const int fd = open(kDevicePath, O_RDONLY);
  syscall(SYS_close, fd);
  const int other = open("/dev/null", O_RDONLY);
  ASSERT_EQ(other, fd);
  struct stat status;
  ASSERT_EQ(fstat(other, &status), 0);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
  EXPECT_EQ(openat(other, "vendor", O_RDONLY), -1);
  EXPECT_EQ(errno, ENOTDIR);
  close(other);
  EXPECT_FALSE(AnyDescriptorsRemembered());
}

TEST(StreamTest, EveryFunctionOpensNodes) {
  for (const auto& each : {fopen, fopen64}) {
    errno = kUntouched;
    FILE* file = each(kVendorPath, "re");
    ASSERT_NE(file, nullptr);
    char line[16];
    EXPECT_STREQ(fgets(line, sizeof(line), file), "0x1b36\n");
    EXPECT_EQ(fgets(line, sizeof(line), file), nullptr);
    std::fclose(file);
    file = each(kGroupPath, "r+");
    EXPECT_EQ(ShownPath(fileno(file)), kGroupPath);
    close(fileno(file));
    EXPECT_EQ(errno, kUntouched);
    std::fclose(file);
    EXPECT_EQ(each(kVendorPath, "w"), nullptr);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(each("/sys/kernel/iommu_groups/7/name", "r"), nullptr);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(each(kVendorPath, "bad"), nullptr);
    EXPECT_EQ(errno, EINVAL);
  }
}

TEST(StreamTest, StreamsAreReopenedOnNodes) {
  for (const auto& each : {freopen, freopen64}) {
    FILE* file = fopen("/dev/null", "r");
    file = each(kVendorPath, "r", file);
    ASSERT_NE(file, nullptr);
    char line[16];
    EXPECT_STREQ(fgets(line, sizeof(line), file), "0x1b36\n");
    file = each("/proc/self/comm", "r", file);
    ASSERT_NE(file, nullptr);
    EXPECT_NE(fgets(line, sizeof(line), file), nullptr);
    std::fclose(file);
  }
}

TEST(WorkingDirectoryTest, RelativePathsStartInDirectoriesOfTheView) {
  char before[PATH_MAX];
  ASSERT_NE(getcwd(before, sizeof(before)), nullptr);
  errno = kUntouched;
  ASSERT_EQ(chdir(kDeviceLink), 0);
  char path[PATH_MAX];
  EXPECT_STREQ(getcwd(path, sizeof(path)), kDevicePath);
  EXPECT_EQ(errno, kUntouched);
  EXPECT_EQ(getcwd(path, 4), nullptr);
  EXPECT_EQ(errno, ERANGE);
  int fd = open("vendor", O_RDONLY);
  EXPECT_EQ(ReadAll(fd), "0x1b36\n");
  close(fd);
  EXPECT_EQ(open("made", O_WRONLY | O_CREAT, 0600), -1);
  EXPECT_EQ(errno, ENOENT);
  struct stat status;
  EXPECT_EQ(stat("../../../../proc/self/comm", &status), 0);
  ASSERT_EQ(chdir("iommu_group"), 0);
  EXPECT_STREQ(realpath("devices/0000:00:1f.7", path), "/sys/devices/pci0000:00/0000:00:1f.7");
  ASSERT_EQ(chdir("../.."), 0);
  EXPECT_EQ(access("iommu_groups/12/type", R_OK), 0);
  EXPECT_EQ(chdir("iommu_groups/12/type"), -1);
  EXPECT_EQ(errno, ENOTDIR);
  ASSERT_EQ(chdir(before), 0);
  fd = open(kDevicePath, O_RDONLY);
  ASSERT_EQ(fchdir(fd), 0);
  close(fd);
  EXPECT_EQ(access("resource", R_OK), 0);
  ASSERT_EQ(chdir(before), 0);
  EXPECT_STREQ(getcwd(path, sizeof(path)), before);
  EXPECT_EQ(access("resource", R_OK), -1);
}

TEST(WorkingDirectoryTest, RootIsADirectoryOfTheView) {
  char before[PATH_MAX];
  ASSERT_NE(getcwd(before, sizeof(before)), nullptr);
  ASSERT_EQ(chdir("/"), 0);
  EXPECT_EQ(access("sys/kernel/iommu_groups/7", F_OK), 0);
  EXPECT_EQ(access("./dev/null", F_OK), 0);
  ASSERT_EQ(chdir(before), 0);
}

TEST(ForkTest, ChildKnowsDescriptorsAndWorkingDirectory) {
  char before[PATH_MAX];
  ASSERT_NE(getcwd(before, sizeof(before)), nullptr);
  const int fd = open(kDevicePath, O_RDONLY);
  ASSERT_EQ(chdir(kDevicePath), 0);
  const pid_t child = fork();
  if (child == 0) {
    const bool knows = openat(fd, "vendor", O_RDONLY) >= 0 && open("vendor", O_RDONLY) >= 0;
    _exit(knows ? 0 : 1);
  }
  int status = -1;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  ASSERT_EQ(chdir(before), 0);
  close(fd);
}

TEST(ThreadTest, ThreadsOpenAndCloseAtOnce) {
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([] {
      for (int turn = 0; turn < 500; ++turn) {
        const int directory = open(kDevicePath, O_RDONLY | O_DIRECTORY);
        const int vendor = openat(directory, "vendor", O_RDONLY);
        EXPECT_EQ(ReadAll(vendor), "0x1b36\n");
        close(vendor);
        close(directory);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_FALSE(AnyDescriptorsRemembered());
}

}  // namespace
}  // namespace compat::preload
