// The functions that look at a path: the stat, access, readlink and realpath families.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include <climits>
#include <cstdlib>
#include <functional>
#include <memory>

#include "compat/preload/paths/fake_session.h"
#include "compat/preload/paths/paths_test.h"

extern "C" {
int __xstat(int, const char*, struct stat*);
int __xstat64(int, const char*, struct stat64*);
int __lxstat(int, const char*, struct stat*);
int __lxstat64(int, const char*, struct stat64*);
int __fxstat(int, int, struct stat*);
int __fxstat64(int, int, struct stat64*);
int __fxstatat(int, int, const char*, struct stat*, int);
int __fxstatat64(int, int, const char*, struct stat64*, int);
ssize_t __readlink_chk(const char*, char*, size_t, size_t);
ssize_t __readlinkat_chk(int, const char*, char*, size_t, size_t);
char* __realpath_chk(const char*, char*, size_t);
}

namespace compat::preload {
namespace {

using Stat = struct stat;
using Stat64 = struct stat64;

Stat64* As64(Stat* status) { return reinterpret_cast<Stat64*>(status); }

int StatByStatx(const char* path, int flags, Stat* out) {
  struct statx status;
  const int result = statx(AT_FDCWD, path, flags, STATX_BASIC_STATS, &status);
  if (result != 0) return result;
  *out = {};
  out->st_mode = status.stx_mode;
  out->st_ino = status.stx_ino;
  out->st_size = static_cast<off_t>(status.stx_size);
  out->st_rdev = makedev(status.stx_rdev_major, status.stx_rdev_minor);
  out->st_uid = status.stx_uid;
  return 0;
}

using PathStat = std::function<int(const char*, Stat*)>;

// Everything that follows a link, or that does not.
std::vector<PathStat> PathStats(bool follow) {
  const int flags = follow ? 0 : AT_SYMLINK_NOFOLLOW;
  std::vector<PathStat> stats = {
      [=](const char* path, Stat* out) { return fstatat(AT_FDCWD, path, out, flags); },
      [=](const char* path, Stat* out) { return fstatat64(AT_FDCWD, path, As64(out), flags); },
      [=](const char* path, Stat* out) { return __fxstatat(1, AT_FDCWD, path, out, flags); },
      [=](const char* path, Stat* out) {
        return __fxstatat64(1, AT_FDCWD, path, As64(out), flags);
      },
      [=](const char* path, Stat* out) { return StatByStatx(path, flags, out); },
  };
  if (follow) {
    stats.emplace_back([](const char* path, Stat* out) { return stat(path, out); });
    stats.emplace_back([](const char* path, Stat* out) { return stat64(path, As64(out)); });
    stats.emplace_back([](const char* path, Stat* out) { return __xstat(1, path, out); });
    stats.emplace_back([](const char* path, Stat* out) { return __xstat64(1, path, As64(out)); });
  } else {
    stats.emplace_back([](const char* path, Stat* out) { return lstat(path, out); });
    stats.emplace_back([](const char* path, Stat* out) { return lstat64(path, As64(out)); });
    stats.emplace_back([](const char* path, Stat* out) { return __lxstat(1, path, out); });
    stats.emplace_back([](const char* path, Stat* out) { return __lxstat64(1, path, As64(out)); });
  }
  return stats;
}

TEST(StatTest, EveryFunctionDescribesTheNodes) {
  for (const bool follow : {false, true}) {
    for (const PathStat& each : PathStats(follow)) {
      Stat status;
      errno = kUntouched;
      ASSERT_EQ(each(kContainerPath, &status), 0);
      EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFCHR | 0666));
      EXPECT_EQ(status.st_rdev, makedev(10, 196));
      ASSERT_EQ(each(kGroupPath, &status), 0);
      EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFCHR | 0600));
      EXPECT_EQ(major(status.st_rdev), 511U);
      EXPECT_EQ(status.st_uid, geteuid());
      ASSERT_EQ(each(kDeviceLink, &status), 0);
      EXPECT_EQ(status.st_mode, static_cast<mode_t>(follow ? S_IFDIR | 0755 : S_IFLNK | 0777));
      ASSERT_EQ(each("/sys//bus/./pci/devices/0000:00:05.0/../0000:00:05.0/vendor", &status), 0);
      EXPECT_EQ(status.st_mode, static_cast<mode_t>(S_IFREG | 0444));
      EXPECT_EQ(status.st_size, 4096);
      EXPECT_EQ(errno, kUntouched);
    }
  }
}

