// Address spaces on a real /dev/iommu, with and without a device.
#include <gtest/gtest.h>
#include <linux/capability.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "compat/abi/iommufd.h"
#include "ioas/backend.h"
#include "ioas/range.h"
#include "tests/vm/kernel_backend/fixture.h"

namespace tests {
namespace {

namespace iommu = compat::abi::iommufd;
using ioas::kAccessRead;
using ioas::kAccessWrite;
constexpr uint32_t kReadWrite = kAccessRead | kAccessWrite;

// Where x86 devices write their interrupts.
constexpr ioas::IovaRange kInterrupts = {0xfee00000, 0xfeefffff};

// Takes CAP_IPC_LOCK away and sets the locked-memory limit, for a scope.
class Unprivileged {
 public:
  explicit Unprivileged(uint64_t lockable) {
    getrlimit(RLIMIT_MEMLOCK, &limit_);
    const rlimit low = {lockable, limit_.rlim_max};
    setrlimit(RLIMIT_MEMLOCK, &low);
    syscall(SYS_capget, &header_, sets_);
    __user_cap_data_struct fewer[2] = {sets_[0], sets_[1]};
    fewer[0].effective &= ~(1u << CAP_IPC_LOCK);
    syscall(SYS_capset, &header_, fewer);
  }
  ~Unprivileged() {
    syscall(SYS_capset, &header_, sets_);
    setrlimit(RLIMIT_MEMLOCK, &limit_);
  }
  Unprivileged(const Unprivileged&) = delete;
  Unprivileged& operator=(const Unprivileged&) = delete;

 private:
  rlimit limit_ = {};
  __user_cap_header_struct header_ = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct sets_[2] = {};
};

TEST_F(IommufdTest, ObjectsHaveNumbersAndEnd) {
  const uint32_t other = AllocIoas();
  EXPECT_NE(other, ioas_);
  EXPECT_EQ(*iommufd_.GetCompatIoas(), ioas_);
  EXPECT_TRUE(iommufd_.Destroy(other).ok());
  EXPECT_EQ(iommufd_.Destroy(other).error().code, ENOENT);
  EXPECT_EQ(iommufd_.SetCompatIoas(other).error().code, ENOENT);
}

TEST_F(IommufdTest, WithoutADeviceEverythingCanBeMapped) {
  ioas::IovaRange range = {};
  const auto ranges = iommufd_.IovaRanges(ioas_, {&range, 1});
  ASSERT_TRUE(ranges.ok());
  EXPECT_EQ(ranges->count, 1u);
  EXPECT_EQ(ranges->alignment, 1u);
  EXPECT_EQ(range, (ioas::IovaRange{0, UINT64_MAX}));
  EXPECT_EQ(iommufd_.IovaRanges(ioas_, {})->count, 1u);
  EXPECT_TRUE(*iommufd_.EnforcesCacheCoherency());
}

TEST_F(IommufdTest, MappingsAreMadeAndUnmappedWhole) {
  const Memory memory(4 * kPage);
  EXPECT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory.address(), 4 * kPage, kReadWrite).ok());
  EXPECT_EQ(iommufd_.Map({ioas_, 0x13000}, memory.address(), 4 * kPage, kReadWrite).error().code,
            EEXIST);
  EXPECT_EQ(iommufd_.Unmap({ioas_, 0x11000}, kPage).error().code, ENOENT);
  EXPECT_EQ(iommufd_.Unmap({ioas_, 0x20000}, kPage).error().code, ENOENT);
  EXPECT_EQ(*iommufd_.Unmap({ioas_, 0x8000}, 0x10000), 4 * kPage);
}

TEST_F(IommufdTest, EverythingIsUnmappedAtOnceBeItNothing) {
  const Memory memory(2 * kPage);
  EXPECT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory.address(), kPage, kReadWrite).ok());
  EXPECT_TRUE(iommufd_.Map({ioas_, 0x40000}, memory.address(), 2 * kPage, kReadWrite).ok());
  EXPECT_EQ(*iommufd_.Unmap({ioas_, 0}, UINT64_MAX), 3 * kPage);
  EXPECT_EQ(*iommufd_.Unmap({ioas_, 0}, UINT64_MAX), 0u);
}

TEST_F(IommufdTest, PartsOfMappingsAreCopiedToAnotherSpace) {
  const Memory memory(4 * kPage);
  const uint32_t other = AllocIoas();
  ASSERT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory.address(), 4 * kPage, kAccessRead).ok());
  EXPECT_TRUE(iommufd_.Copy({other, 0x50000}, {ioas_, 0x11000}, 2 * kPage, kAccessRead).ok());
  EXPECT_EQ(iommufd_.Copy({other, 0x60000}, {ioas_, 0x11000}, 2 * kPage, kReadWrite).error().code,
            EPERM);
  EXPECT_EQ(iommufd_.Copy({other, 0x60000}, {ioas_, 0x13000}, 2 * kPage, kAccessRead).error().code,
            ENOENT);
  EXPECT_EQ(*iommufd_.Unmap({ioas_, 0x10000}, 4 * kPage), 4 * kPage);
  EXPECT_EQ(*iommufd_.Unmap({other, 0x50000}, 2 * kPage), 2 * kPage);
}

TEST_F(IommufdTest, AllowedRangesMayNotMeet) {
  const ioas::IovaRange apart[] = {{0x1000, 0x1fff}, {0x3000, 0x3fff}};
  const ioas::IovaRange meeting[] = {{0x1000, 0x1fff}, {0x1800, 0x3fff}};
  EXPECT_TRUE(iommufd_.AllowIovas(ioas_, apart).ok());
  EXPECT_EQ(iommufd_.AllowIovas(ioas_, meeting).error().code, EINVAL);
  EXPECT_TRUE(iommufd_.AllowIovas(ioas_, {}).ok());
}

