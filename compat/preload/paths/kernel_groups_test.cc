// The machine's groups as programs see them, in a tree that the test makes.
#include "compat/preload/paths/kernel_groups.h"

#include <dirent.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <set>
#include <string>

#include "compat/preload/paths/fake_session.h"
#include "compat/preload/session.h"
#include "compat/sysfs/fake_tree.h"
#include "compat/vfs/view.h"

namespace compat::preload {
namespace {

constexpr char kNvme[] = "0000:00:05.0";
constexpr char kNetwork[] = "0000:00:06.0";
constexpr char kUuid[] = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";

class KernelGroupsTest : public testing::Test {
 protected:
  KernelGroupsTest() {
    tree_.Write("/dev/iommu", "");
    tree_.AddDevice(20, kNvme, "0x010802");
    tree_.BindVfio(kNvme, 3);
    tree_.AddDevice(9, kNetwork, "0x020000");
    tree_.Bind(kNetwork, "e1000e");
    SetInventory(&inventory_);
  }
  ~KernelGroupsTest() override { SetInventory(nullptr); }

  std::string In(const std::string& path) const { return tree_.root() + path; }

  static std::set<std::string> List(const char* directory) {
    std::set<std::string> names;
    DIR* const dir = opendir(directory);
    if (dir == nullptr) return names;
    while (const dirent* const entry = readdir(dir)) names.insert(entry->d_name);
    closedir(dir);
    return names;
  }

  static struct stat Stat(const char* path) {
    struct stat status = {};
    EXPECT_EQ(stat(path, &status), 0) << path;
    return status;
  }

  static struct stat StatOf(int fd) {
    struct stat status = {};
    EXPECT_EQ(fstat(fd, &status), 0);
    return status;
  }

