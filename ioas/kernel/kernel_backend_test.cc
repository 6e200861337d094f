#include "ioas/kernel/kernel_backend.h"

#include <gtest/gtest.h>

#include <map>
#include <utility>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/base/arena.h"
#include "ioas/kernel/scripted_system_calls.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi;
namespace iommu = compat::abi::iommufd;

constexpr IoasHandle kSpace = {.iommufd = 8, .ioas = 3};
constexpr Mapping kMapping = {.first = 0x10000,
                              .last = 0x11fff,
                              .user_address = 0x7000000,
                              .owner = 1,
                              .flags = kAccessRead | 1u << 31};

class KernelBackendTest : public ::testing::Test {
 protected:
  void FailMap(int code) {
    calls_.OnIoctl<abi::DmaMap>(abi::kIommuMapDma, [code](abi::DmaMap&) { return -code; });
  }
  void FailUnmap(int code) {
    calls_.OnIoctl<abi::DmaUnmap>(abi::kIommuUnmapDma, [code](abi::DmaUnmap&) { return -code; });
  }

  ScriptedSystemCalls calls_;
  KernelBackend backend_{calls_};
};

TEST_F(KernelBackendTest, MapsTheWholeMappingWithItsAccessAlone) {
  calls_.OnIoctl<abi::DmaMap>(abi::kIommuMapDma, [](const abi::DmaMap& call) {
    EXPECT_EQ(call.argsz, sizeof(call));
    EXPECT_EQ(call.iova, 0x10000u);
    EXPECT_EQ(call.size, 0x2000u);
    EXPECT_EQ(call.vaddr, 0x7000000u);
    EXPECT_EQ(call.flags, abi::kDmaMapFlagRead);
    return 0;
  });
  EXPECT_TRUE(backend_.Map(kSpace, kMapping).ok());
  EXPECT_EQ(calls_.last_fd, 8);
}

class OneFile final : public FileMemorySource {
 public:
  Result<FileMemory> Find(uint64_t user_address, uint64_t size) override {
    ++asked;
    if (user_address != kMapping.user_address || size != 0x2000) return Error{ENOENT, "other"};
    return FileMemory{.fd = 77, .offset = 0x3000};
  }

  int asked = 0;  // how often
};

TEST_F(KernelBackendTest, MemoryThatCannotBePinnedIsMappedByItsFile) {
  OneFile file;
  KernelBackend backend(calls_, {.bars = &file});
  FailMap(EFAULT);
  int closed = -1;
  calls_.OnCall(SYS_close, [&](const long(&arguments)[6]) {
    closed = static_cast<int>(arguments[0]);
    return 0;
  });
  calls_.OnIoctl<iommu::IoasMapFile>(iommu::kIoasMapFile, [](const iommu::IoasMapFile& call) {
    EXPECT_EQ(call.fd, 77);
    EXPECT_EQ(call.start, 0x3000u);
    EXPECT_EQ(call.length, 0x2000u);
    EXPECT_EQ(call.iova, 0x10000u);
    return 0;
  });
  EXPECT_TRUE(backend.Map(kSpace, kMapping).ok());
  EXPECT_EQ(closed, 77);

  calls_.OnIoctl<iommu::IoasMapFile>(iommu::kIoasMapFile,
                                     [](iommu::IoasMapFile&) { return -EOPNOTSUPP; });
  EXPECT_EQ(backend.Map(kSpace, kMapping).error().code, EFAULT);
  Mapping other = kMapping;
  other.user_address += 0x1000;
  EXPECT_EQ(backend.Map(kSpace, other).error().code, EFAULT);
}