TEST_F(IommufdTest, FilesAreMappedWhereTheKernelCan) {
  const int fd = memfd_create("memory", 0);
  ASSERT_EQ(ftruncate(fd, kPage), 0);
  const ioas::Status mapped = iommufd_.MapFile({ioas_, 0x10000}, fd, 0, kPage, kReadWrite);
  close(fd);
  if (!mapped.ok() && mapped.error().code == ENOTTY) {
    GTEST_SKIP() << "this kernel has no IOMMU_IOAS_MAP_FILE (Linux 6.13)";
  }
  EXPECT_TRUE(mapped.ok());
}

TEST_F(IommufdTest, HugePagesAreAnOptionOfTheSpace) {
  EXPECT_EQ(*iommufd_.GetOption(iommu::kOptionHugePages, ioas_), 1u);
  EXPECT_TRUE(iommufd_.SetOption(iommu::kOptionHugePages, ioas_, 0).ok());
  EXPECT_EQ(*iommufd_.GetOption(iommu::kOptionHugePages, ioas_), 0u);
}

TEST_F(IommufdTest, AccountingIsChosenBeforeThereAreObjects) {
  EXPECT_EQ(iommufd_.SetOption(iommu::kOptionRlimitMode, 0, 1).error().code, EBUSY);
  EXPECT_EQ(*iommufd_.GetOption(iommu::kOptionRlimitMode, 0), 0u);
  const auto file = ioas::kernel::Iommufd::Open(calls_);
  const ioas::kernel::Iommufd fresh(calls_, file->get());
  EXPECT_TRUE(fresh.SetOption(iommu::kOptionRlimitMode, 0, 1).ok());
  EXPECT_EQ(*fresh.GetOption(iommu::kOptionRlimitMode, 0), 1u);
}

TEST_F(DeviceTest, ReservedRangesAreKnownOnceItIsAttached) {
  EXPECT_EQ(iommufd_.IovaRanges(ioas_, {})->count, 1u);
  Attach(ioas_);
  ioas::IovaRange ranges[16] = {};
  const auto found = iommufd_.IovaRanges(ioas_, ranges);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->alignment, kPage);
  ASSERT_GE(found->count, 2u);
  EXPECT_EQ(ranges[0], (ioas::IovaRange{0, kInterrupts.first - 1}));
  EXPECT_EQ(ranges[1].first, kInterrupts.last + 1);
  EXPECT_EQ(*iommufd_.PageSizes() & kPage, kPage);
  EXPECT_TRUE(iommufd_.EnforcesCacheCoherency().ok());
}

TEST_F(DeviceTest, OnlyWhatCanBePinnedIsMapped) {
  Attach(ioas_);
  const Memory memory(kPage);
  const Memory read_only(kPage, PROT_READ);
  const auto map = [&](uint64_t iova, uint64_t address, uint64_t size, uint32_t access) {
    return iommufd_.Map({ioas_, iova}, address, size, access).error().code;
  };
  EXPECT_EQ(map(0x10000, memory.address(), kPage, kReadWrite), 0);
  EXPECT_EQ(map(0x20000, read_only.address(), kPage, kReadWrite), EFAULT);
  EXPECT_EQ(map(0x20000, read_only.address(), kPage, kAccessRead), 0);
  EXPECT_EQ(map(0x30000, kPage, kPage, kReadWrite), EFAULT);
  EXPECT_EQ(map(0x30000, memory.address() + 1, kPage, kReadWrite), EINVAL);
  EXPECT_EQ(map(0x30001, memory.address(), kPage, kReadWrite), EINVAL);
  EXPECT_EQ(map(0x30000, memory.address(), 0, kReadWrite), EINVAL);
  EXPECT_EQ(map(0x30000, memory.address(), kPage, 0), EINVAL);
  EXPECT_EQ(map(kInterrupts.first, memory.address(), kPage, kReadWrite), EINVAL);
  EXPECT_EQ(PinnedBytes(), 2 * kPage);
  EXPECT_EQ(*iommufd_.Unmap({ioas_, 0}, UINT64_MAX), 2 * kPage);
  EXPECT_EQ(PinnedBytes(), 0u);
}

TEST_F(DeviceTest, TheLockedMemoryLimitHoldsForThoseWithoutPrivilege) {
  Attach(ioas_);
  const Memory memory(16 * kPage);
  ioas::Status too_much;
  ioas::Status fits;
  {
    const Unprivileged unprivileged(8 * kPage);
    too_much = iommufd_.Map({ioas_, 0x10000}, memory.address(), 16 * kPage, kReadWrite);
    fits = iommufd_.Map({ioas_, 0x10000}, memory.address(), 4 * kPage, kReadWrite);
  }
  EXPECT_EQ(too_much.error().code, ENOMEM);
  EXPECT_TRUE(fits.ok());
  EXPECT_EQ(PinnedBytes(), 4 * kPage);
}

TEST_F(DeviceTest, CopiesShareWhatIsPinned) {
  Attach(ioas_);
  const uint32_t other = AllocIoas();
  const Memory memory(4 * kPage);
  ASSERT_TRUE(iommufd_.Map({other, 0x10000}, memory.address(), 4 * kPage, kReadWrite).ok());
  EXPECT_EQ(PinnedBytes(), 0u) << "no device is attached there";
  EXPECT_TRUE(iommufd_.Copy({ioas_, 0x40000}, {other, 0x11000}, kPage, kReadWrite).ok());
  EXPECT_TRUE(iommufd_.Copy({ioas_, 0x50000}, {other, 0x11000}, kPage, kReadWrite).ok());
  EXPECT_EQ(PinnedBytes(), kPage);
}

}  // namespace
}  // namespace tests
