#include "compat/settings/environment.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace compat::settings {
namespace {

class EnvironmentTest : public testing::Test {
 protected:
  EnvironmentTest() { Clear(); }
  ~EnvironmentTest() override { Clear(); }

  static void Clear() {
    for (const char* name :
         {kBackendVariable, kDevicesVariable, kFaultsVariable, kIommuVariable, kContainerVariable,
          kPlatformVariable, kTce64StartVariable, kLogVariable, kLogFileVariable, kHostVariable,
          kControlVariable, kSummaryVariable}) {
      unsetenv(name);
    }
  }

  // The refusal that `variable` = `value` alone is met with.
  static std::string WhyNot(const char* variable, const char* value) {
    Clear();
    setenv(variable, value, 1);
    const Parsed<Settings> settings = FromEnvironment();
    EXPECT_FALSE(settings.ok()) << variable << "=" << value;
    EXPECT_EQ(settings.message().find(variable), 0u) << settings.message();
    return settings.message();
  }
};

TEST_F(EnvironmentTest, EmptyEnvironmentGivesDefaultsAndAsksForNoHost) {
  EXPECT_FALSE(EnvironmentAsksForHost());
  const Parsed<Settings> settings = FromEnvironment();
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->backend, Backend::kAuto);
  EXPECT_TRUE(settings->devices.empty());
  EXPECT_TRUE(settings->faults.empty());
  EXPECT_EQ(settings->container, ContainerTypes::kType1);
  EXPECT_EQ(settings->platform, PowerPlatform::kPowerNv);
  EXPECT_FALSE(settings->tce64_start.has_value());
  EXPECT_EQ(settings->log_level, LogLevel::kWarning);
  EXPECT_FALSE(settings->summary);
}

TEST_F(EnvironmentTest, EmptyVariablesAreLikeUnsetOnes) {
  setenv(kDevicesVariable, "", 1);
  setenv(kLogVariable, "", 1);
  EXPECT_FALSE(EnvironmentAsksForHost());
  EXPECT_TRUE(FromEnvironment().ok());
}

TEST_F(EnvironmentTest, ReadsListsOfDevicesAndFaults) {
  setenv(kDevicesVariable, "nvme,addr=00:05.0,image=/a;nvme,addr=00:06.0,image=/b;;c,,d,group=0;",
         1);
  setenv(kFaultsVariable, "iova=0-4095;iova=1M-2M", 1);
  EXPECT_TRUE(EnvironmentAsksForHost());
  const Parsed<Settings> settings = FromEnvironment();
  ASSERT_TRUE(settings.ok()) << settings.message();
  ASSERT_EQ(settings->devices.size(), 2u);
  EXPECT_EQ(settings->devices[0].group, 1u);
  EXPECT_EQ(settings->devices[1].image, "/b;c,d");
  EXPECT_EQ(settings->faults, (std::vector<FaultRange>{{0, 4095}, {1 << 20, 2 << 20}}));
}

TEST_F(EnvironmentTest, RefusalsNameTheVariable) {
  WhyNot(kBackendVariable, "hard");
  WhyNot(kDevicesVariable, "nvme");
  WhyNot(kFaultsVariable, "iova=2-1");
  WhyNot(kContainerVariable, "type2");
  WhyNot(kPlatformVariable, "power9");
  WhyNot(kTce64StartVariable, "4097");
  WhyNot(kLogVariable, "loud");
  WhyNot(kHostVariable, "host");
  WhyNot(kLogFileVariable, "log");
  WhyNot(kSummaryVariable, "yes");
  EXPECT_NE(WhyNot(kDevicesVariable, "nvme,addr=00:05.0,image=a").find("absolute"),
            std::string::npos);
  EXPECT_NE(WhyNot(kDevicesVariable, "nvme,addr=00:05.0,image=/a;nvme,addr=00:05.0,image=/b")
                .find("two devices"),
            std::string::npos);
}

TEST_F(EnvironmentTest, EmulatedDevicesAreNotTheKernels) {
  setenv(kDevicesVariable, "nvme,addr=00:05.0,image=/a", 1);
  setenv(kBackendVariable, "kernel", 1);
  EXPECT_EQ(FromEnvironment().message().find(kBackendVariable), 0u);
}