TEST_F(KernelBackendTest, WhatMayChangeItsProcessIsMappedByItsFile) {
  OneFile file;
  KernelBackend backend(calls_, {.shared = &file});
  FailMap(ENOMEM);
  bool is_mapped = false;
  calls_.OnCall(SYS_close, [](const long(&)[6]) { return 0; });
  calls_.OnIoctl<iommu::IoasMapFile>(iommu::kIoasMapFile, [&](const iommu::IoasMapFile&) {
    is_mapped = true;
    return 0;
  });
  IoasHandle movable = kSpace;
  movable.may_change_process = true;
  EXPECT_TRUE(backend.Map(movable, kMapping).ok());
  EXPECT_TRUE(is_mapped);
  EXPECT_EQ(backend.Map(kSpace, kMapping).error().code, ENOMEM) << "nobody asked";

  // A kernel that has no such mappings.
  calls_.OnIoctl<iommu::IoasMapFile>(iommu::kIoasMapFile,
                                     [](iommu::IoasMapFile&) { return -ENOTTY; });
  EXPECT_EQ(backend.Map(movable, kMapping).error().code, ENOMEM) << "as memory like any other";
  const int asked = file.asked;
  EXPECT_EQ(backend.Map(movable, kMapping).error().code, ENOMEM);
  EXPECT_EQ(file.asked, asked) << "looking for the file would be for nothing";
}

TEST_F(KernelBackendTest, ProcessChangesIfItMay) {
  int answer = 0;
  int changes = 0;
  calls_.OnIoctl<iommu::IoasChangeProcess>(iommu::kIoasChangeProcess,
                                           [&](const iommu::IoasChangeProcess&) {
                                             ++changes;
                                             return answer;
                                           });
  EXPECT_TRUE(backend_.ChangeProcess(kSpace).ok());
  EXPECT_EQ(changes, 0);
  IoasHandle movable = kSpace;
  movable.may_change_process = true;
  EXPECT_TRUE(backend_.ChangeProcess(movable).ok());
  EXPECT_EQ(changes, 1);
  // A mapping of no file, or a kernel that has no such call: nothing changes.
  for (const int harmless : {-EINVAL, -ENOTTY}) {
    answer = harmless;
    EXPECT_TRUE(backend_.ChangeProcess(movable).ok());
  }
  answer = -ENOMEM;
  EXPECT_EQ(backend_.ChangeProcess(movable).error().code, ENOMEM);
}

TEST_F(KernelBackendTest, OnlyErrorsOfType1LeaveMap) {
  const std::map<int, int> expected = {
      {EINVAL, EINVAL}, {ENOMEM, ENOMEM},     {EFAULT, EFAULT},     {EEXIST, EEXIST},
      {ENOSPC, ENOSPC}, {EINTR, ENOMEM},      {EAGAIN, ENOMEM},     {EBUSY, ENOMEM},
      {EDQUOT, ENOMEM}, {EMFILE, ENOMEM},     {ENFILE, ENOMEM},     {EPERM, EINVAL},
      {ENOENT, EINVAL}, {EOVERFLOW, EINVAL},  {EOPNOTSUPP, EINVAL}, {EBADF, EINVAL},
      {ENOTTY, EINVAL}, {EADDRINUSE, EINVAL}, {EDEADLK, EINVAL},
  };
  for (const auto& [kernels, callers] : expected) {
    FailMap(kernels);
    EXPECT_EQ(backend_.Map(kSpace, kMapping).error().code, callers) << kernels;
  }
}

TEST_F(KernelBackendTest, UnmapsTheWholeMapping) {
  calls_.OnIoctl<abi::DmaUnmap>(abi::kIommuUnmapDma, [](const abi::DmaUnmap& call) {
    EXPECT_EQ(call.argsz, sizeof(call));
    EXPECT_EQ(call.flags, 0u);
    EXPECT_EQ(call.iova, 0x10000u);
    EXPECT_EQ(call.size, 0x2000u);
    return 0;
  });
  EXPECT_TRUE(backend_.Unmap(kSpace, kMapping).ok());
}

TEST_F(KernelBackendTest, WhatTheKernelDoesNotHaveIsUnmapped) {
  FailUnmap(ENOENT);
  EXPECT_TRUE(backend_.Unmap(kSpace, kMapping).ok());
}

