// Hosts that are as they should be, and hosts that are not.
#include "tools/cli/doctor.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "compat/sysfs/fake_tree.h"
#include "tools/cli/doctor_command.h"

namespace tools::cli {
namespace {

constexpr char kNvme[] = "0000:00:05.0";
constexpr char kNetwork[] = "0000:00:06.0";
constexpr char kBridge[] = "0000:00:01.0";

// A host on which everything is right, until a test breaks it.
class DoctorTest : public testing::Test {
 protected:
  DoctorTest() {
    tree_.Write("/proc/sys/kernel/osrelease", "6.12.1-test\n");
    SetConfig("CONFIG_VFIO_PCI=m\n");
    for (const char* module : {"iommufd", "vfio", "vfio_pci"}) {
      tree_.MakeDirectory(std::string("/sys/module/") + module);
    }
    tree_.Write("/dev/iommu", "");
    tree_.MakeDirectory("/sys/class/iommu/dmar0");
    tree_.AddDevice(7, kNvme, "0x010802");
    tree_.BindVfio(kNvme, 3);
    tree_.AddDevice(9, kNetwork, "0x020000");
    tree_.Bind(kNetwork, "e1000e");
    tree_.Write("/proc/self/limits",
                "Limit                     Soft Limit           Hard Limit           Units     \n"
                "Max locked memory         unlimited            unlimited            bytes     \n");
    tree_.Write("/proc/self/status", "Name:\tx\nCapEff:\t0000000000000000\n");
  }

  void SetConfig(const std::string& rest) const {
    tree_.Write("/boot/config-6.12.1-test",
                "CONFIG_IOMMUFD=y\nCONFIG_VFIO=m\nCONFIG_VFIO_DEVICE_CDEV=y\n" + rest);
  }

  Diagnosis Look() const { return Diagnose(tree_.root()); }

  // The line with this name.
  Check Find(const std::string& name) const {
    for (const Check& check : Look().checks) {
      if (check.name == name) return check;
    }
    ADD_FAILURE() << "no line for " << name << " in\n" << ToText(Look());
    return {};
  }

  // Expects `name` to be an error, for which `remedy` is told, and the host to be unfit.
  void ExpectError(const std::string& name, const std::string& finding,
                   const std::string& remedy) const {
    const Check check = Find(name);
    EXPECT_EQ(check.status, CheckStatus::kError) << check.finding;
    EXPECT_NE(check.finding.find(finding), std::string::npos) << check.finding;
    EXPECT_NE(check.remedy.find(remedy), std::string::npos) << check.remedy;
    EXPECT_FALSE(Look().is_fit());
  }

