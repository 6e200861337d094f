#include "ioas/soft/dma.h"

#include <signal.h>
#include <sys/wait.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "gtest/gtest.h"
#include "ioas/soft/test_host.h"

namespace ioas::soft {
namespace {

constexpr uint32_t kReadWrite = kAccessRead | kAccessWrite;

class DmaTest : public TestHost {
 protected:
  void SetUp() override {
    TestHost::SetUp();
    port_ = std::make_unique<SoftDmaPort>(arena_, *host_, *arena_.Get(device_state_), nullptr);
  }

  Status Read(uint64_t iova, uint32_t length, void* buffer) {
    const DmaSegment segment = {iova, length};
    return port_->Read({&segment, 1}, static_cast<std::byte*>(buffer));
  }
  Status Write(uint64_t iova, uint32_t length, const void* buffer) {
    const DmaSegment segment = {iova, length};
    return port_->Write({&segment, 1}, static_cast<const std::byte*>(buffer));
  }
  FaultRecord LastFault() {
    FaultRecord records[kFaultRecords];
    const size_t count = host_->faults().Copy(records);
    EXPECT_GT(count, 0u);
    return count == 0 ? FaultRecord{} : records[count - 1];
  }
  void ExpectFault(uint64_t iova, Access direction, FaultReason reason) {
    const FaultRecord fault = LastFault();
    EXPECT_EQ(fault.iova, iova);
    EXPECT_EQ(fault.direction, direction);
    EXPECT_STREQ(Describe(fault.reason), Describe(reason));
    EXPECT_EQ(fault.device, kEchoAddress.number());
  }
  AddressSpaceStatistics statistics() { return arena_.Get(space_)->statistics; }

