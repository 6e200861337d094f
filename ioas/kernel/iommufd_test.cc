#include "ioas/kernel/iommufd.h"

#include <fcntl.h>
#include <gtest/gtest.h>

#include <array>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/backend.h"
#include "ioas/kernel/device_call.h"
#include "ioas/kernel/scripted_system_calls.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi;
namespace iommu = compat::abi::iommufd;

constexpr int kFd = 11;

class IommufdTest : public ::testing::Test {
 protected:
  ScriptedSystemCalls calls_;
  Iommufd iommufd_{calls_, kFd};
};

TEST_F(IommufdTest, OpensTheNodeCloseOnExec) {
  calls_.OnCall(SYS_openat, [](const long(&arguments)[6]) -> long {
    EXPECT_STREQ(reinterpret_cast<const char*>(arguments[1]), "/dev/iommu");
    EXPECT_EQ(arguments[2], O_RDWR | O_CLOEXEC);
    return 17;
  });
  Result<OwnedDescriptor> opened = Iommufd::Open(calls_);
  ASSERT_TRUE(opened.ok());
  EXPECT_EQ(opened->Release(), 17);
  calls_.OnCall(SYS_openat, [](const long(&)[6]) -> long { return -ENOENT; });
  EXPECT_EQ(Iommufd::Open(calls_).error().code, ENOENT);
}

TEST_F(IommufdTest, AllocatesAndDestroys) {
  calls_.OnIoctl<iommu::IoasAlloc>(iommu::kIoasAlloc, [](iommu::IoasAlloc& call) {
    EXPECT_EQ(call.size, 12u);
    EXPECT_EQ(call.flags, 0u);
    call.out_ioas_id = 3;
    return 0;
  });
  const Result<uint32_t> made = iommufd_.AllocIoas();
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(*made, 3u);
  EXPECT_EQ(calls_.last_fd, kFd);
  calls_.OnIoctl<iommu::Destroy>(iommu::kDestroy, [](const iommu::Destroy& call) {
    EXPECT_EQ(call.size, 8u);
    return call.id == 3 ? 0 : -ENOENT;
  });
  EXPECT_TRUE(iommufd_.Destroy(3).ok());
  EXPECT_EQ(iommufd_.Destroy(4).error().code, ENOENT);
}

TEST_F(IommufdTest, TheCompatIoasIsSetAndRead) {
  uint32_t compat = 0;
  calls_.OnIoctl<iommu::VfioIoas>(iommu::kVfioIoas, [&](iommu::VfioIoas& call) {
    EXPECT_EQ(call.size, 12u);
    EXPECT_EQ(call.reserved, 0u);
    if (call.op == iommu::kVfioIoasSet) {
      compat = call.ioas_id;
    } else if (compat == 0) {
      return -ENODEV;
    } else {
      EXPECT_EQ(call.op, iommu::kVfioIoasGet);
      call.ioas_id = compat;
    }
    return 0;
  });
  EXPECT_EQ(iommufd_.GetCompatIoas().error().code, ENODEV);
  EXPECT_TRUE(iommufd_.SetCompatIoas(7).ok());
  EXPECT_EQ(*iommufd_.GetCompatIoas(), 7u);
}

TEST_F(IommufdTest, AllowedRangesArePassedAsTheyAre) {
  const std::array<IovaRange, 2> ranges = {{{0x1000, 0x1fff}, {0x8000, 0xffff}}};
  calls_.OnIoctl<iommu::IoasAllowIovas>(
      iommu::kIoasAllowIovas, [&](const iommu::IoasAllowIovas& call) {
        EXPECT_EQ(call.size, 24u);
        EXPECT_EQ(call.ioas_id, 2u);
        EXPECT_EQ(call.num_iovas, 2u);
        const auto* seen = reinterpret_cast<const iommu::IovaRange*>(call.allowed_iovas);
        EXPECT_EQ(seen[1].start, 0x8000u);
        EXPECT_EQ(seen[1].last, 0xffffu);
        return 0;
      });
  EXPECT_TRUE(iommufd_.AllowIovas(2, ranges).ok());
}

