#include "tools/daemon/remote/client_settings.h"

#include <gtest/gtest.h>

namespace tools::daemon::remote {
namespace {

using vfio::compat::v1::OpenClientRequest;

absl::StatusCode Code(const OpenClientRequest& request) {
  return ReadSettings(request).status().code();
}

TEST(ClientSettingsTest, WithoutAnythingThereIsOneController) {
  const auto settings = ReadSettings({});
  ASSERT_TRUE(settings.ok()) << settings.status();
  ASSERT_EQ(settings->host.devices.size(), 1U);
  EXPECT_EQ(compat::settings::ToString(settings->host.devices[0]).substr(0, 22),
            "nvme,addr=0000:00:03.0");
  EXPECT_EQ(settings->host.container, compat::settings::ContainerTypes::kBoth);
  EXPECT_EQ(settings->disk_bytes, 16U << 20);
  EXPECT_EQ(settings->idle, std::chrono::seconds(60));
}

TEST(ClientSettingsTest, DevicesAreAsForRunButHaveNoImages) {
  OpenClientRequest request;
  request.add_devices("nvme,addr=0000:00:05.0,group=9");
  request.add_devices("nvme,addr=0000:00:06.0,block_size=4096");
  const auto settings = ReadSettings(request);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->host.devices[0].group, 9U);
  EXPECT_EQ(settings->host.devices[1].block_size, 4096U);
  request.set_devices(1, "nvme,addr=0000:00:06.0,image=/etc/shadow");
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument);
  request.set_devices(1, "nvme,addr=0000:00:05.0");
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument) << "two at one address";
}

TEST(ClientSettingsTest, DmaEnginesHaveNoDisk) {
  OpenClientRequest request;
  request.add_devices("dma,addr=0000:00:05.0,pasid_bits=4");
  const auto settings = ReadSettings(request);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->host.devices[0].pasid_bits, 4);
  EXPECT_EQ(settings->host.devices[0].image, "");
  request.set_devices(0, "dma,addr=0000:00:05.0,image=/etc/shadow");
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument);
}

TEST(ClientSettingsTest, ThereAreSixteenDevicesAtMost) {
  OpenClientRequest request;
  for (int i = 0; i < 16; ++i)
    request.add_devices("nvme,addr=0000:" + std::to_string(10 + i) + ":05.0");
  EXPECT_EQ(Code(request), absl::StatusCode::kOk);
  request.add_devices("nvme,addr=0000:00:06.0");
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument);
}

TEST(ClientSettingsTest, BoundsAreThoseOfTheApi) {
  OpenClientRequest request;
  request.set_disk_bytes(1 << 30);
  request.set_idle_seconds(3600);
  EXPECT_EQ(Code(request), absl::StatusCode::kOk);
  request.set_idle_seconds(3601);
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument);
  request.set_idle_seconds(1);
  request.set_disk_bytes((1 << 30) + 512);
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument);
  request.set_disk_bytes(513);
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument) << "no whole blocks";
}

TEST(ClientSettingsTest, ContainersAndPlatformsAreAsForRun) {
  OpenClientRequest request;
  request.set_container("spapr");
  request.set_platform("pseries");
  const auto settings = ReadSettings(request);
  ASSERT_TRUE(settings.ok()) << settings.status();
  EXPECT_EQ(settings->host.container, compat::settings::ContainerTypes::kSpapr);
  EXPECT_EQ(settings->host.platform, compat::settings::PowerPlatform::kPSeries);
  request.set_container("type1");
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument);
  request.set_container("type2");
  EXPECT_EQ(Code(request), absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tools::daemon::remote
