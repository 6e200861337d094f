// RLIMIT_MEMLOCK is reached: ENOMEM, as vfio_pin_pages_remote of drivers/vfio/vfio_iommu_type1.c
// and account_locked_vm of mm/util.c have it.
#include <gtest/gtest.h>

#include "compat/abi/vfio_numbers.h"
#include "tests/faults/call_sequence.h"
#include "tests/faults/resource_limit.h"

namespace {

namespace abi = compat::abi;
using tests::Step;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMiB = 1 << 20;
constexpr uint64_t kGiB = uint64_t{1} << 30;

// With each number a step more than what is locked may be, as long as the hard limit permits it.
class LockedMemory final : public tests::Fault {
 public:
  LockedMemory(tests::FaultyHost& faulty, uint64_t step) : faulty_(faulty), step_(step) {}
  ~LockedMemory() override { Disarm(); }

  void Arm(uint64_t nth) override {
    const uint64_t bytes = faulty_.LockedBytes() + (nth - 1) * step_;
    const bool is_limited = bytes <= limit_.before().rlim_max;
    if (is_limited) limit_.Lower(bytes);
    LockAny(!is_limited);
  }
  void Disarm() override {
    limit_.Raise();
    LockAny(true);
  }

 private:
  static void LockAny(bool may_lock_any) {
    tests::LockAnyMemory(may_lock_any);
    // What is known of capabilities is asked again.
    ioas::ProcessTable::OnFork();
  }

  tests::FaultyHost& faulty_;
  uint64_t step_;
  tests::ResourceLimit limit_{RLIMIT_MEMLOCK};
};

class LockedMemoryTest : public testing::Test {
 protected:
  void Open(uint32_t type) {
    LockedMemory pages(faulty_, kPage);
    ASSERT_EQ(faulty_.Run(faulty_.Opening(type), pages, ENOMEM), 0u);
  }
  // Makes `steps` with limits that grow by `step`. Returns how many calls were refused.
  uint64_t Run(const std::vector<Step>& steps, uint64_t step) {
    LockedMemory limit(faulty_, step);
    return faulty_.Run(steps, limit, ENOMEM);
  }
  // Whether as much can be locked in the end.
  static bool MayLock(uint64_t bytes) {
    return tests::ResourceLimit(RLIMIT_MEMLOCK).before().rlim_max >= bytes ||
           tests::LockAnyMemory(true);
  }
  void Close() {
    EXPECT_EQ(Run(faulty_.Closing(), kPage), 0u);
    EXPECT_EQ(faulty_.LockedBytes(), 0u);
  }

  tests::FaultyHost faulty_;
};

TEST_F(LockedMemoryTest, AType1MappingIsRefusedWholeUntilAllOfItMayBeLocked) {
  if (!MayLock(kMiB)) GTEST_SKIP() << "RLIMIT_MEMLOCK is below 1 MiB";
  Open(abi::kType1v2Iommu);
  EXPECT_EQ(Run({{"MAP of 5 pages", [this] { return faulty_.Map(0, 5 * kPage); }},
                 {"MAP of 2 pages", [this] { return faulty_.Map(kMiB, 2 * kPage); }},
                 {"START", [this] { return faulty_.TrackDirty(1); }},
                 {"MAP of a page", [this] { return faulty_.Map(2 * kMiB, kPage); }},
                 {"UNMAP", [this] { return faulty_.Unmap(0, 3 * kMiB); }},
                 {"MAP of a page again", [this] { return faulty_.Map(0, kPage); }}},
                kPage),
            5u + 2 + 1 + 1);
  Close();
}

TEST_F(LockedMemoryTest, ASpaprRegistrationIsRefusedWholeUntilAllOfItMayBeLocked) {
  if (!MayLock(kMiB)) GTEST_SKIP() << "RLIMIT_MEMLOCK is below 1 MiB";
  Open(abi::kSpaprTceV2Iommu);
  EXPECT_EQ(
      Run({{"REGISTER_MEMORY of 4 pages", [this] { return faulty_.Register(0, 4 * kPage); }},
           {"REGISTER_MEMORY of 3 more", [this] { return faulty_.Register(4 * kPage, 3 * kPage); }},
           {"UNREGISTER_MEMORY", [this] { return faulty_.Unregister(0, 4 * kPage); }},
           {"REGISTER_MEMORY again", [this] { return faulty_.Register(0, 2 * kPage); }}},
          kPage),
      4u + 3 + 2);
  EXPECT_EQ(faulty_.Unregister(0, 2 * kPage), 0);
  EXPECT_EQ(faulty_.Unregister(4 * kPage, 3 * kPage), 0);
  Close();
}

TEST_F(LockedMemoryTest, ASpaprWindowIsRefusedUntilItsTableMayBeLocked) {
  if (!MayLock(kMiB)) GTEST_SKIP() << "RLIMIT_MEMLOCK is below 1 MiB";
  Open(abi::kSpaprTceV2Iommu);
  ASSERT_EQ(faulty_.Register(0, 1 << 16), 0);
  // The default window goes without having been made. Of 8 bytes a page there are two tables.
  EXPECT_EQ(Run({{"REMOVE", [this] { return faulty_.RemoveWindow(0); }},
                 {"CREATE", [this] { return faulty_.CreateWindow(16, kGiB); }},
                 {"CREATE of another", [this] { return faulty_.CreateWindow(16, kGiB / 2); }},
                 {"MAP needs no more", [this] { return faulty_.Map(0, 1 << 16); }},
                 {"REMOVE of the first", [this] { return faulty_.RemoveWindow(0); }},
                 {"CREATE again", [this] { return faulty_.CreateWindow(16, kGiB); }}},
                kGiB / (1 << 16) * 4),
            4u + 2 + 4);
  EXPECT_EQ(faulty_.Unregister(0, 1 << 16), 0);
  Close();
}

TEST_F(LockedMemoryTest, ASpaprDefaultWindowIsRefusedUntilItsTableMayBeLocked) {
  if (!MayLock(16 * kMiB)) GTEST_SKIP() << "RLIMIT_MEMLOCK is below 16 MiB";
  Open(abi::kSpaprTceV2Iommu);
  ASSERT_EQ(faulty_.Register(0, kPage), 0);
  // The default window's of 2 GiB takes 8 MiB.
  EXPECT_GE(Run({{"UNMAP of nothing", [this] { return faulty_.Unmap(0, 0); }},
                 {"CREATE", [this] { return faulty_.CreateWindow(12, kGiB); }}},
                kMiB),
            8u);
  EXPECT_EQ(faulty_.Unregister(0, kPage), 0);
  Close();
}

TEST_F(LockedMemoryTest, EnablingASpaprContainerOfVersion1IsRefusedUntilItsWindowMayBeLocked) {
  if (!MayLock(3 * kGiB)) GTEST_SKIP() << "RLIMIT_MEMLOCK is below 3 GiB";
  Open(abi::kSpaprTceIommu);
  EXPECT_GE(Run({{"ENABLE", [this] { return faulty_.Call(abi::kIommuEnable); }},
                 {"DISABLE", [this] { return faulty_.Call(abi::kIommuDisable); }},
                 {"ENABLE again", [this] { return faulty_.Call(abi::kIommuEnable); }}},
                kGiB),
            2u);
  Close();
}

}  // namespace