TEST_F(IommufdTest, RangesThatDoNotFitAreCounted) {
  calls_.OnIoctl<iommu::IoasIovaRanges>(iommu::kIoasIovaRanges, [](iommu::IoasIovaRanges& call) {
    EXPECT_EQ(call.size, 32u);
    const uint32_t room = call.num_iovas;
    auto* const out = reinterpret_cast<iommu::IovaRange*>(call.allowed_iovas);
    if (room >= 1) out[0] = {0, 0xfedfffff};
    if (room >= 2) out[1] = {0xfef00000, 0x7fffffffff};
    call.num_iovas = 2;
    call.out_iova_alignment = 4096;
    return room < 2 ? -EMSGSIZE : 0;
  });
  IovaRange ranges[3] = {};
  for (const size_t room : {0, 1, 3}) {
    const auto found = iommufd_.IovaRanges(1, std::span(ranges).first(room));
    ASSERT_TRUE(found.ok()) << room;
    EXPECT_EQ(found->count, 2u);
    EXPECT_EQ(found->alignment, 4096u);
  }
  EXPECT_EQ(ranges[1], (IovaRange{0xfef00000, 0x7fffffffff}));
}

TEST_F(IommufdTest, AFailureToReadRangesIsAnError) {
  calls_.OnIoctl<iommu::IoasIovaRanges>(iommu::kIoasIovaRanges,
                                        [](iommu::IoasIovaRanges&) { return -EFAULT; });
  EXPECT_EQ(iommufd_.IovaRanges(1, {}).error().code, EFAULT);
}

TEST_F(IommufdTest, MapsAtAFixedAddressWithTheAccessAskedFor) {
  iommu::IoasMap seen = {};
  calls_.OnIoctl<iommu::IoasMap>(iommu::kIoasMap, [&](const iommu::IoasMap& call) {
    seen = call;
    return 0;
  });
  EXPECT_TRUE(iommufd_.Map({4, 0x10000}, 0x7f0000000000, 0x2000, kAccessRead).ok());
  EXPECT_EQ(seen.size, 40u);
  EXPECT_EQ(seen.flags, iommu::kIoasMapFixedIova | iommu::kIoasMapReadable);
  EXPECT_EQ(seen.ioas_id, 4u);
  EXPECT_EQ(seen.user_va, 0x7f0000000000u);
  EXPECT_EQ(seen.length, 0x2000u);
  EXPECT_EQ(seen.iova, 0x10000u);
  EXPECT_TRUE(iommufd_.Map({4, 0}, 0, 4096, kAccessRead | kAccessWrite).ok());
  EXPECT_EQ(seen.flags,
            iommu::kIoasMapFixedIova | iommu::kIoasMapReadable | iommu::kIoasMapWriteable);
}

TEST_F(IommufdTest, MapsFiles) {
  iommu::IoasMapFile seen = {};
  calls_.OnIoctl<iommu::IoasMapFile>(iommu::kIoasMapFile, [&](const iommu::IoasMapFile& call) {
    seen = call;
    return 0;
  });
  EXPECT_TRUE(iommufd_.MapFile({4, 0x10000}, 9, 0x3000, 0x1000, kAccessWrite).ok());
  EXPECT_EQ(seen.size, 40u);
  EXPECT_EQ(seen.flags, iommu::kIoasMapFixedIova | iommu::kIoasMapWriteable);
  EXPECT_EQ(seen.ioas_id, 4u);
  EXPECT_EQ(seen.fd, 9);
  EXPECT_EQ(seen.start, 0x3000u);
  EXPECT_EQ(seen.length, 0x1000u);
  EXPECT_EQ(seen.iova, 0x10000u);
}

TEST_F(IommufdTest, CopiesFromOneSpaceToAnother) {
  iommu::IoasCopy seen = {};
  calls_.OnIoctl<iommu::IoasCopy>(iommu::kIoasCopy, [&](const iommu::IoasCopy& call) {
    seen = call;
    return 0;
  });
  EXPECT_TRUE(iommufd_.Copy({5, 0x1000}, {6, 0x8000}, 0x2000, kAccessRead).ok());
  EXPECT_EQ(seen.size, 40u);
  EXPECT_EQ(seen.flags, iommu::kIoasMapFixedIova | iommu::kIoasMapReadable);
  EXPECT_EQ(seen.dst_ioas_id, 5u);
  EXPECT_EQ(seen.src_ioas_id, 6u);
  EXPECT_EQ(seen.dst_iova, 0x1000u);
  EXPECT_EQ(seen.src_iova, 0x8000u);
  EXPECT_EQ(seen.length, 0x2000u);
}

