// The functions of directory streams, and scandir().
#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdlib>
#include <functional>
#include <map>
#include <set>
#include <thread>

#include "compat/preload/paths/descriptor_nodes.h"
#include "compat/preload/paths/fake_session.h"
#include "compat/preload/paths/paths_test.h"

namespace compat::preload {
namespace {

using Names = std::multiset<std::string>;

Names ReadNames(DIR* dir) {
  Names names;
  while (const dirent* entry = readdir(dir)) names.insert(entry->d_name);
  return names;
}

Names List(const char* path) {
  DIR* const dir = opendir(path);
  if (dir == nullptr) return {"errno " + std::to_string(errno)};
  Names names = ReadNames(dir);
  closedir(dir);
  return names;
}

bool Holds(const Names& names, const std::string& name) { return names.count(name) == 1; }

TEST(DirectoryTest, DirectoriesOfTheViewAloneListTheirNodes) {
  EXPECT_EQ(List("/sys/kernel/iommu_groups/7"),
            (Names{".", "..", "devices", "reserved_regions", "type"}));
  EXPECT_EQ(List("/sys/kernel/iommu_groups/7/devices"),
            (Names{".", "..", "0000:00:05.0", "0000:00:1f.7"}));
  EXPECT_EQ(List(kDeviceLink).count("virtio4"), 0U);
}

TEST(DirectoryTest, RealDirectoriesListTheNodesAndWhatTheyHold) {
  SetConfigured(false);
  const Names real = List("/sys/bus/pci/drivers");
  const Names real_module = List("/sys/module");
  SetConfigured(true);
  const Names merged = List("/sys/bus/pci/drivers");
  EXPECT_TRUE(Holds(merged, "vfio-pci"));
  EXPECT_TRUE(std::includes(merged.begin(), merged.end(), real.begin(), real.end()));
  const Names modules = List("/sys/module");
  EXPECT_TRUE(
      std::includes(modules.begin(), modules.end(), real_module.begin(), real_module.end()));
  for (const char* module : {"vfio", "vfio_pci", "vfio_iommu_type1"})
    EXPECT_TRUE(Holds(modules, module));
  for (const char* path : {"/dev/vfio", kGroupsPath}) {
    const Names names = List(path);
    for (const char* name : {".", "..", "7", "12"}) EXPECT_TRUE(Holds(names, name)) << path;
  }
  EXPECT_TRUE(Holds(List("/dev"), "vfio"));
  EXPECT_TRUE(Holds(List("/dev"), "null"));
  EXPECT_TRUE(Holds(List("/"), "sys"));
}

TEST(DirectoryTest, NoNameIsListedTwiceAndAllCanBeOpened) {
  for (const char* path : {"/sys", "/sys/bus/pci/devices", "/sys/devices",
                           "/sys/devices/pci0000:00", "/sys/module", "/dev", kDevicePath}) {
    const Names names = List(path);
    EXPECT_EQ(std::set<std::string>(names.begin(), names.end()).size(), names.size()) << path;
  }
}

TEST(DirectoryTest, EntriesAgreeWithStat) {
  for (const char* path : {"/dev/vfio", "/sys/kernel/iommu_groups", kDevicePath, "/sys/module"}) {
    DIR* const dir = opendir(path);
    ASSERT_NE(dir, nullptr);
    while (const dirent64* entry = readdir64(dir)) {
      struct stat status;
      if (std::string(entry->d_name) == "..") continue;
      ASSERT_EQ(fstatat(dirfd(dir), entry->d_name, &status, AT_SYMLINK_NOFOLLOW), 0)
          << path << "/" << entry->d_name;
      EXPECT_EQ(status.st_ino, entry->d_ino) << path << "/" << entry->d_name;
      EXPECT_EQ(IFTODT(status.st_mode), entry->d_type) << path << "/" << entry->d_name;
    }
    closedir(dir);
  }
}

TEST(DirectoryTest, StreamsOfDescriptorsAreTheSame) {
  const int fd = open(kDeviceLink, O_RDONLY | O_DIRECTORY);
  DIR* const dir = fdopendir(fd);
  ASSERT_NE(dir, nullptr);
  EXPECT_EQ(dirfd(dir), fd);
  EXPECT_EQ(ReadNames(dir), List(kDevicePath));
  EXPECT_EQ(closedir(dir), 0);
  EXPECT_FALSE(AnyDescriptorsRemembered());
  const int vendor = open(kVendorPath, O_RDONLY);
  EXPECT_EQ(fdopendir(vendor), nullptr);
  EXPECT_EQ(errno, ENOTDIR);
  close(vendor);
}

TEST(DirectoryTest, PositionsCanBeReturnedTo) {
  for (const char* path : {"/sys/module", kDevicePath, "/dev/vfio", "/proc"}) {
    DIR* const dir = opendir(path);
    std::vector<std::pair<long, std::string>> entries;
    for (;;) {
      const long position = telldir(dir);
      const dirent* entry = readdir(dir);
      if (entry == nullptr) break;
      entries.emplace_back(position, entry->d_name);
    }
    for (auto each = entries.rbegin(); each != entries.rend() && path[1] != 'p'; ++each) {
      seekdir(dir, each->first);
      EXPECT_STREQ(readdir(dir)->d_name, each->second.c_str()) << path;
    }
    rewinddir(dir);
    EXPECT_STREQ(readdir(dir)->d_name, entries[0].second.c_str());
    closedir(dir);
  }
}

TEST(DirectoryTest, EntriesAreReadIntoTheCallersMemory) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wdeprecated-declarations"
  DIR* dir = opendir(kDevicePath);
  Names names;
  dirent entry;
  for (dirent* result = &entry; readdir_r(dir, &entry, &result) == 0 && result != nullptr;) {
    names.insert(result->d_name);
  }
  closedir(dir);
  EXPECT_EQ(names, List(kDevicePath));
  dir = opendir("/sys/module");
  names.clear();
  dirent64 entry64;
  for (dirent64* result = &entry64;
       readdir64_r(dir, &entry64, &result) == 0 && result != nullptr;) {
    names.insert(result->d_name);
  }
  closedir(dir);
  EXPECT_EQ(names, List("/sys/module"));
#pragma GCC diagnostic pop
}

TEST(DirectoryTest, EndLeavesErrnoAlone) {
  DIR* const dir = opendir(kDevicePath);
  errno = kUntouched;
  EXPECT_FALSE(ReadNames(dir).empty());
  EXPECT_EQ(errno, kUntouched);
  closedir(dir);
}

TEST(DirectoryTest, WhatIsNoDirectoryIsRefused) {
  EXPECT_EQ(opendir(kGroupPath), nullptr);
  EXPECT_EQ(errno, ENOTDIR);
  EXPECT_EQ(opendir("/dev/vfio/8"), nullptr);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_EQ(opendir("/sys/devices/pci0000:00/0000:00:05.0/power"), nullptr);
  EXPECT_EQ(errno, ENOENT);
}

int SelectDevices(const dirent* entry) { return entry->d_name[0] != '.' ? 1 : 0; }
int SelectDevices64(const dirent64* entry) { return entry->d_name[0] != '.' ? 1 : 0; }

template <typename Entry>
std::vector<std::string> Take(int count, Entry*** out) {
  Entry** const entries = *out;
  std::vector<std::string> names;
  for (int index = 0; index < count; ++index) {
    names.emplace_back(entries[index]->d_name);
    std::free(entries[index]);
  }
  std::free(entries);
  return names;
}

TEST(ScanTest, EveryFunctionSelectsAndSorts) {
  constexpr char kPath[] = "/sys/kernel/iommu_groups/7/devices";
  const std::vector<std::string> expected = {"0000:00:05.0", "0000:00:1f.7"};
  dirent** entries = nullptr;
  dirent64** entries64 = nullptr;
  errno = kUntouched;
  EXPECT_EQ(Take(scandir(kPath, &entries, SelectDevices, alphasort), &entries), expected);
  EXPECT_EQ(Take(scandir64(kPath, &entries64, SelectDevices64, alphasort64), &entries64), expected);
  const int fd = open("/sys/kernel", O_PATH);
  EXPECT_EQ(
      Take(scandirat(fd, "iommu_groups/7/devices", &entries, SelectDevices, alphasort), &entries),
      expected);
  EXPECT_EQ(
      Take(scandirat64(fd, "iommu_groups/7/devices", &entries64, SelectDevices64, alphasort64),
           &entries64),
      expected);
  EXPECT_EQ(errno, kUntouched);
  close(fd);
  EXPECT_EQ(scandir("/dev/vfio/8", &entries, nullptr, nullptr), -1);
  EXPECT_EQ(errno, ENOENT);
  const int count = scandir("/proc/self/task", &entries, nullptr, alphasort);
  EXPECT_EQ(Take(count, &entries).size(), 3U);
}

TEST(ThreadTest, ThreadsListAtOnce) {
  const Names expected = List(kDevicePath);
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; ++thread) {
    threads.emplace_back([&] {
      for (int turn = 0; turn < 50; ++turn) EXPECT_EQ(List(kDevicePath), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(DirectoryTest, MoreStreamsThanThereIsRoomForAreRefused) {
  std::vector<DIR*> streams;
  DIR* dir = nullptr;
  while (streams.size() < 4096 && (dir = opendir(kDevicePath)) != nullptr) streams.push_back(dir);
  EXPECT_EQ(errno, EMFILE);
  EXPECT_GT(streams.size(), 100U);
  for (DIR* each : streams) closedir(each);
  EXPECT_FALSE(AnyDescriptorsRemembered());
}

}  // namespace
}  // namespace compat::preload