  std::unique_ptr<SoftDmaPort> port_;
};

TEST_F(DmaTest, SegmentsAreGatheredAndScatteredInOrder) {
  ASSERT_TRUE(Map(0, memory_, 4 * kEchoPage, kReadWrite).ok());
  std::memset(memory_, 0, 4 * kEchoPage);
  memory_[100] = std::byte{1};
  memory_[5000] = std::byte{2};
  const DmaSegment sources[] = {{5000, 1}, {100, 1}};
  std::byte buffer[2];
  ASSERT_TRUE(port_->Read(sources, buffer).ok());
  EXPECT_EQ(buffer[0], std::byte{2});
  EXPECT_EQ(buffer[1], std::byte{1});
  const DmaSegment targets[] = {{8000, 1}, {4095, 1}};
  ASSERT_TRUE(port_->Write(targets, buffer).ok());
  EXPECT_EQ(memory_[8000], std::byte{2});
  EXPECT_EQ(memory_[4095], std::byte{1});
  EXPECT_EQ(statistics().dma_read, 2u);
  EXPECT_EQ(statistics().dma_written, 2u);
}

TEST_F(DmaTest, ATransferCrossesMappings) {
  ASSERT_TRUE(Map(0, memory_ + 3 * kEchoPage, kEchoPage, kReadWrite).ok());
  ASSERT_TRUE(Map(kEchoPage, memory_ + kEchoPage, kEchoPage, kReadWrite).ok());
  const std::vector<char> data(2 * kEchoPage, 'x');
  ASSERT_TRUE(Write(0, 2 * kEchoPage, data.data()).ok());
  EXPECT_EQ(memory_[4 * kEchoPage - 1], std::byte{'x'});
  EXPECT_EQ(memory_[2 * kEchoPage - 1], std::byte{'x'});
  EXPECT_EQ(memory_[0], std::byte{0});
}

TEST_F(DmaTest, LargeTransfersAndManySegmentsArrive) {
  constexpr uint32_t kSize = 4 << 20;
  std::vector<uint32_t> memory(kSize / 4 + kEchoPage);
  auto* base = reinterpret_cast<uint32_t*>(
      (reinterpret_cast<uintptr_t>(memory.data()) + kEchoPage - 1) & -uintptr_t{kEchoPage});
  ASSERT_TRUE(Map(0, base, kSize, kReadWrite).ok());
  std::vector<uint32_t> data(kSize / 4);
  for (uint32_t i = 0; i < data.size(); ++i) data[i] = i;
  ASSERT_TRUE(Write(0, kSize, data.data()).ok());
  EXPECT_TRUE(std::equal(data.begin(), data.end(), base));
  // Backwards in pieces of 512 bytes.
  std::vector<DmaSegment> segments;
  for (uint32_t at = kSize; at != 0; at -= 512) segments.push_back({at - 512, 512});
  std::vector<uint32_t> read(kSize / 4);
  ASSERT_TRUE(port_->Read(segments, reinterpret_cast<std::byte*>(read.data())).ok());
  EXPECT_EQ(read[0], (kSize - 512) / 4);
  EXPECT_EQ(read[read.size() - 1], 127u);
}

TEST_F(DmaTest, WhatComesBeforeAFaultIsCopied) {
  ASSERT_TRUE(Map(0, memory_, kEchoPage, kReadWrite).ok());
  memory_[kEchoPage - 1] = std::byte{9};
  std::byte buffer[2] = {};
  EXPECT_EQ(Read(kEchoPage - 1, 2, buffer).error().code, EFAULT);
  EXPECT_EQ(buffer[0], std::byte{9});
  ExpectFault(kEchoPage, kAccessRead, FaultReason::kNotMapped);
  EXPECT_EQ(statistics().faults, 1u);
  EXPECT_EQ(statistics().dma_read, 1u);
}

TEST_F(DmaTest, ADirectionThatIsNotMappedFaults) {
  ASSERT_TRUE(Map(0, memory_, kEchoPage, kAccessRead).ok());
  ASSERT_TRUE(Map(kEchoPage, memory_, kEchoPage, kAccessWrite).ok());
  char byte = 0;
  EXPECT_FALSE(Write(5, 1, &byte).ok());
  ExpectFault(5, kAccessWrite, FaultReason::kPermission);
  EXPECT_FALSE(Read(kEchoPage, 1, &byte).ok());
  ExpectFault(kEchoPage, kAccessRead, FaultReason::kPermission);
}

TEST_F(DmaTest, RefusedRangesFaultWhereTheyBegin) {
  ASSERT_TRUE(RefuseRange(*host_, {0x1100, 0x11ff}).ok());
  ASSERT_TRUE(Map(0, memory_, 4 * kEchoPage, kReadWrite).ok());
  std::vector<char> buffer(kEchoPage);
  EXPECT_FALSE(Read(0x1000, kEchoPage, buffer.data()).ok());
  ExpectFault(0x1100, kAccessRead, FaultReason::kRefused);
  EXPECT_FALSE(Write(0x11ff, 1, buffer.data()).ok());
  ExpectFault(0x11ff, kAccessWrite, FaultReason::kRefused);
  EXPECT_TRUE(Read(0x1200, kEchoPage, buffer.data()).ok());
  EXPECT_TRUE(Read(0x1000, 0x100, buffer.data()).ok());
}

TEST_F(DmaTest, MemoryThatIsGoneFaultsAndDoesNotCrash) {
  ASSERT_TRUE(Map(0, memory_, 4 * kEchoPage, kReadWrite).ok());
  munmap(memory_ + 2 * kEchoPage, kEchoPage);
  std::vector<char> buffer(4 * kEchoPage);
  EXPECT_FALSE(Read(0x1800, 0x1800, buffer.data()).ok());
  ExpectFault(0x2000, kAccessRead, FaultReason::kMemoryGone);
  EXPECT_TRUE(Read(0x3000, kEchoPage, buffer.data()).ok());
}

TEST_F(DmaTest, MemoryThatIsGoneFaultsWhereItsSegmentBegins) {
  ASSERT_TRUE(Map(0, memory_, kEchoPage, kReadWrite).ok());
  ASSERT_TRUE(Map(8 * kEchoPage, memory_ + 2 * kEchoPage, kEchoPage, kReadWrite).ok());
  munmap(memory_ + 2 * kEchoPage, kEchoPage);
  const DmaSegment segments[] = {{0, kEchoPage}, {8 * kEchoPage, kEchoPage}};
  std::vector<std::byte> buffer(2 * kEchoPage);
  EXPECT_FALSE(port_->Read(segments, buffer.data()).ok());
  ExpectFault(8 * kEchoPage, kAccessRead, FaultReason::kMemoryGone);
}

TEST_F(DmaTest, WithoutBusMasteringOrAnAddressSpaceNothingIsReached) {
  ASSERT_TRUE(Map(0, memory_, kEchoPage, kReadWrite).ok());
  char byte = 0;
  SetCommand(0x2);
  EXPECT_FALSE(Read(1, 1, &byte).ok());
  ExpectFault(1, kAccessRead, FaultReason::kBusMasterOff);
  SetCommand(0x6);
  device_->Block();
  EXPECT_FALSE(Read(2, 1, &byte).ok());
  ExpectFault(2, kAccessRead, FaultReason::kBlocked);
  device_->Attach({space_, {}});
  EXPECT_TRUE(Read(3, 1, &byte).ok());
}

// A child maps its own memory; the device reaches it from this process, until the child is gone.
TEST_F(DmaTest, AnotherProcessesMemoryIsReachedWhileThatProcessLives) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  std::memset(memory_, 'p', kEchoPage);
  const pid_t child = fork();
  if (child == 0) {
    SoftDevice::AfterForkInChild();
    std::memset(memory_, 'c', kEchoPage);
    const bool mapped = Map(0, memory_, kEchoPage, kReadWrite).ok();
    (void)!write(ready[1], mapped ? "1" : "0", 1);
    pause();
    _exit(0);
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  EXPECT_EQ(byte, '1');
  const Status reached = Read(0, 1, &byte);
  kill(child, SIGKILL);
  waitpid(child, nullptr, 0);
  close(ready[0]);
  close(ready[1]);
  if (reached.ok()) {
    EXPECT_EQ(byte, 'c');
  }
  EXPECT_FALSE(Read(0, 1, &byte).ok());
  ExpectFault(0, kAccessRead, FaultReason::kMemoryGone);
}

}  // namespace
}  // namespace ioas::soft
