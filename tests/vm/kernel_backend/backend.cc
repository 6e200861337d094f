// The model of an address space on a real /dev/iommu, with failures of every system call.
#include <gtest/gtest.h>

#include "ioas/address_space.h"
#include "ioas/kernel/failing_system_calls.h"
#include "ioas/kernel/kernel_backend.h"
#include "tests/vm/kernel_backend/fixture.h"

namespace tests {
namespace {

using ioas::Mapping;
constexpr uint32_t kReadWrite = ioas::kAccessRead | ioas::kAccessWrite;

class BackendTest : public DeviceTest {
 protected:
  BackendTest() {
    Attach(ioas_);
    const auto properties = backend_.ReadProperties(handle_, apertures_);
    EXPECT_TRUE(properties.ok());
    state_ = *ioas::AddressSpace::Create(arena_, *properties, 1000);
  }
  ~BackendTest() override { arena_.Unmap(); }

  ioas::AddressSpace space() { return {arena_, state_, &backend_, &handle_}; }

  Mapping MappingAt(uint64_t iova, uint64_t pages) const {
    return {.first = iova,
            .last = iova + pages * kPage - 1,
            .user_address = memory_.address(),
            .flags = kReadWrite};
  }
  // The kernel has the mappings that the model has, and no others.
  void ExpectAgreement() {
    uint64_t bytes = 0;
    ioas::MappingIndex index = space().mappings();
    for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
         mapping = index.Next(mapping->first)) {
      const uint64_t size = mapping->last - mapping->first + 1;
      bytes += size;
      // What is there can be copied, all of it.
      const uint32_t probe = AllocIoas();
      EXPECT_TRUE(iommufd_.Copy({probe, 0}, {ioas_, mapping->first}, size, ioas::kAccessRead).ok());
      EXPECT_TRUE(iommufd_.Destroy(probe).ok());
    }
    EXPECT_EQ(PinnedBytes(), bytes);
  }

  Memory memory_{4 * kPage};
  ioas::kernel::FailingSystemCalls failing_{calls_};
  ioas::kernel::KernelBackend backend_{failing_};
  const ioas::IoasHandle handle_ = {iommufd_.fd(), ioas_};
  ioas::Arena arena_ = *ioas::Arena::CreatePrivate(1 << 20);
  ioas::IovaRange apertures_[ioas::kMaxApertures] = {};
  ioas::ArenaRef<ioas::AddressSpaceState> state_;
};

TEST_F(BackendTest, PropertiesAreTheHardwares) {
  const auto properties = backend_.ReadProperties(handle_, apertures_);
  ASSERT_TRUE(properties.ok());
  EXPECT_EQ(properties->page_sizes & (kPage * 2 - 1), kPage);
  ASSERT_GE(properties->apertures.size(), 2u);
  EXPECT_EQ(properties->apertures[0], (ioas::IovaRange{0, 0xfedfffff}));
}

TEST_F(BackendTest, WhatTheModelMapsIsPinned) {
  EXPECT_TRUE(space().Map(MappingAt(0x10000, 4)).ok());
  ExpectAgreement();
  EXPECT_TRUE(space().Unmap(MappingAt(0x10000, 4)).ok());
  ExpectAgreement();
}

TEST_F(BackendTest, WhatIsGoneFromTheKernelCanBeUnmapped) {
  ASSERT_TRUE(space().Map(MappingAt(0x10000, 4)).ok());
  ASSERT_TRUE(iommufd_.Unmap({ioas_, 0}, UINT64_MAX).ok());
  EXPECT_TRUE(space().Unmap(MappingAt(0x10000, 4)).ok());
  ExpectAgreement();
}

TEST_F(BackendTest, AllIsUnmappedAtOnce) {
  for (uint64_t i = 1; i <= 4; ++i) ASSERT_TRUE(space().Map(MappingAt(i << 20, i)).ok());
  failing_.FailNone();
  EXPECT_EQ(space().UnmapAll(), 10 * kPage);
  EXPECT_EQ(failing_.count(), 1u);
  ExpectAgreement();
}

TEST_F(BackendTest, DiscardTakesOneRangeOrAll) {
  ASSERT_TRUE(iommufd_.Map({ioas_, 0x10000}, memory_.address(), kPage, kReadWrite).ok());
  ASSERT_TRUE(iommufd_.Map({ioas_, 0x20000}, memory_.address(), kPage, kReadWrite).ok());
  backend_.Discard(handle_, {0x10000, 0x10fff});
  EXPECT_EQ(iommufd_.Unmap({ioas_, 0x10000}, kPage).error().code, ENOENT);
  backend_.Discard(handle_, {0, UINT64_MAX});
  EXPECT_EQ(PinnedBytes(), 0u);
}

TEST_F(BackendTest, AfterAnyFailureTheModelAgreesWithTheKernel) {
  for (const int code : {EINVAL, ENOMEM, EBUSY, EFAULT, EINTR}) {
    for (uint64_t nth = 1;; ++nth) {
      failing_.Fail(nth, code);
      (void)space().Map(MappingAt(0x10000, 4));
      (void)space().Map(MappingAt(0x30000, 4));
      ExpectAgreement();
      const Mapping first = MappingAt(0x10000, 4);
      if (space().mappings().FindContaining(0x10000)) (void)space().Unmap(first);
      ExpectAgreement();
      space().UnmapAll();
      EXPECT_EQ(space().mappings().size(), 0u);
      ExpectAgreement();
      if (failing_.count() < nth) break;
    }
  }
}

TEST_F(BackendTest, AnInterruptionIsNotSeen) {
  failing_.Fail(1, EINTR);
  EXPECT_TRUE(space().Map(MappingAt(0x10000, 4)).ok());
  failing_.Fail(1, EINTR);
  EXPECT_TRUE(space().Unmap(MappingAt(0x10000, 4)).ok());
  ExpectAgreement();
}

}  // namespace
}  // namespace tests