  compat::sysfs::FakeTree tree_;
};

TEST_F(DoctorTest, AHostThatIsRightHasNothingToBeTried) {
  for (const Check& check : Look().checks) {
    EXPECT_EQ(check.status, CheckStatus::kOk) << check.name << ": " << check.finding;
    EXPECT_EQ(check.remedy, "") << check.name;
  }
  EXPECT_TRUE(Look().is_fit());
  EXPECT_NE(Find("kernel").finding.find("6.12.1-test"), std::string::npos);
  EXPECT_EQ(Find("CONFIG_VFIO").finding, "m");
  EXPECT_EQ(Find("IOMMU").finding, "dmar0, 2 groups");
}

TEST_F(DoctorTest, GroupsAreDescribedWithDevicesDriversAndNodes) {
  ASSERT_EQ(chmod((tree_.root() + std::string("/dev/vfio/devices/vfio3")).c_str(), 0640), 0);
  tree_.AddDevice(7, kBridge, "0x060400");
  tree_.Bind(kBridge, "pcieport");
  const std::string finding = Find("group 7").finding;
  EXPECT_NE(finding.find("0000:00:01.0 (pcieport, a bridge)"), std::string::npos) << finding;
  EXPECT_NE(finding.find("0000:00:05.0 (vfio-pci, /dev/vfio/devices/vfio3 mode 0640, "),
            std::string::npos)
      << finding;
  EXPECT_TRUE(finding.ends_with(": viable")) << finding;
  EXPECT_EQ(Find("group 9").finding, "0000:00:06.0 (e1000e): not VFIO's");
}

TEST_F(DoctorTest, OptionsThatAreNotSetAreNamed) {
  tree_.Write("/boot/config-6.12.1-test", "CONFIG_VFIO=y\n# CONFIG_IOMMUFD is not set\n");
  ExpectError("CONFIG_IOMMUFD", "not set", "CONFIG_IOMMUFD");
  ExpectError("CONFIG_VFIO_DEVICE_CDEV", "not set", "CONFIG_VFIO_DEVICE_CDEV");
  EXPECT_EQ(Find("CONFIG_VFIO_PCI").status, CheckStatus::kWarning);
  EXPECT_EQ(Find("CONFIG_VFIO_GROUP").status, CheckStatus::kOk);
}

TEST_F(DoctorTest, UnknownOptionsAreAWarning) {
  tree_.Remove("/boot");
  EXPECT_EQ(Find("kernel options").status, CheckStatus::kWarning);
  EXPECT_TRUE(Look().is_fit());
}

TEST_F(DoctorTest, AnOldKernelIsAWarningAsDistributionsChangeThem) {
  tree_.Write("/proc/sys/kernel/osrelease", "6.5.0\n");
  EXPECT_EQ(Find("kernel").status, CheckStatus::kWarning);
  tree_.Write("/proc/sys/kernel/osrelease", "7.0.0\n");
  EXPECT_EQ(Find("kernel").status, CheckStatus::kOk);
  tree_.Write("/proc/sys/kernel/osrelease", "");
  EXPECT_EQ(Find("kernel").status, CheckStatus::kWarning);
}

TEST_F(DoctorTest, ModulesThatAreNotLoadedAreNamed) {
  tree_.Remove("/sys/module");
  ExpectError("module vfio", "not loaded", "modprobe vfio");
  EXPECT_EQ(Find("module iommufd").finding, "built in");
  EXPECT_EQ(Find("module vfio_pci").status, CheckStatus::kWarning);
  EXPECT_EQ(Find("module vfio_pci").remedy, "modprobe vfio_pci");
}

TEST_F(DoctorTest, WithoutIommufdNothingWorks) {
  tree_.Remove("/dev/iommu");
  ExpectError("/dev/iommu", "No such file", "modprobe iommufd");
}

TEST_F(DoctorTest, WithoutAnIommuThereAreNoGroupsToSpeakOf) {
  tree_.Remove("/sys/kernel/iommu_groups");
  ExpectError("IOMMU", "dmar0: has no groups", "intel_iommu=on");
  tree_.Remove("/sys/class/iommu");
  ExpectError("IOMMU", "none is in use", "firmware");
  EXPECT_TRUE(Look().groups.empty());
}

TEST_F(DoctorTest, AMediatedDeviceHasALineAsWell) {
  tree_.AddMediated("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001", 5);
  const std::string finding = Find("group 524293").finding;
  EXPECT_EQ(finding.find("83b8f4f2-509f-382f-3c1e-e6bfe0fa1001 (mtty, /dev/vfio/devices/vfio5 "),
            0u)
      << finding;
  EXPECT_TRUE(finding.ends_with(": viable, made up by vfio-compat")) << finding;
  EXPECT_EQ(Find("IOMMU").finding, "dmar0, 2 groups");
  EXPECT_EQ(Find("VFIO devices").finding, "2 bound to VFIO's drivers");
  tree_.Remove("/sys/kernel/iommu_groups");
  EXPECT_EQ(Find("IOMMU").status, CheckStatus::kWarning);
  EXPECT_TRUE(Look().is_fit());
}

TEST_F(DoctorTest, AHostWithoutDevicesForVfioIsToldHowToGiveIt) {
  tree_.Bind(kNvme, "nvme");
  ExpectError("VFIO devices", "no device is bound",
              "echo vfio-pci > /sys/bus/pci/devices/ADDRESS/driver_override");
}

TEST_F(DoctorTest, AForeignDriverSpoilsItsGroup) {
  tree_.AddDevice(7, "0000:00:05.1", "0x020000");
  tree_.Bind("0000:00:05.1", "e1000e");
  ExpectError("group 7", "not viable: 0000:00:05.1 is the driver e1000e's",
              "echo vfio-pci > /sys/bus/pci/devices/0000:00:05.1/driver_override && "
              "echo 0000:00:05.1 > /sys/bus/pci/devices/0000:00:05.1/driver/unbind && "
              "echo 0000:00:05.1 > /sys/bus/pci/drivers_probe");
  EXPECT_FALSE(Look().groups.front().group.is_viable);
}

TEST_F(DoctorTest, ABridgeIsTakenFromItsDriverButNotGivenAway) {
  tree_.AddDevice(7, kBridge, "0x060400");
  tree_.Bind(kBridge, "shpchp");
  ExpectError("group 7", "0000:00:01.0 is the driver shpchp's", "unbind");
  EXPECT_EQ(Find("group 7").remedy.find("vfio-pci"), std::string::npos);
}

TEST_F(DoctorTest, ANodeThatIsMissingIsFound) {
  tree_.Remove("/dev/vfio/devices/vfio3");
  ExpectError("group 7", "a node is missing", "udevadm");
}

TEST_F(DoctorTest, ANodeThatIsForbiddenIsFound) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can take another user's place";
  ASSERT_EQ(chmod(tree_.root(), 0755), 0);
  ASSERT_EQ(chmod((tree_.root() + std::string("/dev/vfio/devices/vfio3")).c_str(), 0600), 0);
  ASSERT_EQ(chmod((tree_.root() + std::string("/dev/iommu")).c_str(), 0600), 0);
  constexpr uid_t kNobody = 65534;
  ASSERT_EQ(seteuid(kNobody), 0);
  ExpectError("group 7", "may not use /dev/vfio/devices/vfio3",
              "chgrp GROUP /dev/vfio/devices/vfio3");
  ExpectError("/dev/iommu", "Permission denied", "chgrp GROUP /dev/iommu");
  ASSERT_EQ(seteuid(0), 0);
}

TEST_F(DoctorTest, DevicesWithoutIommuAreOutOfReach) {
  tree_.Write("/sys/kernel/iommu_groups/7/name", "vfio-noiommu\n");
  tree_.Remove(compat::sysfs::FakeTree::DevicePath(kNvme) + "/vfio-dev/vfio3/dev");
  ExpectError("group 7", "has no IOMMU", "");
}

TEST_F(DoctorTest, ALimitOfLockedMemoryIsAWarningUnlessItDoesNotCount) {
  tree_.Write("/proc/self/limits", "Max locked memory         8388608   8388608   bytes\n");
  EXPECT_EQ(Find("locked memory").status, CheckStatus::kWarning);
  EXPECT_NE(Find("locked memory").finding.find("8192 KiB"), std::string::npos);
  EXPECT_NE(Find("locked memory").remedy.find("ulimit -l unlimited"), std::string::npos);
  EXPECT_TRUE(Look().is_fit());
  tree_.Write("/proc/self/status", "CapEff:\t0000000000004000\n");
  EXPECT_EQ(Find("locked memory").status, CheckStatus::kOk);
}

TEST_F(DoctorTest, AKernelWithTheLegacyInterfaceNeedsNoShim) {
  EXPECT_NE(Find("legacy interface").finding.find("need vfio-compat"), std::string::npos);
  tree_.Write("/dev/vfio/vfio", "");
  EXPECT_NE(Find("legacy interface").finding.find("without vfio-compat"), std::string::npos);
}

TEST_F(DoctorTest, TextHasALineForEachCheck) {
  tree_.Remove("/dev/iommu");
  const std::string text = ToText(Look());
  EXPECT_EQ(text.find("ok       kernel: Linux 6.12.1-test\n"), 0u) << text;
  EXPECT_NE(text.find("\nerror    /dev/iommu: No such file"), std::string::npos) << text;
  EXPECT_NE(text.find("; try: modprobe iommufd"), std::string::npos) << text;
  EXPECT_EQ(std::ranges::count(text, '\n'), static_cast<long>(Look().checks.size()));
}

TEST_F(DoctorTest, JsonHasChecksAndGroups) {
  const std::string json = ToJson(Look());
  EXPECT_EQ(json.find("{\n  \"fit\": true,\n  \"checks\": [\n    {\"name\": \"kernel\", "), 0u)
      << json;
  EXPECT_NE(json.find("{\"number\": 9, \"noiommu\": false, \"made_up\": false, \"viable\": "
                      "false, \"devices\": [{\"name\": \"0000:00:06.0\", \"driver\": \"e1000e\", "
                      "\"bridge\": false, "
                      "\"node\": null}]}"),
            std::string::npos)
      << json;
}

}  // namespace
}  // namespace tools::cli