TEST_F(IommufdTest, UnmapTellsHowMuchItWas) {
  calls_.OnIoctl<iommu::IoasUnmap>(iommu::kIoasUnmap, [](iommu::IoasUnmap& call) {
    EXPECT_EQ(call.size, 24u);
    EXPECT_EQ(call.ioas_id, 4u);
    if (call.iova != 0x1000) return -ENOENT;
    EXPECT_EQ(call.length, 0x4000u);
    call.length = 0x2000;
    return 0;
  });
  EXPECT_EQ(*iommufd_.Unmap({4, 0x1000}, 0x4000), 0x2000u);
  EXPECT_EQ(iommufd_.Unmap({4, 0x9000}, 0x4000).error().code, ENOENT);
}

TEST_F(IommufdTest, PageTablesAreAskedForWithFlagsAndData) {
  const std::array<std::byte, 8> data = {};
  iommu::HwptAlloc seen = {};
  calls_.OnIoctl<iommu::HwptAlloc>(iommu::kHwptAlloc, [&](iommu::HwptAlloc& call) {
    seen = call;
    call.out_hwpt_id = 12;
    return 0;
  });
  const auto made = iommufd_.AllocHwpt({.device = 2,
                                        .parent = 1,
                                        .flags = iommu::kHwptAllocDirtyTracking,
                                        .data_type = iommu::kHwptDataVtdS1,
                                        .data = data});
  EXPECT_EQ(*made, 12u);
  EXPECT_EQ(seen.size, 48u);
  EXPECT_EQ(seen.flags, iommu::kHwptAllocDirtyTracking);
  EXPECT_EQ(seen.dev_id, 2u);
  EXPECT_EQ(seen.pt_id, 1u);
  EXPECT_EQ(seen.data_type, iommu::kHwptDataVtdS1);
  EXPECT_EQ(seen.data_len, 8u);
  EXPECT_EQ(seen.data_uptr, reinterpret_cast<uint64_t>(data.data()));
}

TEST_F(IommufdTest, HardwareIsDescribed) {
  std::array<std::byte, 16> data = {};
  uint64_t capabilities = 0;
  calls_.OnIoctl<iommu::HwInfo>(iommu::kGetHwInfo, [&](iommu::HwInfo& call) {
    EXPECT_EQ(call.size, 40u);
    EXPECT_EQ(call.dev_id, 2u);
    EXPECT_EQ(call.data_len, 16u);
    call.data_len = 24;
    call.out_data_type = iommu::kHwInfoTypeIntelVtd;
    call.out_max_pasid_log2 = 20;
    call.out_capabilities = capabilities;
    return 0;
  });
  const auto without = iommufd_.GetHwInfo(2, data);
  EXPECT_EQ(without->data_type, iommu::kHwInfoTypeIntelVtd);
  EXPECT_EQ(without->data_length, 24u);
  EXPECT_EQ(without->max_pasid_log2, 20);
  EXPECT_FALSE(without->can_track_dirty_pages());
  capabilities = iommu::kHwCapDirtyTracking | iommu::kHwCapPciPasidExec;
  EXPECT_TRUE(iommufd_.GetHwInfo(2, data)->can_track_dirty_pages());
}

TEST_F(IommufdTest, DirtyTrackingIsSwitchedAndRead) {
  calls_.OnIoctl<iommu::HwptSetDirtyTracking>(
      iommu::kHwptSetDirtyTracking, [](const iommu::HwptSetDirtyTracking& call) {
        EXPECT_EQ(call.size, 16u);
        EXPECT_EQ(call.hwpt_id, 12u);
        return call.flags == iommu::kHwptDirtyTrackingEnable ? 0 : -EBUSY;
      });
  EXPECT_TRUE(iommufd_.SetDirtyTracking(12, true).ok());
  EXPECT_EQ(iommufd_.SetDirtyTracking(12, false).error().code, EBUSY);

  iommu::HwptGetDirtyBitmap seen = {};
  calls_.OnIoctl<iommu::HwptGetDirtyBitmap>(iommu::kHwptGetDirtyBitmap,
                                            [&](const iommu::HwptGetDirtyBitmap& call) {
                                              seen = call;
                                              return 0;
                                            });
  const DirtyRange range = {.iova = 1, .length = 2, .page_size = 3, .bitmap = 4};
  EXPECT_TRUE(iommufd_.GetDirtyBitmap(12, range, true).ok());
  EXPECT_EQ(seen.size, 48u);
  EXPECT_EQ(seen.hwpt_id, 12u);
  EXPECT_EQ(seen.flags, 0u);
  EXPECT_EQ(seen.iova, 1u);
  EXPECT_EQ(seen.length, 2u);
  EXPECT_EQ(seen.page_size, 3u);
  EXPECT_EQ(seen.data, 4u);
  EXPECT_TRUE(iommufd_.GetDirtyBitmap(12, range, false).ok());
  EXPECT_EQ(seen.flags, iommu::kHwptGetDirtyBitmapNoClear);
}

