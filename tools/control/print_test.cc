#include "tools/control/print.h"

#include <gtest/gtest.h>

namespace tools::control {
namespace {

TEST(PrintTest, ARequesterIsADeviceAndPerhapsAPasid) {
  vfio::compat::v1::Fault fault;
  fault.set_device("0000:00:05.0");
  EXPECT_EQ(RequesterOf(fault), "0000:00:05.0");
  fault.set_pasid(0);
  EXPECT_EQ(RequesterOf(fault), "0000:00:05.0, PASID 0");
}

}  // namespace
}  // namespace tools::control
