#include "compat/settings/settings.h"

#include <gtest/gtest.h>

namespace compat::settings {
namespace {

std::string WhyNoDevice(std::string_view text) {
  const Parsed<DeviceSettings> device = ParseDevice(text);
  EXPECT_FALSE(device.ok()) << text;
  EXPECT_NE(device.message().find(text), std::string::npos) << device.message();
  EXPECT_EQ(device.message().find('\n'), std::string::npos);
  return device.message();
}

TEST(ParseDeviceTest, ReadsEveryOption) {
  const Parsed<DeviceSettings> device =
      ParseDevice("nvme,addr=0000:00:05.0,image=/disks/a.img,group=7,block_size=4096");
  ASSERT_TRUE(device.ok()) << device.message();
  EXPECT_EQ(device->address.ToString(), "0000:00:05.0");
  EXPECT_EQ(device->image, "/disks/a.img");
  EXPECT_EQ(device->group, 7u);
  EXPECT_EQ(device->block_size, 4096u);
}

TEST(ParseDeviceTest, NeedsNoMoreThanAddressAndImage) {
  const Parsed<DeviceSettings> device = ParseDevice("nvme,image=a.img,addr=00:05.0");
  ASSERT_TRUE(device.ok()) << device.message();
  EXPECT_EQ(device->group, kAnyGroup);
  EXPECT_EQ(device->block_size, 512u);
}

TEST(ParseDeviceTest, TakesADoubledCommaInTheImagesName) {
  EXPECT_EQ(ParseDevice("nvme,addr=00:05.0,image=a,,b,group=1")->image, "a,b");
}

TEST(ParseDeviceTest, SaysWhatIsWrong) {
  EXPECT_NE(WhyNoDevice("").find("unknown kind"), std::string::npos);
  EXPECT_NE(WhyNoDevice("e1000,addr=00:05.0").find("unknown kind 'e1000'"), std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,image=a").find("'addr' is missing"), std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,addr=00:05.0").find("'image' is missing"), std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,addr=00:05.0,image=").find("names no file"), std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,addr=5,image=a").find("not a PCI address"), std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,addr=00:05.0,image=a,size=1").find("unknown option 'size'"),
            std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,addr=00:05.0,image=a,b").find("OPTION=VALUE"), std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,addr=00:05.0,image=a,image=b").find("given twice"),
            std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,addr=00:05.0,image=a,block_size=1024").find("neither 512 nor 4096"),
            std::string::npos);
  for (const char* group : {"", "x", "-1", "4294967295", "2147483648"}) {
    EXPECT_NE(WhyNoDevice("nvme,addr=00:05.0,image=a,group=" + std::string(group)).find("group '"),
              std::string::npos);
  }
}

TEST(ParseDeviceTest, ADmaEngineHasPasidsAndNoImage) {
  const Parsed<DeviceSettings> plain = ParseDevice("dma,addr=00:05.0");
  ASSERT_TRUE(plain.ok()) << plain.message();
  EXPECT_EQ(plain->kind, DeviceKind::kDma);
  EXPECT_EQ(plain->pasid_bits, 0);
  const std::string text = "dma,addr=0000:00:05.0,group=3,pasid_bits=20,iommu=power";
  const Parsed<DeviceSettings> device = ParseDevice(text);
  ASSERT_TRUE(device.ok()) << device.message();
  EXPECT_EQ(device->pasid_bits, 20);
  EXPECT_EQ(ToString(*device), text);
  EXPECT_EQ(ToString(*plain), "dma,addr=0000:00:05.0");
  for (const char* bits : {"", "0", "21", "-1", "x", "18446744073709551617"}) {
    EXPECT_NE(WhyNoDevice("dma,addr=00:05.0,pasid_bits=" + std::string(bits))
                  .find("is not a number from 1 to 20"),
              std::string::npos);
  }
  EXPECT_NE(WhyNoDevice("dma,pasid_bits=1").find("'addr' is missing"), std::string::npos);
  EXPECT_NE(WhyNoDevice("dma,addr=00:05.0,image=a")
                .find("unknown option 'image': expected addr, group, pasid_bits or iommu"),
            std::string::npos);
  EXPECT_NE(WhyNoDevice("nvme,addr=00:05.0,image=a,pasid_bits=1").find("'pasid_bits'"),
            std::string::npos);
}