TEST_F(IommufdTest, OptionsAreSetAndRead) {
  uint64_t value = 0;
  calls_.OnIoctl<iommu::Option>(iommu::kOption, [&](iommu::Option& call) {
    EXPECT_EQ(call.size, 24u);
    EXPECT_EQ(call.option_id, iommu::kOptionHugePages);
    EXPECT_EQ(call.object_id, 3u);
    if (call.op == iommu::kOptionOpSet) {
      value = call.val64;
    } else {
      call.val64 = value;
    }
    return 0;
  });
  EXPECT_TRUE(iommufd_.SetOption(iommu::kOptionHugePages, 3, 1).ok());
  EXPECT_EQ(*iommufd_.GetOption(iommu::kOptionHugePages, 3), 1u);
}

TEST_F(IommufdTest, PageSizesAndCoherencyComeFromTheLegacyCalls) {
  calls_.OnIoctl<abi::Type1Info>(abi::kIommuGetInfo, [](abi::Type1Info& info) {
    EXPECT_EQ(info.argsz, sizeof(info));
    info.iova_pgsizes = 0x40201000;
    return 0;
  });
  long extension = 1;
  calls_.OnValueIoctl(abi::kCheckExtension, [&](long argument) {
    EXPECT_EQ(argument, abi::kDmaCcIommu);
    return extension;
  });
  EXPECT_EQ(*iommufd_.PageSizes(), 0x40201000u);
  EXPECT_TRUE(*iommufd_.EnforcesCacheCoherency());
  extension = 0;
  EXPECT_FALSE(*iommufd_.EnforcesCacheCoherency());
  extension = -ENODEV;
  EXPECT_EQ(iommufd_.EnforcesCacheCoherency().error().code, ENODEV);
}

TEST_F(IommufdTest, InterruptedCallsAreMadeAgain) {
  for (const int code : {EINTR, EAGAIN}) {
    int interruptions = 3;
    calls_.OnIoctl<iommu::IoasAlloc>(iommu::kIoasAlloc, [&](iommu::IoasAlloc& call) {
      call.out_ioas_id = 3;
      return interruptions-- > 0 ? -code : 0;
    });
    EXPECT_EQ(*iommufd_.AllocIoas(), 3u);
  }
}

TEST_F(IommufdTest, CallsThatAreInterruptedForEverEnd) {
  calls_.OnIoctl<iommu::IoasAlloc>(iommu::kIoasAlloc, [](iommu::IoasAlloc&) { return -EINTR; });
  EXPECT_EQ(iommufd_.AllocIoas().error().code, EINTR);
  EXPECT_EQ(calls_.made.size(), static_cast<size_t>(kMaxAttempts));
}

TEST_F(IommufdTest, EveryRefusalIsReported) {
  EXPECT_EQ(iommufd_.AllocIoas().error().code, ENOTTY);
  EXPECT_EQ(iommufd_.Destroy(1).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.SetCompatIoas(1).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.GetCompatIoas().error().code, ENOTTY);
  EXPECT_EQ(iommufd_.AllowIovas(1, {}).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.IovaRanges(1, {}).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.Map({1, 0}, 0, 0, 0).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.MapFile({1, 0}, 0, 0, 0, 0).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.Copy({1, 0}, {2, 0}, 0, 0).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.Unmap({1, 0}, 0).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.AllocHwpt({.device = 1, .parent = 1}).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.GetHwInfo(1, {}).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.SetDirtyTracking(1, true).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.GetDirtyBitmap(1, {}, true).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.SetOption(1, 0, 0).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.GetOption(1, 0).error().code, ENOTTY);
  EXPECT_EQ(iommufd_.PageSizes().error().code, ENOTTY);
}

}  // namespace
}  // namespace ioas::kernel
