#include "ioas/kernel/cdev.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/kernel/scripted_system_calls.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi;

class CdevTest : public ::testing::Test {
 protected:
  ScriptedSystemCalls calls_;
  Cdev cdev_{calls_, 21};
};

TEST_F(CdevTest, OpensTheNodeOfItsNumberCloseOnExec) {
  calls_.OnCall(SYS_openat, [](const long(&arguments)[6]) -> long {
    EXPECT_STREQ(reinterpret_cast<const char*>(arguments[1]), "/dev/vfio/devices/vfio4294967295");
    EXPECT_EQ(arguments[2], O_RDWR | O_CLOEXEC);
    return 17;
  });
  Result<OwnedDescriptor> opened = Cdev::Open(calls_, 4294967295);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->Release(), 17);
  calls_.OnCall(SYS_openat, [](const long(&)[6]) -> long { return -EACCES; });
  EXPECT_EQ(Cdev::Open(calls_, 0).error().code, EACCES);
}

TEST_F(CdevTest, BindGivesTheDevicesNumber) {
  calls_.OnIoctl<abi::DeviceBindIommufd>(abi::kDeviceBindIommufd, [](abi::DeviceBindIommufd& call) {
    EXPECT_EQ(call.argsz, 16u);
    EXPECT_EQ(call.flags, 0u);
    EXPECT_EQ(call.iommufd, 5);
    call.out_devid = 9;
    return 0;
  });
  EXPECT_EQ(*cdev_.Bind(5), 9u);
  EXPECT_EQ(calls_.last_fd, 21);
}

TEST_F(CdevTest, AttachGivesThePageTableThatIsUsed) {
  calls_.OnIoctl<abi::DeviceAttachIommufdPt>(abi::kDeviceAttachIommufdPt,
                                             [](abi::DeviceAttachIommufdPt& call) {
                                               EXPECT_EQ(call.argsz, 12u);
                                               EXPECT_EQ(call.flags, 0u);
                                               EXPECT_EQ(call.pt_id, 1u);
                                               call.pt_id = 4;
                                               return 0;
                                             });
  EXPECT_EQ(*cdev_.Attach(1), 4u);
}

TEST_F(CdevTest, DetachNamesNoPasid) {
  calls_.OnIoctl<abi::DeviceDetachIommufdPt>(abi::kDeviceDetachIommufdPt,
                                             [](const abi::DeviceDetachIommufdPt& call) {
                                               EXPECT_EQ(call.argsz, 8u);
                                               EXPECT_EQ(call.flags, 0u);
                                               return 0;
                                             });
  EXPECT_TRUE(cdev_.Detach().ok());
}

TEST_F(CdevTest, InterruptedCallsAreMadeAgain) {
  int interruptions = 2;
  calls_.OnIoctl<abi::DeviceDetachIommufdPt>(
      abi::kDeviceDetachIommufdPt,
      [&](abi::DeviceDetachIommufdPt&) { return interruptions-- > 0 ? -EINTR : 0; });
  EXPECT_TRUE(cdev_.Detach().ok());
  EXPECT_EQ(calls_.made.size(), 3u);
}

TEST_F(CdevTest, EveryRefusalIsReported) {
  EXPECT_EQ(cdev_.Bind(5).error().code, ENOTTY);
  EXPECT_EQ(cdev_.Attach(1).error().code, ENOTTY);
  EXPECT_EQ(cdev_.Detach().error().code, ENOTTY);
}

}  // namespace
}  // namespace ioas::kernel
