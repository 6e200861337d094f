// One thread forks while others call, and its children call as well: on the container that they
// share, and on files of their own. Some are killed in the middle.
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/wait.h>

#include <atomic>
#include <csignal>
#include <thread>
#include <vector>

#include "tests/faults/child.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Client;
using tests::Descriptor;

constexpr uint64_t kPage = 4096;
constexpr int kMappers = 2;
constexpr int kForks = 25;
constexpr uint64_t kChildsIova = uint64_t{1} << 30;

class ForksTest : public testing::Test {
 protected:
  bool MapAndUnmap(uint64_t iova) {
    if (tests::MapDma(container(), memory_.data(), iova, kPage) != 0) return false;
    const int64_t unmapped = tests::UnmapDma(container(), iova, kPage);
    // Who dies in the middle of a change to the index takes all mappings along.
    return unmapped == static_cast<int64_t>(kPage) || (may_lose_mappings_ && unmapped == 0);
  }
  int container() const { return client_.container.get(); }

  // What the other threads do: maps, and opens and closes files of all kinds.
  void MapUntilStopped(uint64_t iova) {
    while (!stop_) {
      if (!MapAndUnmap(iova)) ++failures_;
    }
  }
  void OpenUntilStopped() {
    while (!stop_) {
      const Client other = tests::MakeClient(tests::kOtherGroup, VFIO_TYPE1v2_IOMMU);
      if (!other.group.is_open()) continue;  // a child has it, for now
      const Descriptor device = other.OpenDevice(tests::kOtherDevice);
      if (!device.is_open() || ioctl(device.get(), VFIO_DEVICE_RESET) != 0) ++failures_;
    }
  }
  // `body` in children, one after the other, while other threads do all of that.
  template <typename Body>
  void ForkWhileOthersCall(int expected, Body body) {
    std::vector<std::thread> threads;
    for (uint64_t i = 0; i < kMappers; ++i) {
      threads.emplace_back([this, i] { MapUntilStopped(i * kPage); });
    }
    threads.emplace_back([this] { OpenUntilStopped(); });
    for (int i = 0; i < kForks && !HasFailure(); ++i) {
      EXPECT_EQ(tests::InChild([&] { return body(i); }), expected);
    }
    stop_ = true;
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(failures_, 0);
  }

  tests::Memory memory_{kPage};
  Client client_ = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  bool may_lose_mappings_ = false;
  std::atomic<bool> stop_{false};
  std::atomic<int> failures_{0};
};

TEST_F(ForksTest, ChildrenUseTheContainerAndFilesOfTheirOwn) {
  ForkWhileOthersCall(0, [this](int /*number*/) {
    for (int i = 0; i < 50; ++i) {
      if (!MapAndUnmap(kChildsIova)) return 1;
    }
    const Descriptor own = tests::OpenContainer();
    if (ioctl(own.get(), VFIO_GET_API_VERSION) != VFIO_API_VERSION) return 2;
    const Client client = tests::MakeClient(tests::kSharedGroup, VFIO_TYPE1v2_IOMMU);
    const Descriptor device = client.OpenDevice(tests::kSharedDevices[0]);
    if (!device.is_open()) return 3;
    if (tests::MapDma(client.container.get(), memory_.data(), 0, kPage) != 0) return 4;
    // What is left goes with this process.
    return 0;
  });
  EXPECT_EQ(tests::MappingsAvailable(container()), 65535);
  EXPECT_TRUE(tests::OpenGroup(tests::kSharedGroup).is_open());
}

TEST(FirstForksTest, AChildOpensAHostThatAThreadOfItsParentWasOpening) {
  const tests::CommandResult result =
      tests::Command({tests::Runfile("tests/faults/first_open_forked")}).Run();
  EXPECT_EQ(result.status, 0) << result.errors;
}

TEST_F(ForksTest, GrandchildrenUseTheContainer) {
  ForkWhileOthersCall(0, [this](int /*number*/) {
    if (!MapAndUnmap(kChildsIova)) return 1;
    return tests::InChild([this] { return MapAndUnmap(kChildsIova) ? 0 : 1; });
  });
  EXPECT_EQ(tests::MappingsAvailable(container()), 65535);
}

TEST_F(ForksTest, ChildrenThatAreKilledInTheMiddleOfCallsHarmNobody) {
  may_lose_mappings_ = true;
  // What a child dies of: a timer, at some time of its calls.
  ForkWhileOthersCall(256 + SIGALRM, [this](int number) {
    const itimerval soon = {{0, 0}, {0, 100 + number * 37}};
    setitimer(ITIMER_REAL, &soon, nullptr);
    while (true) {
      const Client client = tests::MakeClient(tests::kSharedGroup, VFIO_TYPE1v2_IOMMU);
      tests::MapDma(container(), memory_.data(), kChildsIova, kPage);
      tests::UnmapDma(container(), kChildsIova, kPage);
    }
    return 0;
  });
  // A page at most is left of those who died between the two.
  const int64_t unmapped = tests::UnmapDma(container(), kChildsIova, kPage);
  EXPECT_TRUE(unmapped == 0 || unmapped == static_cast<int64_t>(kPage)) << unmapped;
  EXPECT_EQ(tests::MappingsAvailable(container()), 65535);
  const Client client = tests::MakeClient(tests::kSharedGroup, VFIO_TYPE1v2_IOMMU);
  EXPECT_TRUE(client.OpenDevice(tests::kSharedDevices[0]).is_open());
}

}  // namespace