TEST(StatTest, EveryFunctionRefusesWhatIsNotThere) {
  for (const PathStat& each : PathStats(true)) {
    Stat status;
    EXPECT_EQ(each("/sys/bus/pci/devices/0000:00:05.0/virtio1", &status), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(each("/dev/vfio/8", &status), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(each("/dev/vfio/7/", &status), -1);
    EXPECT_EQ(errno, ENOTDIR);
  }
}

TEST(StatTest, EveryFunctionSurvivesBadPointers) {
  for (const PathStat& each : PathStats(true)) {
    for (const char* path : BadPaths()) {
      Stat status;
      EXPECT_EQ(each(path, &status), -1);
      EXPECT_EQ(errno, EFAULT);
    }
  }
}

TEST(StatTest, BadOutputIsRefused) {
  auto* const nowhere = static_cast<Stat*>(
      mmap(nullptr, sizeof(Stat), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  EXPECT_EQ(stat(kGroupPath, nowhere), -1);
  EXPECT_EQ(errno, EFAULT);
}

TEST(StatTest, RealFilesAreThemselves) {
  Stat status;
  ASSERT_EQ(stat("/dev/null", &status), 0);
  EXPECT_EQ(status.st_rdev, makedev(1, 3));
  ASSERT_EQ(stat("/sys", &status), 0);
  EXPECT_LT(status.st_ino, ino_t{1} << 40);
  ASSERT_EQ(stat("/", &status), 0);
  EXPECT_EQ(stat("/sys/no-such-thing", &status), -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST(StatTest, WithoutConfigurationNothingIsThere) {
  SetConfigured(false);
  Stat status;
  EXPECT_EQ(stat("/sys/kernel/iommu_groups/7/type", &status), -1);
  EXPECT_EQ(access("/sys/devices/pci10000:a0", F_OK), -1);
  SetConfigured(true);
  EXPECT_EQ(stat("/sys/kernel/iommu_groups/7/type", &status), 0);
}

TEST(StatTest, DescriptorsAreDescribedAsWhatTheyShowThemselvesAs) {
  const std::vector<std::function<int(int, Stat*)>> stats = {
      [](int fd, Stat* out) { return fstat(fd, out); },
      [](int fd, Stat* out) { return fstat64(fd, As64(out)); },
      [](int fd, Stat* out) { return __fxstat(1, fd, out); },
      [](int fd, Stat* out) { return __fxstat64(1, fd, As64(out)); },
      [](int fd, Stat* out) { return fstatat(fd, "", out, AT_EMPTY_PATH); },
      [](int fd, Stat* out) { return __fxstatat64(1, fd, "", As64(out), AT_EMPTY_PATH); },
  };
  const int group = open(kGroupPath, O_RDWR);
  const int vendor = open(kVendorPath, O_RDONLY);
  const int directory = open(kDevicePath, O_RDONLY | O_DIRECTORY);
  const int device = OpenFakeDevice();
  for (const auto& each : stats) {
    Stat status;
    Stat expected;
    ASSERT_EQ(stat(kGroupPath, &expected), 0);
    ASSERT_EQ(each(group, &status), 0);
    EXPECT_EQ(status.st_rdev, expected.st_rdev);
    EXPECT_EQ(status.st_ino, expected.st_ino);
    ASSERT_EQ(stat(kVendorPath, &expected), 0);
    ASSERT_EQ(each(vendor, &status), 0);
    EXPECT_EQ(status.st_ino, expected.st_ino);
    EXPECT_EQ(status.st_size, expected.st_size);
    ASSERT_EQ(stat(kDeviceLink, &expected), 0);
    ASSERT_EQ(each(directory, &status), 0);
    EXPECT_EQ(status.st_ino, expected.st_ino);
    ASSERT_EQ(each(device, &status), 0);
    EXPECT_EQ(status.st_mode, mode_t{0600});
  }
  struct statx status;
  ASSERT_EQ(statx(group, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &status), 0);
  EXPECT_EQ(status.stx_rdev_major, 511U);
  for (const int fd : {group, vendor, directory, device}) close(fd);
}

TEST(AccessTest, AgreesWithWhatOpenAccepts) {
  const std::vector<std::function<int(const char*, int)>> functions = {
      [](const char* path, int mode) { return access(path, mode); },
      [](const char* path, int mode) { return euidaccess(path, mode); },
      [](const char* path, int mode) { return eaccess(path, mode); },
      [](const char* path, int mode) { return faccessat(AT_FDCWD, path, mode, 0); },
      [](const char* path, int mode) { return faccessat(AT_FDCWD, path, mode, AT_EACCESS); },
  };
  for (const auto& each : functions) {
    errno = kUntouched;
    EXPECT_EQ(each(kGroupPath, R_OK | W_OK), 0);
    EXPECT_EQ(each(kContainerPath, F_OK), 0);
    EXPECT_EQ(each(kVendorPath, R_OK), 0);
    EXPECT_EQ(each(kDeviceLink, R_OK | X_OK), 0);
    EXPECT_EQ(errno, kUntouched);
    EXPECT_EQ(each(kVendorPath, W_OK), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(each(kGroupPath, X_OK), -1);
    EXPECT_EQ(errno, EACCES);
    EXPECT_EQ(each("/sys/bus/pci/devices/0000:00:05.0/max_vfs", F_OK), -1);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(each(kGroupPath, 64), -1);
    for (const char* path : BadPaths()) {
      EXPECT_EQ(each(path, F_OK), -1);
      EXPECT_EQ(errno, EFAULT);
    }
  }
}

using ReadLink = std::function<ssize_t(const char*, char*, size_t)>;
const std::vector<ReadLink>& ReadLinks() {
  static const std::vector<ReadLink> kFunctions = {
      [](const char* path, char* out, size_t size) { return readlink(path, out, size); },
      [](const char* path, char* out, size_t size) {
        return readlinkat(AT_FDCWD, path, out, size);
      },
      [](const char* path, char* out, size_t size) {
        return __readlink_chk(path, out, size, size);
      },
      [](const char* path, char* out, size_t size) {
        return __readlinkat_chk(AT_FDCWD, path, out, size, size);
      },
  };
  return kFunctions;
}

std::string Link(const ReadLink& function, const std::string& path) {
  // Zeros, as some programs rely on behind what is read.
  char text[PATH_MAX] = {};
  const ssize_t size = function(path.c_str(), text, sizeof(text));
  if (size < 0) return "errno " + std::to_string(errno);
  EXPECT_EQ(std::string(text).size(), static_cast<size_t>(size));
  return {text, static_cast<size_t>(size)};
}

TEST(ReadlinkTest, ReadsLinksOfTheView) {
  for (const ReadLink& each : ReadLinks()) {
    errno = kUntouched;
    EXPECT_EQ(Link(each, kDeviceLink), "../../../devices/pci0000:00/0000:00:05.0");
    EXPECT_EQ(Link(each, std::string(kDeviceLink) + "/iommu_group"),
              "../../../kernel/iommu_groups/7");
    EXPECT_EQ(errno, kUntouched);
    EXPECT_EQ(Link(each, kGroupPath), "errno " + std::to_string(EINVAL));
    EXPECT_EQ(Link(each, kGroupsPath), "errno " + std::to_string(EINVAL));
    char text[3];
    EXPECT_EQ(each(kDeviceLink, text, sizeof(text)), 3);
    EXPECT_EQ(each(kDeviceLink, text, 0), -1);
    EXPECT_EQ(errno, EINVAL);
    for (const char* path : BadPaths()) {
      EXPECT_EQ(each(path, text, sizeof(text)), -1);
      EXPECT_EQ(errno, EFAULT);
    }
  }
}

TEST(ReadlinkTest, DescriptorsShowWhatTheyAreOfHoweverTheirDirectoryIsSpelled) {
  const int group = open(kGroupPath, O_RDWR);
  const int device = OpenFakeDevice();
  const int vendor = open(kVendorPath, O_RDONLY);
  const std::string own = "/proc/" + std::to_string(getpid()) + "/fd/";
  for (const std::string& directory : {std::string("/proc/self/fd/"), own, std::string("/dev/fd/"),
                                       std::string("//proc/./self/fd//")}) {
    for (const ReadLink& each : ReadLinks()) {
      EXPECT_EQ(Link(each, directory + std::to_string(group)), kGroupPath);
      EXPECT_EQ(Link(each, directory + std::to_string(device)), "anon_inode:[vfio-device]");
      EXPECT_EQ(Link(each, directory + std::to_string(vendor)),
                std::string(kDevicePath) + "/vendor");
    }
  }
  const int directory = open("/proc/self/fd", O_RDONLY | O_DIRECTORY);
  char text[64];
  const ssize_t size = readlinkat(directory, std::to_string(group).c_str(), text, sizeof(text));
  EXPECT_EQ(std::string(text, size), kGroupPath);
  // Another process's descriptor of the same number is nothing of ours.
  EXPECT_NE(Link(ReadLinks()[0], "/proc/1/fd/" + std::to_string(group)), kGroupPath);
  for (const int fd : {group, device, vendor, directory}) close(fd);
}

TEST(RealpathTest, EveryFunctionFollowsTheLinksOfTheView) {
  char out[PATH_MAX];
  const std::vector<std::function<char*(const char*)>> functions = {
      [&](const char* path) { return realpath(path, out); },
      [&](const char* path) { return __realpath_chk(path, out, sizeof(out)); },
      [&](const char* path) {
        char* const result = canonicalize_file_name(path);
        if (result == nullptr) return result;
        std::snprintf(out, sizeof(out), "%s", result);
        std::free(result);
        return out;
      },
  };
  for (const auto& each : functions) {
    errno = kUntouched;
    EXPECT_STREQ(each(kDeviceLink), kDevicePath);
    EXPECT_STREQ(each("/sys/bus/pci/devices/0000:00:05.0/iommu_group/"),
                 "/sys/kernel/iommu_groups/7");
    EXPECT_STREQ(each("/dev/vfio/../vfio/7"), kGroupPath);
    EXPECT_STREQ(each("/sys/bus/pci/devices/0000:00:05.0/subsystem/drivers"),
                 "/sys/bus/pci/drivers");
    EXPECT_EQ(errno, kUntouched);
    EXPECT_STREQ(each("/usr/.."), "/");
    EXPECT_EQ(each("/sys/bus/pci/devices/0000:00:05.0/nothing"), nullptr);
    EXPECT_EQ(errno, ENOENT);
    EXPECT_EQ(each(nullptr), nullptr);
    EXPECT_EQ(errno, EINVAL);
  }
  std::unique_ptr<char, decltype(&std::free)> allocated(realpath(kDeviceLink, nullptr), &std::free);
  EXPECT_STREQ(allocated.get(), kDevicePath);
}

TEST(XattrTest, NodesHaveNone) {
  char value[16];
  EXPECT_EQ(getxattr(kGroupPath, "user.x", value, sizeof(value)), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
  EXPECT_EQ(lgetxattr(kDeviceLink, "security.selinux", value, sizeof(value)), -1);
  EXPECT_EQ(errno, EOPNOTSUPP);
  EXPECT_EQ(listxattr(kGroupPath, value, sizeof(value)), 0);
  EXPECT_EQ(llistxattr(kDeviceLink, value, sizeof(value)), 0);
}

}  // namespace
}  // namespace compat::preload