TEST_F(KernelBackendTest, AllOtherErrorsOfUnmapAreInvalidArguments) {
  for (const int code : {EINVAL, ENOMEM, EBUSY, EFAULT, EINTR, EDEADLK, EBADF}) {
    FailUnmap(code);
    EXPECT_EQ(backend_.Unmap(kSpace, kMapping).error().code, EINVAL) << code;
  }
}

class KernelBackendUnmapAllTest : public KernelBackendTest {
 protected:
  KernelBackendUnmapAllTest() {
    for (uint64_t i = 0; i < 3; ++i) {
      EXPECT_TRUE(index_.Insert({.first = i * 4096, .last = i * 4096 + 4095}).ok());
    }
  }
  ~KernelBackendUnmapAllTest() override { arena_.Unmap(); }

  Arena arena_ = *Arena::CreatePrivate(1 << 20);
  MappingIndex index_{arena_, arena_.Get(*arena_.New<MappingIndexState>())};
};

TEST_F(KernelBackendUnmapAllTest, OneCallUnmapsAll) {
  calls_.OnIoctl<iommu::IoasUnmap>(iommu::kIoasUnmap, [](const iommu::IoasUnmap& call) {
    EXPECT_EQ(call.iova, 0u);
    EXPECT_EQ(call.length, UINT64_MAX);
    return 0;
  });
  backend_.UnmapAll(kSpace, index_);
  EXPECT_EQ(calls_.made.size(), 1u);
}

TEST_F(KernelBackendUnmapAllTest, WhereThatFailsEachMappingIsUnmapped) {
  int unmapped = 0;
  calls_.OnIoctl<iommu::IoasUnmap>(iommu::kIoasUnmap, [](iommu::IoasUnmap&) { return -EBUSY; });
  calls_.OnIoctl<abi::DmaUnmap>(abi::kIommuUnmapDma, [&](const abi::DmaUnmap& call) {
    EXPECT_EQ(call.size, 4096u);
    ++unmapped;
    return 0;
  });
  backend_.UnmapAll(kSpace, index_);
  EXPECT_EQ(unmapped, 3);
}

TEST_F(KernelBackendTest, DiscardTakesARangeOrEverything) {
  std::pair<uint64_t, uint64_t> seen;
  calls_.OnIoctl<iommu::IoasUnmap>(iommu::kIoasUnmap, [&](const iommu::IoasUnmap& call) {
    seen = {call.iova, call.length};
    return -ENOENT;
  });
  backend_.Discard(kSpace, {0x10000, 0x11fff});
  EXPECT_EQ(seen, (std::pair<uint64_t, uint64_t>(0x10000, 0x2000)));
  backend_.Discard(kSpace, {0, UINT64_MAX});
  EXPECT_EQ(seen, (std::pair<uint64_t, uint64_t>(0, UINT64_MAX)));
}

TEST_F(KernelBackendTest, DirtyPagesAreRecordedByTheSpacesTables) {
  TrackingTables tables = {.count = 1, .has_untracked = 0, .hwpts = {12}};
  const IoasHandle space = {.iommufd = 8, .ioas = 3, .tables = &tables};
  bool tracks = false;
  calls_.OnIoctl<iommu::HwptSetDirtyTracking>(iommu::kHwptSetDirtyTracking,
                                              [&](const iommu::HwptSetDirtyTracking& call) {
                                                EXPECT_EQ(call.hwpt_id, 12u);
                                                tracks = call.flags != 0;
                                                return 0;
                                              });
  calls_.OnIoctl<iommu::HwptGetDirtyBitmap>(iommu::kHwptGetDirtyBitmap,
                                            [](const iommu::HwptGetDirtyBitmap& call) {
                                              EXPECT_EQ(call.iova, 0x10000u);
                                              EXPECT_EQ(call.length, 0x2000u);
                                              EXPECT_EQ(call.page_size, 0x1000u);
                                              *reinterpret_cast<uint64_t*>(call.data) = 2;
                                              return 0;
                                            });
  EXPECT_TRUE(backend_.StartDirtyTracking(space));
  EXPECT_TRUE(tracks);
  uint64_t word = 0;
  EXPECT_TRUE(backend_.ReadDirtyPages(space, {0x10000, 0x11fff}, 0x1000, &word));
  EXPECT_EQ(word, 2u);
  backend_.StopDirtyTracking(space);
  EXPECT_FALSE(tracks);
  tables.has_untracked = 1;
  EXPECT_FALSE(backend_.StartDirtyTracking(space));
  EXPECT_FALSE(backend_.ReadDirtyPages(space, {0x10000, 0x11fff}, 0x1000, &word));
}

