// What the daemon sees of a program that uses iommufd's own calls, and does to it.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/behaviour/software_host.h"
#include "tests/support/iommufd_client.h"
#include "tests/support/nvme_driver.h"
#include "tests/support/vfio_client.h"

namespace tests {
namespace {

constexpr uint64_t kQueueIova = 0x100000;
constexpr uint64_t kQueueBytes = NvmeDriver::kQueuePages * kPage;
constexpr uint64_t kPageIova = kQueueIova + kQueueBytes;
constexpr uint64_t kBytes = kQueueBytes + kPage;

std::string Hex(uint64_t number) {
  char text[2 + 16 + 1];
  std::snprintf(text, sizeof(text), "0x%llx", static_cast<unsigned long long>(number));
  return text;
}

// A device of an x86 machine in an address space of its own.
class VisibleTest : public testing::Test {
 protected:
  void SetUp() override {
    ioas_ = AttachToNewIoas(iommufd_.get(), device_.get());
    ASSERT_NE(ioas_, 0u);
    ASSERT_TRUE(MapMemory(iommufd_.get(), ioas_, memory_.data(), kQueueIova, kBytes));
    ASSERT_TRUE(driver_.Start(device_.get()));
  }

  // What a command prints, which is to succeed.
  static std::string Ask(const std::string& command, const std::vector<std::string>& more = {}) {
    const CommandResult result = AskDaemon(command, more);
    EXPECT_EQ(result.status, 0) << command << ": " << result.errors;
    return result.output;
  }
  std::byte* page() const { return memory_.data() + kQueueBytes; }

  const Descriptor iommufd_{open("/dev/iommu", O_RDWR | O_CLOEXEC)};
  const Descriptor device_{open("/dev/vfio/devices/vfio1", O_RDWR | O_CLOEXEC)};
  const Memory memory_{kBytes};
  NvmeDriver driver_{memory_.data(), kQueueIova};
  uint32_t ioas_ = 0;
};

TEST_F(VisibleTest, ItsAddressSpaceIsListed) {
  const std::string shown = Ask("show");
  const std::string object = ": object " + std::to_string(ioas_) + " of context ";
  EXPECT_NE(shown.find(object), std::string::npos) << shown;
  EXPECT_NE(shown.find(", opened by process " + std::to_string(getpid()) + "\n"), std::string::npos)
      << shown;
  EXPECT_NE(
      shown.find("    group " + std::to_string(PlaceOf(Machine::kX86).group) + " is attached\n"),
      std::string::npos)
      << shown;
  EXPECT_NE(shown.find("in 1 mappings\n"), std::string::npos) << shown;
  EXPECT_NE(
      shown.find("    reserved 0xfee00000-0xfeefffff for " + PlaceOf(Machine::kX86).address + "\n"),
      std::string::npos)
      << shown;
  EXPECT_NE(shown.find("    DMA: "), std::string::npos) << shown;
}

TEST_F(VisibleTest, ItCanBeLookedInto) {
  const std::string maps = Ask("maps");
  EXPECT_EQ(maps.rfind("0000000000100000-", 0), 0u) << maps;
  EXPECT_NE(maps.find(" rw "), std::string::npos) << maps;
  EXPECT_EQ(Ask("translate", {Hex(kPageIova)})
                .rfind(Hex(kPageIova) + " leads to " + Hex(reinterpret_cast<uint64_t>(page())) +
                           " of process " + std::to_string(getpid()) + ", ",
                       0),
            0u);
  const uint64_t free = kQueueIova + kBytes;
  EXPECT_EQ(Ask("find", {"--size", "4K", "--from", Hex(kQueueIova)})
                .rfind(Hex(free) + "-" + Hex(free + 4095) + ", aligned to 0x1000\n", 0),
            0u);
  const CommandResult hole =
      AskDaemon("find", {"--size", "64K", "--from", "0xfee00000", "--to", "0xfeefffff"});
  EXPECT_EQ(hole.status, 1);
  EXPECT_NE(hole.errors.find("there is none of any size"), std::string::npos) << hole.errors;
}

TEST_F(VisibleTest, OneOfSeveralHasToBeNamed) {
  Descriptor other(open("/dev/iommu", O_RDWR | O_CLOEXEC));
  ASSERT_NE(NewIoas(other.get()), 0u);
  const CommandResult both = AskDaemon("maps", {});
  EXPECT_EQ(both.status, 2);
  const size_t numbers = both.errors.find("0x8");
  ASSERT_NE(numbers, std::string::npos) << both.errors;
  const std::string first = both.errors.substr(numbers, sizeof("0x80010001") - 1);
  EXPECT_EQ(Ask("maps", {"--container", first}).rfind("0000000000100000-", 0), 0u);
  // What is closed is not listed any more.
  other.Close();
  EXPECT_EQ(Ask("maps").rfind("0000000000100000-", 0), 0u);
}

TEST_F(VisibleTest, ItsDevicesAreFrozenByTheirGroup) {
  driver_.SubmitRead(0, kPageIova);
  ASSERT_EQ(driver_.AwaitCompletion(), 0);
  const std::string group = std::to_string(PlaceOf(Machine::kX86).group);
  Ask("freeze", {"--group", group});
  std::fill_n(page(), kPage, std::byte{0x77});
  driver_.SubmitRead(0, kPageIova);
  EXPECT_NE(Ask("show").find("group " + group + ", frozen:"), std::string::npos);
  EXPECT_FALSE(driver_.IsCompleted());
  EXPECT_EQ(page()[0], std::byte{0x77});
  Ask("thaw", {"--group", group});
  EXPECT_EQ(driver_.AwaitCompletion(), 0);
  EXPECT_NE(page()[0], std::byte{0x77});
}

}  // namespace
}  // namespace tests

int main(int argc, char** argv) {
  return tests::RunOnSoftwareHost(argv, {}, [&] {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
  });
}