TEST(ParseDeviceTest, ReadsWhatItPrints) {
  const std::string text = "nvme,addr=0000:00:05.0,image=/x,,y,group=3,block_size=4096";
  EXPECT_EQ(ToString(*ParseDevice(text)), text);
}

TEST(ParseFaultTest, ReadsAnInclusiveRange) {
  EXPECT_EQ(*ParseFault("iova=0x10000-0x1ffff"), (FaultRange{0x10000, 0x1ffff}));
  EXPECT_EQ(*ParseFault("iova=1M-1M"), (FaultRange{1 << 20, 1 << 20}));
  EXPECT_EQ(ToString(*ParseFault("iova=0-4095")), "iova=0x0-0xfff");
}

TEST(ParseFaultTest, SaysWhatIsWrong) {
  EXPECT_NE(ParseFault("iova=2-1").message().find("above the last"), std::string::npos);
  EXPECT_NE(ParseFault("iova=5").message().find("FIRST-LAST"), std::string::npos);
  EXPECT_NE(ParseFault("0-1").message().find("FIRST-LAST"), std::string::npos);
  EXPECT_NE(ParseFault("iova=a-b").message().find("'a' is not a number"), std::string::npos);
  EXPECT_NE(ParseFault("iova=0-").message().find("'' is not a number"), std::string::npos);
}

TEST(ParseBackendTest, ListsWhatThereIs) {
  EXPECT_EQ(*ParseBackend("soft"), Backend::kSoft);
  EXPECT_EQ(ParseBackend("hard").message(),
            "'hard' is not a backend: expected auto, kernel or soft");
  for (const std::string_view name : {"auto", "kernel", "soft"}) {
    EXPECT_EQ(ToString(*ParseBackend(name)), name);
  }
}

TEST(ResolveBackendTest, AutoIsTheKernelUnlessDevicesAreEmulated) {
  Settings settings;
  EXPECT_EQ(ResolveBackend(settings), Backend::kKernel);
  settings.devices.emplace_back();
  EXPECT_EQ(ResolveBackend(settings), Backend::kSoft);
  settings.backend = Backend::kKernel;
  EXPECT_EQ(ResolveBackend(settings), Backend::kKernel);
  settings = Settings();
  settings.backend = Backend::kSoft;
  EXPECT_EQ(ResolveBackend(settings), Backend::kSoft);
}

TEST(BackendConflictTest, WhatIsEmulatedIsNotTheKernels) {
  Settings settings;
  EXPECT_EQ(BackendConflict(settings), "");
  settings.faults = {{0, 4095}};
  EXPECT_NE(BackendConflict(settings).find("refused"), std::string::npos);
  settings.devices.emplace_back();
  EXPECT_EQ(BackendConflict(settings), "");
  settings.backend = Backend::kKernel;
  EXPECT_NE(BackendConflict(settings).find("emulated devices"), std::string::npos);
  settings.backend = Backend::kSoft;
  EXPECT_EQ(BackendConflict(settings), "");
}

TEST(ParseContainerTypesTest, ListsWhatThereIs) {
  EXPECT_EQ(ParseContainerTypes("type2").message(),
            "'type2' is not a container type: expected type1, spapr or both");
  for (const std::string_view name : {"type1", "spapr", "both"}) {
    EXPECT_EQ(ToString(*ParseContainerTypes(name)), name);
  }
}

TEST(ParsePowerPlatformTest, ListsWhatThereIs) {
  EXPECT_EQ(ParsePowerPlatform("power9").message(),
            "'power9' is not a POWER platform: expected powernv or pseries");
  for (const std::string_view name : {"powernv", "pseries"}) {
    EXPECT_EQ(ToString(*ParsePowerPlatform(name)), name);
  }
}

TEST(ParseWindowStartTest, ReadsMultiplesOfAPage) {
  EXPECT_EQ(*ParseWindowStart("4096"), 4096u);
  EXPECT_EQ(*ParseWindowStart("0x800000000000000"), uint64_t{1} << 59);
  EXPECT_EQ(*ParseWindowStart("1T"), uint64_t{1} << 40);
}

