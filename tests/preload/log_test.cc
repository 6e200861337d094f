// What the log says of refused calls.
#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace {

// What is logged when vconf plays a script under the library.
std::string LogOf(std::string_view script) {
  const tests::DiskImage image(1 << 20);
  return tests::Preloaded({tests::Runfile("tests/conformance/vconf"), "/dev/stdin"},
                          "nvme,addr=0000:00:03.0,group=7,image=" + image.path())
      .With("VFIO_COMPAT_CONTAINER", "both")
      .With("VFIO_COMPAT_LOG", "debug")
      .WithInput(script)
      .Run()
      .errors;
}

void ExpectSays(const std::string& log, const std::string& what) {
  EXPECT_NE(log.find("vfio-compat: " + what), std::string::npos) << log;
}

// VFIO_BASE + 17, 18, 19 and 20 are other calls on type 1 containers, on SPAPR ones, and on
// devices.
TEST(LogTest, NamesACallAsItsDescriptorHasIt) {
  const std::string open = "open c /dev/vfio/vfio\nopen g /dev/vfio/7\nsetcontainer g c\n";
  std::string log = LogOf(open + "setiommu c 7\nreg c 24 0 1 4K\ncreate c 39 0 12 4K 1\n");
  ExpectSays(log, "VFIO_IOMMU_SPAPR_REGISTER_MEMORY on descriptor ");
  ExpectSays(log, "VFIO_IOMMU_SPAPR_TCE_CREATE on descriptor ");
  EXPECT_EQ(log.find("VFIO_IOMMU_DIRTY_PAGES"), std::string::npos) << log;

  log = LogOf(open + "setiommu c 3\ndirty c 7 0\n");
  ExpectSays(log, "VFIO_IOMMU_DIRTY_PAGES on descriptor ");
  EXPECT_EQ(log.find("SPAPR"), std::string::npos) << log;
}

TEST(LogTest, NamesACallThatTheDescriptorLacksAsOthersHaveIt) {
  const std::string log = LogOf("open c /dev/vfio/vfio\nreg c 24 0 0 4K\n");
  ExpectSays(log, "VFIO_IOMMU_DIRTY_PAGES on descriptor ");
}

}  // namespace