  sysfs::FakeTree tree_;
  KernelInventory inventory_{tree_.root()};
};

TEST_F(KernelGroupsTest, GroupsOfVfiosAreListedAndFound) {
  const std::set<std::string> names = List("/dev/vfio");
  EXPECT_TRUE(names.contains("vfio"));
  EXPECT_TRUE(names.contains("20"));
  EXPECT_FALSE(names.contains("9"));
  EXPECT_EQ(Stat("/dev/vfio/20").st_rdev, makedev(vfs::kGroupMajor, 20));
  struct stat status;
  EXPECT_EQ(stat("/dev/vfio/9", &status), -1);
  EXPECT_EQ(errno, ENOENT);
}

TEST_F(KernelGroupsTest, DevicesMayComeAndGo) {
  tree_.BindVfio(kNetwork, 4);
  EXPECT_TRUE(List("/dev/vfio").contains("9"));
  EXPECT_EQ(access("/dev/vfio/9", F_OK), 0);
  tree_.Bind(kNetwork, "e1000e");
  EXPECT_FALSE(List("/dev/vfio").contains("9"));
  EXPECT_EQ(access("/dev/vfio/9", F_OK), -1);
}

TEST_F(KernelGroupsTest, PermissionsAreThoseOfTheFilesThatAreOpened) {
  ASSERT_EQ(chmod(In("/dev/vfio/devices/vfio3").c_str(), 0640), 0);
  ASSERT_EQ(chmod(In("/dev/iommu").c_str(), 0660), 0);
  EXPECT_EQ(Stat("/dev/vfio/20").st_mode, static_cast<mode_t>(S_IFCHR | 0640));
  EXPECT_EQ(Stat("/dev/vfio/20").st_uid, Stat(In("/dev/vfio/devices/vfio3").c_str()).st_uid);
  EXPECT_EQ(Stat("/dev/vfio/vfio").st_mode, static_cast<mode_t>(S_IFCHR | 0660));
  EXPECT_EQ(access("/dev/vfio/20", R_OK | W_OK), 0);
  // Even root may not execute what nobody may.
  EXPECT_EQ(access("/dev/vfio/20", X_OK), -1);
  EXPECT_EQ(errno, EACCES);
}

TEST_F(KernelGroupsTest, AccessIsWhatTheKernelSaysOfTheFileThatIsOpened) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can take another user's place";
  ASSERT_EQ(chmod(tree_.root(), 0755), 0);
  ASSERT_EQ(chmod(In("/dev/vfio/devices/vfio3").c_str(), 0600), 0);
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(seteuid(kNobody), 0);
  const int group = eaccess("/dev/vfio/20", R_OK | W_OK);
  const int group_errno = errno;
  ASSERT_EQ(seteuid(0), 0);
  EXPECT_EQ(group, -1);
  EXPECT_EQ(group_errno, EACCES);
}

TEST_F(KernelGroupsTest, NoiommuGroupsHaveTheirOwnNames) {
  tree_.Write("/sys/kernel/iommu_groups/20/name", "vfio-noiommu\n");
  tree_.Remove(sysfs::FakeTree::DevicePath(kNvme) + "/vfio-dev/vfio3/dev");
  EXPECT_TRUE(List("/dev/vfio").contains("noiommu-20"));
  EXPECT_FALSE(List("/dev/vfio").contains("20"));
  EXPECT_EQ(access("/dev/vfio/20", F_OK), -1);
  EXPECT_EQ(Stat("/dev/vfio/noiommu-20").st_rdev, makedev(vfs::kGroupMajor, 20));
}

TEST_F(KernelGroupsTest, ANumberThatIsAnotherGroupsNowIsNoticed) {
  EXPECT_EQ(access("/dev/vfio/20", F_OK), 0);
  tree_.Unbind(kNvme);
  tree_.BindVfio(kNetwork, 3);
  ASSERT_EQ(chmod(In("/dev/vfio/devices/vfio3").c_str(), 0640), 0);
  EXPECT_EQ(access("/dev/vfio/20", F_OK), -1);
  EXPECT_EQ(Stat("/dev/vfio/9").st_mode, static_cast<mode_t>(S_IFCHR | 0640));
  tree_.BindVfio(kNetwork, 4);
  tree_.Remove(sysfs::FakeTree::DevicePath(kNetwork) + "/vfio-dev/vfio3");
  ASSERT_EQ(chmod(In("/dev/vfio/devices/vfio4").c_str(), 0600), 0);
  EXPECT_EQ(Stat("/dev/vfio/9").st_mode, static_cast<mode_t>(S_IFCHR | 0600));
}

TEST_F(KernelGroupsTest, MediatedDevicesAreInGroupsThatSysfsShows) {
  tree_.AddMediated(kUuid, 5);
  EXPECT_TRUE(List("/dev/vfio").contains("524293"));
  EXPECT_EQ(Stat("/dev/vfio/524293").st_rdev, makedev(vfs::kGroupMajor, 524293));
  const std::string link = std::string("/sys/bus/mdev/devices/") + kUuid + "/iommu_group";
  char target[64] = {};
  ASSERT_GT(readlink(link.c_str(), target, sizeof(target)), 0);
  EXPECT_STREQ(target, "../../../../../kernel/iommu_groups/524293");
  char* const resolved = realpath(link.c_str(), nullptr);
  EXPECT_STREQ(resolved, "/sys/kernel/iommu_groups/524293");
  std::free(resolved);
  EXPECT_EQ(List("/sys/kernel/iommu_groups/524293/devices"),
            (std::set<std::string>{".", "..", kUuid}));
  EXPECT_TRUE(List("/sys/kernel/iommu_groups").contains("524293"));
  tree_.RemoveMediated(kUuid);
  EXPECT_EQ(readlink(link.c_str(), target, sizeof(target)), -1);
  EXPECT_FALSE(List("/dev/vfio").contains("524293"));
}

TEST_F(KernelGroupsTest, WithoutIommufdThereIsNoContainer) {
  tree_.Remove("/dev/iommu");
  EXPECT_EQ(open("/dev/vfio/vfio", O_RDWR), -1);
  EXPECT_EQ(errno, ENOENT);
  EXPECT_FALSE(List("/dev/vfio").contains("vfio"));
}

TEST_F(KernelGroupsTest, DescriptorsShowTheNodesWhateverTheyAre) {
  const int container = OpenContainer(0);
  const int group = OpenGroup(20, 0);
  const struct stat of_container = StatOf(container);
  EXPECT_TRUE(S_ISCHR(of_container.st_mode));
  EXPECT_EQ(of_container.st_rdev, makedev(10, 196));
  EXPECT_EQ(StatOf(group).st_rdev, Stat("/dev/vfio/20").st_rdev);
  EXPECT_EQ(StatOf(group).st_ino, Stat("/dev/vfio/20").st_ino);
  char link[64] = {};
  EXPECT_GT(readlink(("/proc/self/fd/" + std::to_string(group)).c_str(), link, sizeof(link)), 0);
  EXPECT_STREQ(link, "/dev/vfio/20");
  close(container);
  close(group);
}

TEST_F(KernelGroupsTest, AnOpenGroupOutlivesItsNode) {
  const int group = OpenGroup(20, 0);
  tree_.Unbind(kNvme);
  const struct stat status = StatOf(group);
  EXPECT_TRUE(S_ISCHR(status.st_mode));
  EXPECT_EQ(status.st_rdev, makedev(vfs::kGroupMajor, 20));
  EXPECT_EQ(status.st_nlink, 0u);
  close(group);
}

TEST_F(KernelGroupsTest, TheNoiommuParameterIsThereInAnyCase) {
  const int fd = open("/sys/module/vfio/parameters/enable_unsafe_noiommu_mode", O_RDONLY);
  ASSERT_GE(fd, 0);
  char value = 0;
  EXPECT_EQ(read(fd, &value, 1), 1);
  EXPECT_TRUE(value == 'N' || value == 'Y');
  close(fd);
  EXPECT_EQ(access("/sys/module/vfio", F_OK), 0);
  EXPECT_EQ(access("/sys/module/vfio_iommu_type1", F_OK), 0);
}

TEST_F(KernelGroupsTest, DevicesInSysfsAreTheRealOnes) {
  EXPECT_EQ(access("/sys/kernel/iommu_groups/20", F_OK), -1);
  EXPECT_EQ(access("/sys/bus/pci/devices/0000:00:05.0", F_OK),
            access("/sys/devices/pci0000:00/0000:00:05.0", F_OK));
}

}  // namespace
}  // namespace compat::preload
