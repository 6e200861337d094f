#include "ioas/kernel/iommu_probe.h"

#include <gtest/gtest.h>

#include <string_view>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/kernel/scripted_system_calls.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi;
namespace iommu = compat::abi::iommufd;

constexpr uint32_t kIoas = 3;
constexpr int kIommufd = 8;
constexpr int kNode = 9;
constexpr IovaRange kAperture = {0, 0x7fffffffff};

// A kernel that has all that is asked for, until a test takes something away.
class IommuProbeTest : public ::testing::Test {
 protected:
  IommuProbeTest() {
    calls_.OnCall(SYS_openat, [this](const long(&arguments)[6]) -> long {
      const std::string_view path = reinterpret_cast<const char*>(arguments[1]);
      if (path == "/dev/iommu") return kIommufd;
      EXPECT_EQ(path, "/dev/vfio/devices/vfio5");
      return node_;
    });
    calls_.OnCall(SYS_close, [this](const long(&arguments)[6]) -> long {
      closed_.push_back(static_cast<int>(arguments[0]));
      return 0;
    });
    calls_.OnIoctl<iommu::IoasAlloc>(iommu::kIoasAlloc, [](iommu::IoasAlloc& call) {
      call.out_ioas_id = kIoas;
      return 0;
    });
    calls_.OnIoctl<iommu::VfioIoas>(iommu::kVfioIoas, [](iommu::VfioIoas& call) {
      EXPECT_EQ(call.ioas_id, kIoas);
      return 0;
    });
    AnswerBind(0);
    calls_.OnIoctl<abi::DeviceAttachIommufdPt>(abi::kDeviceAttachIommufdPt,
                                               [](abi::DeviceAttachIommufdPt& call) {
                                                 EXPECT_EQ(call.pt_id, kIoas);
                                                 return 0;
                                               });
    calls_.OnIoctl<iommu::IoasIovaRanges>(iommu::kIoasIovaRanges, [](iommu::IoasIovaRanges& call) {
      auto* const ranges = reinterpret_cast<IovaRange*>(call.allowed_iovas);
      ranges[0] = kAperture;
      call.num_iovas = 1;
      return 0;
    });
    calls_.OnIoctl<abi::Type1Info>(abi::kIommuGetInfo, [](abi::Type1Info& call) {
      call.flags = abi::kIommuInfoPgsizes;
      call.iova_pgsizes = 4096;
      return 0;
    });
    calls_.OnValueIoctl(abi::kCheckExtension, [](long) { return 1; });
  }
  void AnswerBind(int code) {
    calls_.OnIoctl<abi::DeviceBindIommufd>(abi::kDeviceBindIommufd,
                                           [code](abi::DeviceBindIommufd& call) {
                                             EXPECT_EQ(call.iommufd, kIommufd);
                                             return -code;
                                           });
  }

  ScriptedSystemCalls calls_;
  long node_ = kNode;
  std::vector<int> closed_;
  IovaRange apertures_[4] = {};
};

TEST_F(IommuProbeTest, ReadsWhatTheDeviceCanMapAndClosesIt) {
  const Result<IommuProperties> properties = ProbeIommu(calls_, 5, apertures_);
  ASSERT_TRUE(properties.ok()) << properties.error().reason;
  EXPECT_EQ(properties->page_sizes, 4096u);
  ASSERT_EQ(properties->apertures.size(), 1u);
  EXPECT_EQ(properties->apertures[0], kAperture);
  EXPECT_EQ(closed_, (std::vector<int>{kNode, kIommufd}));
}

TEST_F(IommuProbeTest, DeviceThatHasAUserIsLeftAlone) {
  AnswerBind(EBUSY);
  EXPECT_EQ(ProbeIommu(calls_, 5, apertures_).error().code, EBUSY);
  EXPECT_EQ(closed_, (std::vector<int>{kNode, kIommufd}));
  node_ = -EINVAL;
  closed_.clear();
  EXPECT_EQ(ProbeIommu(calls_, 5, apertures_).error().code, EINVAL);
  EXPECT_EQ(closed_, (std::vector<int>{kIommufd}));
}

}  // namespace
}  // namespace ioas::kernel
