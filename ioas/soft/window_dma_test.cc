// DMA through windows.
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "ioas/soft/dma.h"
#include "ioas/soft/test_host.h"

namespace ioas::soft {
namespace {

constexpr uint64_t kWindow = uint64_t{1} << 59;
constexpr uint32_t kReadWrite = kAccessRead | kAccessWrite;

class NoSink final : public PageRunSink {
 public:
  void OnRun(uint64_t /*user_address*/, uint64_t /*pages*/) override {}
};

class WindowDmaTest : public TestHost {
 protected:
  void SetUp() override {
    TestHost::SetUp();
    SoftBackend iommu = backend();
    AddressSpace space(arena_, space_, &iommu);
    const AddressSpace::Lock lock(space);
    ASSERT_TRUE(space.AddWindow(1, kWindow, 1024, 12, *host_->processes().Register()).ok());
  }

  // Has `pages` of the window's pages lead to memory from page `memory_page` on, or nowhere.
  void MapPages(uint64_t page, uint64_t pages, uint64_t memory_page) {
    SoftBackend iommu = backend();
    AddressSpace space(arena_, space_, &iommu);
    const AddressSpace::Lock lock(space);
    const auto address = reinterpret_cast<uint64_t>(memory_ + memory_page * kEchoPage);
    NoSink nobody;
    EXPECT_TRUE(space
                    .MapRun(1,
                            {Iovas(page, pages), address, kReadWrite,
                             PinnedMemory{{address, UINT64_MAX}, 0}},
                            nobody)
                    .ok());
  }
  void UnmapPages(uint64_t page, uint64_t pages) {
    SoftBackend iommu = backend();
    AddressSpace space(arena_, space_, &iommu);
    const AddressSpace::Lock lock(space);
    NoSink nobody;
    EXPECT_TRUE(space.UnmapRun(1, Iovas(page, pages), nobody).ok());
  }
  static IovaRange Iovas(uint64_t page, uint64_t pages) {
    return {kWindow + page * kEchoPage, kWindow + (page + pages) * kEchoPage - 1};
  }
  SoftDmaPort Port() { return {arena_, *host_, *arena_.Get(device_state_), nullptr}; }
};

TEST_F(WindowDmaTest, TransferFollowsEachPage) {
  MapPages(0, 1, 9);
  MapPages(1, 1, 2);
  const std::vector<std::byte> data(2 * kEchoPage, std::byte{'x'});
  const DmaSegment segment = {kWindow, 2 * kEchoPage};
  ASSERT_TRUE(Port().Write({&segment, 1}, data.data()).ok());
  EXPECT_EQ(memory_[10 * kEchoPage - 1], std::byte{'x'});
  EXPECT_EQ(memory_[3 * kEchoPage - 1], std::byte{'x'});
  EXPECT_EQ(memory_[3 * kEchoPage], std::byte{0});
  UnmapPages(1, 1);
  EXPECT_EQ(Port().Write({&segment, 1}, data.data()).error().code, EFAULT);
}

// $VFIO_COMPAT_STRESS_SECONDS, or 1.
std::chrono::seconds StressTime() {
  const char* const seconds = std::getenv("VFIO_COMPAT_STRESS_SECONDS");
  return std::chrono::seconds(seconds != nullptr ? std::atoi(seconds) : 1);
}

// Pages 4 to 7 stay. Those on both sides, which were mapped by the same call and share their leaf,
// come and go meanwhile.
TEST_F(WindowDmaTest, TransfersGoOnWhileNeighboursAreRemapped) {
  MapPages(0, 16, 0);
  std::atomic<bool> done{false};
  const auto remap = [&](uint64_t page, uint64_t pages) {
    for (uint64_t i = 0; !done; ++i) {
      MapPages(page, pages, i % 2 == 0 ? 0 : 8);
      if (i % 3 == 0) UnmapPages(page + 1, pages - 1);
    }
  };
  std::thread below(remap, 0, 4);
  std::thread above(remap, 8, 8);
  SoftDmaPort port = Port();
  const DmaSegment segment = {kWindow + 4 * kEchoPage, 4 * kEchoPage};
  std::vector<std::byte> data(4 * kEchoPage);
  std::vector<std::byte> back(data.size());
  uint64_t transfers = 0;
  bool arrived = true;
  const auto end = std::chrono::steady_clock::now() + StressTime();
  for (; arrived && std::chrono::steady_clock::now() < end; ++transfers) {
    std::fill(data.begin(), data.end(), static_cast<std::byte>(transfers));
    arrived = port.Write({&segment, 1}, data.data()).ok() &&
              port.Read({&segment, 1}, back.data()).ok() && data == back;
  }
  done = true;
  below.join();
  above.join();
  EXPECT_TRUE(arrived) << "transfer " << transfers << " failed";
  EXPECT_GT(transfers, 0u);
  const auto is_zero = [](std::byte byte) { return byte == std::byte{0}; };
  EXPECT_TRUE(std::all_of(memory_, memory_ + 4 * kEchoPage, is_zero));
  EXPECT_TRUE(std::all_of(memory_ + 8 * kEchoPage, memory_ + 16 * kEchoPage, is_zero));
  EXPECT_EQ(arena_.Get(space_)->statistics.faults, 0u);
}

}  // namespace
}  // namespace ioas::soft
