#include "tests/behaviour/fixture.h"

#include <algorithm>
#include <cstring>
#include <random>

namespace tests {
namespace {

// A page of the disk.
constexpr uint64_t kDiskPage = 3;
constexpr std::byte kBefore{0xa5};

}  // namespace

void BehaviourTest::SetUp() {
  mode_ = GetParam().make();
  ASSERT_EQ(mode_->Open(), 0);
  MapDriver();
  ASSERT_TRUE(driver_.Start(mode_->device()));
}

void BehaviourTest::Close() {
  driver_.Close();
  mode_.reset();
}

void BehaviourTest::MapDriver() {
  ASSERT_EQ(mode_->Announce(memory_.data(), memory_.size()), 0);
  ASSERT_EQ(mode_->Map(kDriverIova, page(kPages), (NvmeDriver::kQueuePages + 1) * kPage), 0);
}

void BehaviourTest::UnmapDriver() {
  constexpr uint64_t kSize = (NvmeDriver::kQueuePages + 1) * kPage;
  ASSERT_EQ(mode_->Unmap(kDriverIova, kSize), (Unmapped{0, kSize}));
  ASSERT_EQ(mode_->Withdraw(memory_.data(), memory_.size()), 0);
}

void BehaviourTest::FillWithNewBytes(std::byte* page) {
  std::minstd_rand random(++round_);
  std::generate_n(page, kPage, [&random] { return static_cast<std::byte>(random() >> 8); });
}

uint64_t BehaviourTest::PutOnDisk() {
  FillWithNewBytes(last_put_.data());
  std::memcpy(scratch(), last_put_.data(), kPage);
  EXPECT_EQ(driver_.WriteDisk(kDiskPage, kScratchIova), 0);
  return kDiskPage;
}

bool BehaviourTest::IsFromDisk(const std::byte* page) const {
  return std::memcmp(page, last_put_.data(), kPage) == 0;
}

bool BehaviourTest::DeviceWrites(uint64_t iova, std::byte* page) {
  const uint64_t disk_page = PutOnDisk();
  std::fill_n(page, kPage, kBefore);
  (void)driver_.ReadDisk(disk_page, iova);
  return IsFromDisk(page);
}

bool BehaviourTest::DeviceReads(uint64_t iova, std::byte* page) {
  FillWithNewBytes(page);
  (void)driver_.WriteDisk(kDiskPage, iova);
  std::fill_n(scratch(), kPage, kBefore);
  EXPECT_EQ(driver_.ReadDisk(kDiskPage, kScratchIova), 0);
  return std::memcmp(page, scratch(), kPage) == 0;
}

}  // namespace tests
