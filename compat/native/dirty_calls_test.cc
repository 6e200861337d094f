// Dirty tracking as a program sees it, with devices that write while it asks.
#include <gtest/gtest.h>
#include <sys/mman.h>

#include <atomic>
#include <cstring>
#include <thread>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/soft/test_host.h"
#include "ioas/soft/dma.h"

namespace compat::native {
namespace {

namespace iommufd = abi::iommufd;
using soft::TestHost;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kPages = 64;

class DirtyCallsTest : public testing::Test {
 protected:
  DirtyCallsTest() : iommufd_(host_.OpenIommufd()), cdev_(host_.OpenCdev(0)) {
    memory_ = static_cast<std::byte*>(
        mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    abi::DeviceBindIommufd bind = {sizeof(bind), 0, iommufd_, 0};
    EXPECT_EQ(host_.Ioctl(cdev_, abi::kDeviceBindIommufd, &bind), 0);
    device_ = bind.out_devid;
    const uint16_t bus_master = 6;
    EXPECT_EQ(host_.Write(cdev_, &bus_master, 2, (uint64_t{abi::kPciConfigRegionIndex} << 40) + 4),
              2);
    iommufd::IoasAlloc alloc = {};
    EXPECT_EQ(Call(iommufd::kIoasAlloc, alloc), 0);
    ioas_ = alloc.out_ioas_id;
    table_ = NewTable();
  }
  ~DirtyCallsTest() override { munmap(memory_, kPages * kPage); }

  template <typename Command>
  long Call(uint32_t request, Command& command) {
    command.size = sizeof(command);
    return host_.Ioctl(iommufd_, request, &command);
  }
  long Alloc(uint32_t flags, uint32_t& table) {
    iommufd::HwptAlloc command = {};
    command.flags = flags;
    command.dev_id = device_;
    command.pt_id = ioas_;
    const long result = Call(iommufd::kHwptAlloc, command);
    table = command.out_hwpt_id;
    return result;
  }
  uint32_t NewTable() {
    uint32_t table = 0;
    EXPECT_EQ(Alloc(iommufd::kHwptAllocDirtyTracking, table), 0);
    return table;
  }
  long Attach(uint32_t table) {
    abi::DeviceAttachIommufdPt attach = {12, 0, table, 0};
    return host_.Ioctl(cdev_, abi::kDeviceAttachIommufdPt, &attach);
  }
  long Detach() {
    abi::DeviceDetachIommufdPt detach = {8, 0, 0};
    return host_.Ioctl(cdev_, abi::kDeviceDetachIommufdPt, &detach);
  }
  long Map(uint64_t first, uint64_t pages) {
    iommufd::IoasMap command = {};
    command.flags =
        iommufd::kIoasMapFixedIova | iommufd::kIoasMapReadable | iommufd::kIoasMapWriteable;
    command.ioas_id = ioas_;
    command.user_va = reinterpret_cast<uint64_t>(memory_) + first * kPage;
    command.length = pages * kPage;
    command.iova = first * kPage;
    return Call(iommufd::kIoasMap, command);
  }
  long Track(uint32_t table, uint32_t flags = iommufd::kHwptDirtyTrackingEnable) {
    iommufd::HwptSetDirtyTracking command = {};
    command.flags = flags;
    command.hwpt_id = table;
    return Call(iommufd::kHwptSetDirtyTracking, command);
  }
  long Get(uint32_t table, uint64_t first, uint64_t pages, void* bitmap, uint32_t flags = 0,
           uint64_t page_size = kPage) {
    iommufd::HwptGetDirtyBitmap command = {};
    command.hwpt_id = table;
    command.flags = flags;
    command.iova = first * kPage;
    command.length = pages * kPage;
    command.page_size = page_size;
    command.data = reinterpret_cast<uint64_t>(bitmap);
    return Call(iommufd::kHwptGetDirtyBitmap, command);
  }
  // The bitmap of all pages, which are then clean.
  uint64_t Take(uint32_t table) {
    uint64_t bits = 0;
    EXPECT_EQ(Get(table, 0, kPages, &bits), 0);
    return bits;
  }
  bool Write(uint64_t iova, const void* data, uint32_t length) {
    ioas::soft::SoftHost& soft = host_.platform().soft();
    ioas::Arena arena = host_.host().arena();
    ioas::soft::SoftDeviceState& device = *arena.Get(soft.devices[0]);
    const ioas::soft::DeviceLock lock(device);
    const ioas::soft::DmaSegment segment = {iova, length};
    return ioas::soft::SoftDmaPort(arena, soft, device, nullptr)
        .Write({&segment, 1}, static_cast<const std::byte*>(data))
        .ok();
  }
  void CopyPages(uint64_t bits, std::vector<std::byte>& copy) const {
    for (uint64_t page = 0; page < kPages; ++page) {
      if ((bits >> page & 1) == 0) continue;
      std::memcpy(copy.data() + page * kPage, memory_ + page * kPage, kPage);
    }
  }

  TestHost host_;
  int iommufd_;
  int cdev_;
  uint32_t device_ = 0;
  uint32_t ioas_ = 0;
  uint32_t table_ = 0;  // tracks, if it is told to
  std::byte* memory_;
};

TEST_F(DirtyCallsTest, OnlyATableThatWasMadeForItTracks) {
  uint32_t plain = 0;
  ASSERT_EQ(Alloc(0, plain), 0);
  EXPECT_EQ(Track(plain), -EOPNOTSUPP);
  uint64_t bits = 0;
  EXPECT_EQ(Get(plain, 0, kPages, &bits), -EOPNOTSUPP);
  EXPECT_EQ(Track(table_, 2), -EOPNOTSUPP);
  EXPECT_EQ(Track(ioas_), -ENOENT);
  EXPECT_EQ(Track(table_), 0);
  EXPECT_EQ(Track(table_), 0);
  EXPECT_EQ(Track(table_, 0), 0);
  EXPECT_EQ(Track(table_, 0), 0);
}

TEST_F(DirtyCallsTest, ARangeHasToBeWholePages) {
  uint64_t bits = 0;
  EXPECT_EQ(Get(table_, 0, 1, &bits, 2), -EOPNOTSUPP);
  EXPECT_EQ(Get(ioas_, 0, 1, &bits), -ENOENT);
  EXPECT_EQ(Get(table_, 0, 0, &bits), -EINVAL);
  EXPECT_EQ(Get(table_, UINT64_MAX / kPage, 2, &bits), -EOVERFLOW);
  EXPECT_EQ(Get(table_, 0, 1, &bits, 0, 0), -EINVAL);
  EXPECT_EQ(Get(table_, 1, 4, &bits, 0, 2 * kPage), -EINVAL);
  EXPECT_EQ(Get(table_, 2, 3, &bits, 0, 2 * kPage), -EINVAL);
  // As the kernel does: nothing is mapped, or tracks, and nothing is said of it.
  EXPECT_EQ(Get(table_, 2, 4, &bits, 0, 2 * kPage), 0);
  EXPECT_EQ(bits, 0u);
}

TEST_F(DirtyCallsTest, BitsAreSetAndNeverCleared) {
  ASSERT_EQ(Map(0, kPages), 0);
  ASSERT_EQ(Attach(table_), 0);
  ASSERT_EQ(Track(table_), 0);
  const std::vector<std::byte> data(3 * kPage);
  ASSERT_TRUE(Write(5 * kPage, data.data(), 3 * kPage));
  ASSERT_TRUE(Write(20 * kPage, data.data(), 1));
  uint64_t bits = 1;
  ASSERT_EQ(Get(table_, 0, kPages, &bits, iommufd::kHwptGetDirtyBitmapNoClear), 0);
  EXPECT_EQ(bits, 1u | 0xe0u | 1u << 20);
  // Bits are for pages of the size that is asked for, and begin with the range.
  bits = 0;
  ASSERT_EQ(Get(table_, 4, 4, &bits, iommufd::kHwptGetDirtyBitmapNoClear, 2 * kPage), 0);
  EXPECT_EQ(bits, 3u);
  bits = 0;
  ASSERT_EQ(Get(table_, 4, 2, &bits, iommufd::kHwptGetDirtyBitmapNoClear, kPage / 8), 0);
  EXPECT_EQ(bits, 0xff00u);
  // What is read is clear, whatever a bit is for.
  bits = 0;
  ASSERT_EQ(Get(table_, 0, 16, &bits, 0, 16 * kPage), 0);
  EXPECT_EQ(bits, 1u);
  EXPECT_EQ(Take(table_), 1u << 20);
  EXPECT_EQ(Take(table_), 0u);
}

TEST_F(DirtyCallsTest, ABitmapMayBeginAtAnyByteAndCrossPages) {
  ASSERT_EQ(Map(0, kPages), 0);
  ASSERT_EQ(Attach(table_), 0);
  ASSERT_EQ(Track(table_), 0);
  const std::vector<std::byte> data(kPages * kPage);
  ASSERT_TRUE(Write(0, data.data(), kPages * kPage));
  auto* const bitmap = static_cast<uint8_t*>(
      mmap(nullptr, 3 * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  uint8_t* const begin = bitmap + kPage - 3;
  ASSERT_EQ(Get(table_, 0, kPages, begin, iommufd::kHwptGetDirtyBitmapNoClear), 0);
  EXPECT_EQ(begin[-1], 0);
  for (int i = 0; i < 8; ++i) EXPECT_EQ(begin[i], 0xff) << i;
  EXPECT_EQ(begin[8], 0);
  // Where there is no memory, bits are lost, and only those: the kernel does not tell either.
  std::memset(begin, 0, 8);
  ASSERT_EQ(mprotect(bitmap + kPage, kPage, PROT_READ), 0);
  ASSERT_EQ(Get(table_, 0, kPages, begin), 0);
  EXPECT_EQ(begin[2], 0xff);
  EXPECT_EQ(begin[3], 0);
  EXPECT_EQ(Take(table_), 0u);
  munmap(bitmap, 3 * kPage);
}

TEST_F(DirtyCallsTest, GetHwInfoSaysThatTheIommuCan) {
  uint8_t data[8];
  std::memset(data, 0xff, sizeof(data));
  iommufd::HwInfo info = {};
  info.dev_id = device_;
  info.data_len = 7;
  info.data_uptr = reinterpret_cast<uint64_t>(data);
  ASSERT_EQ(Call(iommufd::kGetHwInfo, info), 0);
  EXPECT_EQ(info.out_capabilities & iommufd::kHwCapDirtyTracking, 1u);
  EXPECT_EQ(data[7], 0xff);
  // What the caller has no use for need not be there.
  info.data_len = 0;
  info.data_uptr = 1;
  EXPECT_EQ(Call(iommufd::kGetHwInfo, info), 0);
  info.data_len = 1;
  EXPECT_EQ(Call(iommufd::kGetHwInfo, info), -EFAULT);
}

// Copies what the bitmaps say while the device writes, and the rest when it has ended; with another
// table in between, which takes over from the first one.
TEST_F(DirtyCallsTest, NothingThatADeviceWritesGoesUnnoticed) {
  ASSERT_EQ(Map(0, kPages), 0);
  const uint32_t tables[] = {table_, NewTable()};
  for (const uint32_t table : tables) ASSERT_EQ(Track(table), 0);
  ASSERT_EQ(Attach(tables[0]), 0);
  std::atomic<bool> done = false;
  std::atomic<uint64_t> successes = 0;
  std::thread device([&] {
    for (uint64_t count = 1; !done; ++count) {
      const uint64_t page = count * 7 % kPages;
      if (Write(page * kPage + 64, &count, sizeof(count))) ++successes;
    }
  });
  std::vector<std::byte> copy(memory_, memory_ + kPages * kPage);
  for (uint32_t round = 0; round < 200 || successes < 1000; ++round) {
    CopyPages(Take(tables[round % 2]), copy);
    if (round % 3 == 0) {
      EXPECT_EQ(Attach(tables[round / 3 % 2]), 0);
    }
    if (round % 5 == 0) {
      // Nothing is written from here on.
      ASSERT_EQ(Detach(), 0);
      for (const uint32_t table : tables) CopyPages(Take(table), copy);
      ASSERT_EQ(std::memcmp(copy.data(), memory_, kPages * kPage), 0) << round;
      ASSERT_EQ(Attach(tables[0]), 0);
    }
    std::this_thread::yield();
  }
  done = true;
  device.join();
}

}  // namespace
}  // namespace compat::native