TEST_F(KernelBackendTest, WithoutTablesNothingIsRecorded) {
  uint64_t word = 0;
  EXPECT_FALSE(backend_.StartDirtyTracking(kSpace));
  EXPECT_FALSE(backend_.ReadDirtyPages(kSpace, {0, 0xfff}, 0x1000, &word));
  backend_.StopDirtyTracking(kSpace);
  EXPECT_TRUE(calls_.made.empty());
}

class KernelBackendPropertiesTest : public KernelBackendTest {
 protected:
  KernelBackendPropertiesTest() {
    calls_.OnIoctl<iommu::IoasIovaRanges>(iommu::kIoasIovaRanges, [](iommu::IoasIovaRanges& call) {
      const uint32_t room = call.num_iovas;
      auto* const out = reinterpret_cast<iommu::IovaRange*>(call.allowed_iovas);
      for (uint32_t i = 0; i < room && i < 3; ++i) out[i] = {i * 0x1000, i * 0x1000 + 0x7ff};
      call.num_iovas = 3;
      return room < 3 ? -EMSGSIZE : 0;
    });
    calls_.OnIoctl<abi::Type1Info>(abi::kIommuGetInfo, [](abi::Type1Info& info) {
      info.iova_pgsizes = 0x201000;
      return 0;
    });
    calls_.OnValueIoctl(abi::kCheckExtension, [](long) { return 1L; });
  }
};

TEST_F(KernelBackendPropertiesTest, AreWhatTheKernelSays) {
  IovaRange apertures[8] = {};
  const auto properties = backend_.ReadProperties(kSpace, apertures);
  ASSERT_TRUE(properties.ok());
  EXPECT_EQ(properties->page_sizes, 0x201000u);
  EXPECT_TRUE(properties->enforces_cache_coherency);
  EXPECT_TRUE(properties->reserved.empty());
  ASSERT_EQ(properties->apertures.size(), 3u);
  EXPECT_EQ(properties->apertures.data(), apertures);
  EXPECT_EQ(apertures[2], (IovaRange{0x2000, 0x27ff}));
}

TEST_F(KernelBackendPropertiesTest, HaveTheLowestAperturesWhereNotAllFit) {
  IovaRange apertures[2] = {};
  const auto properties = backend_.ReadProperties(kSpace, apertures);
  ASSERT_TRUE(properties.ok());
  ASSERT_EQ(properties->apertures.size(), 2u);
  EXPECT_EQ(apertures[1], (IovaRange{0x1000, 0x17ff}));
}

TEST_F(KernelBackendPropertiesTest, NeedEveryAnswer) {
  IovaRange apertures[2] = {};
  calls_.OnValueIoctl(abi::kCheckExtension, [](long) -> long { return -ENODEV; });
  EXPECT_EQ(backend_.ReadProperties(kSpace, apertures).error().code, ENODEV);
  calls_.OnIoctl<abi::Type1Info>(abi::kIommuGetInfo, [](abi::Type1Info&) { return -EFAULT; });
  EXPECT_EQ(backend_.ReadProperties(kSpace, apertures).error().code, EFAULT);
  calls_.OnIoctl<iommu::IoasIovaRanges>(iommu::kIoasIovaRanges,
                                        [](iommu::IoasIovaRanges&) { return -ENOENT; });
  EXPECT_EQ(backend_.ReadProperties(kSpace, apertures).error().code, ENOENT);
}

}  // namespace
}  // namespace ioas::kernel