TEST(ParseWindowStartTest, RefusesTheFirstWindowAndHalfPages) {
  for (const char* text : {"", "0", "0x0", "4095", "0x1001", "1t", "-4096", "16777216T"}) {
    const Parsed<uint64_t> start = ParseWindowStart(text);
    EXPECT_FALSE(start.ok()) << text;
    EXPECT_NE(start.message().find("'" + std::string(text) + "' is not a multiple of 4096"),
              std::string::npos)
        << start.message();
  }
}

TEST(ContainerConflictTest, WindowsAreForSpaprContainers) {
  Settings settings;
  EXPECT_EQ(ContainerConflict(settings), "");
  settings.tce64_start = uint64_t{1} << 40;
  EXPECT_NE(ContainerConflict(settings).find("0x10000000000 needs"), std::string::npos);
  settings.platform = PowerPlatform::kPSeries;
  EXPECT_NE(ContainerConflict(settings).find("pseries needs"), std::string::npos);
  for (const ContainerTypes types : {ContainerTypes::kSpapr, ContainerTypes::kBoth}) {
    settings.container = types;
    EXPECT_EQ(ContainerConflict(settings), "");
  }
}

TEST(ParseLogLevelTest, ListsWhatThereIs) {
  EXPECT_EQ(*ParseLogLevel("debug"), LogLevel::kDebug);
  EXPECT_EQ(ParseLogLevel("loud").message(),
            "'loud' is not a log level: expected error, warning, info or debug");
  EXPECT_EQ(ToString(LogLevel::kInfo), "info");
}

DeviceSettings DeviceAt(std::string_view address, uint32_t group) {
  DeviceSettings device;
  device.address = *ParsePciAddress(address);
  device.group = group;
  return device;
}

TEST(AssignGroupsTest, GivesEachDeviceTheLowestGroupThatNobodyAskedFor) {
  std::vector<DeviceSettings> devices = {DeviceAt("00:01.0", kAnyGroup), DeviceAt("00:02.0", 0),
                                         DeviceAt("00:03.0", kAnyGroup), DeviceAt("00:04.0", 0)};
  EXPECT_EQ(AssignGroups(devices), "");
  EXPECT_EQ(devices[0].group, 1u);
  EXPECT_EQ(devices[1].group, 0u);
  EXPECT_EQ(devices[2].group, 2u);
  EXPECT_EQ(devices[3].group, 0u);
}

TEST(AssignGroupsTest, RefusesTwoDevicesAtOneAddress) {
  std::vector<DeviceSettings> devices = {DeviceAt("00:01.0", 1), DeviceAt("0000:00:01.0", 2)};
  EXPECT_EQ(AssignGroups(devices), "two devices have the address 0000:00:01.0");
}

TEST(AssignIommusTest, GivesTheSettingsIommuToDevicesWithoutOne) {
  Settings settings;
  settings.iommu = Iommu::kX86;
  settings.devices = {DeviceAt("00:01.0", 1), DeviceAt("00:02.0", 2)};
  settings.devices[1].iommu = Iommu::kPower;
  EXPECT_EQ(AssignIommus(settings), "");
  EXPECT_EQ(settings.devices[0].iommu, Iommu::kX86);
  EXPECT_EQ(settings.devices[1].iommu, Iommu::kPower);
}

TEST(AssignIommusTest, RefusesTwoIommusForOneGroup) {
  Settings settings;
  settings.devices = {DeviceAt("00:01.0", 1), DeviceAt("00:02.0", 1)};
  settings.devices[1].iommu = Iommu::kPower;
  EXPECT_EQ(AssignIommus(settings),
            "the devices 0000:00:01.0 and 0000:00:02.0 of group 1 are behind different IOMMUs");
}

TEST(BackendConflictTest, TheKernelHasIommusOfItsOwn) {
  Settings settings;
  settings.backend = Backend::kKernel;
  EXPECT_EQ(BackendConflict(settings), "");
  settings.iommu = Iommu::kPower;
  EXPECT_NE(BackendConflict(settings).find("the IOMMU power needs"), std::string::npos);
}

}  // namespace
}  // namespace compat::settings