TEST_F(EnvironmentTest, PlatformAndWindowNeedSpaprContainers) {
  for (const char* variable : {kPlatformVariable, kTce64StartVariable}) {
    Clear();
    setenv(variable, variable == kPlatformVariable ? "pseries" : "1T", 1);
    EXPECT_EQ(FromEnvironment().message().find(kContainerVariable), 0u);
    for (const char* container : {"spapr", "both"}) {
      setenv(kContainerVariable, container, 1);
      EXPECT_TRUE(FromEnvironment().ok());
    }
  }
}

TEST_F(EnvironmentTest, ReadsWhatItWrites) {
  Settings settings;
  settings.backend = Backend::kSoft;
  settings.devices = {*ParseDevice("nvme,addr=00:05.0,image=/a;b,,c,group=4,block_size=4096"),
                      *ParseDevice("nvme,addr=00:06.0,image=/d,group=4"),
                      *ParseDevice("nvme,addr=00:07.0,image=/e,group=5,iommu=power")};
  settings.iommu = Iommu::kSignExtended;
  ASSERT_EQ(AssignIommus(settings), "");
  settings.faults = {{0x1000, 0x1fff}, {0, UINT64_MAX}};
  settings.container = ContainerTypes::kBoth;
  settings.platform = PowerPlatform::kPSeries;
  settings.tce64_start = uint64_t{1} << 40;
  settings.log_level = LogLevel::kDebug;
  settings.log_file = "/tmp/log";
  settings.host = "/proc/1/fd/3";
  settings.summary = true;
  std::vector<std::string> assignments = ToEnvironment(settings);
  for (std::string& assignment : assignments) putenv(assignment.data());
  const Parsed<Settings> read = FromEnvironment();
  ASSERT_TRUE(read.ok()) << read.message();
  EXPECT_EQ(ToEnvironment(*read), assignments);
  EXPECT_EQ(read->devices[0].image, "/a;b,c");
  EXPECT_EQ(read->faults, settings.faults);
  EXPECT_EQ(read->iommu, settings.iommu);
  EXPECT_EQ(read->devices[0].iommu, Iommu::kSignExtended);
  EXPECT_EQ(read->devices[2].iommu, Iommu::kPower);
  EXPECT_EQ(read->container, settings.container);
  EXPECT_EQ(read->platform, settings.platform);
  EXPECT_EQ(read->tce64_start, settings.tce64_start);
  Clear();
}

TEST_F(EnvironmentTest, DevicesAreBehindTheIommuOfAll) {
  setenv(kDevicesVariable, "nvme,addr=00:05.0,image=/a", 1);
  setenv(kIommuVariable, "power", 1);
  const Parsed<Settings> settings = FromEnvironment();
  ASSERT_TRUE(settings.ok()) << settings.message();
  EXPECT_EQ(settings->devices[0].iommu, Iommu::kPower);
  Clear();
  EXPECT_NE(WhyNot(kIommuVariable, "arm").find("'arm' is not a kind of IOMMU"), std::string::npos);
}

TEST_F(EnvironmentTest, DefaultsStillAskForAHost) {
  EXPECT_EQ(ToEnvironment(Settings()), std::vector<std::string>{"VFIO_COMPAT_BACKEND=auto"});
}

TEST_F(EnvironmentTest, TheDaemonsSocketIsAnAbsolutePathThatTheKernelTakes) {
  EXPECT_TRUE(FromEnvironment()->control.empty());
  setenv(kControlVariable, "/run/daemon.sock", 1);
  EXPECT_FALSE(EnvironmentAsksForHost());
  const Parsed<Settings> settings = FromEnvironment();
  ASSERT_TRUE(settings.ok());
  EXPECT_EQ(settings->control, "/run/daemon.sock");
  EXPECT_EQ(ToEnvironment(*settings).back(), "VFIO_COMPAT_CONTROL=/run/daemon.sock");
  WhyNot(kControlVariable, "daemon.sock");
  const std::string longest = "/" + std::string(106, 'x');
  setenv(kControlVariable, longest.c_str(), 1);
  EXPECT_TRUE(FromEnvironment().ok());
  WhyNot(kControlVariable, (longest + "x").c_str());
}

}  // namespace
}  // namespace compat::settings
