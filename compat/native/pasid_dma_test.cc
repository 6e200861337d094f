// What accesses with PASIDs reach, driven as a program would.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <thread>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/abi/vfio_device.h"
#include "compat/native/attached.h"
#include "compat/native/context.h"
#include "compat/native/pasid_fixture.h"
#include "ioas/soft/page_requests.h"

namespace compat::native {
namespace {

using ioas::soft::DmaEngineStatus;
using soft::TestHost;

class PasidDmaTest : public PasidFixture {
 protected:
  // The device's own addresses begin in page 0 of memory_, those of PASID 1 in page 8, of PASID 2
  // in page 16.
  PasidDmaTest() : own_(NewTable(kForPasids, 0)), first_(NewTable(kForPasids, 8)) {
    EXPECT_EQ(AttachDevice(cdev_, own_), 0);
    EXPECT_EQ(AttachTo(cdev_, 1, first_), 0);
    EXPECT_EQ(AttachTo(cdev_, 2, NewTable(kForPasids, 16)), 0);
    At(0) = std::byte{7};
  }

  // A page table with a queue of page requests.
  uint32_t NewAskingTable(uint64_t page, uint32_t& fault, int& fd) {
    iommufd::FaultAlloc queue = {};
    EXPECT_EQ(Call(iommufd::kFaultQueueAlloc, queue), 0);
    fault = queue.out_fault_id;
    fd = static_cast<int>(queue.out_fault_fd);
    asking_ioas_ = NewIoas();
    EXPECT_EQ(Map(asking_ioas_, 0, kPage, page * kPage), 0);
    iommufd::HwptAlloc command = {};
    command.flags = kForPasids | iommufd::kHwptFaultIdValid;
    command.dev_id = device_;
    command.pt_id = asking_ioas_;
    command.fault_id = fault;
    EXPECT_EQ(Call(iommufd::kHwptAlloc, command), 0);
    return command.out_hwpt_id;
  }
  static bool WaitFor(int fd) {
    pollfd wait = {fd, POLLIN, 0};
    return poll(&wait, 1, 20000) == 1;
  }

  uint32_t own_;
  uint32_t first_;
  uint32_t asking_ioas_ = 0;
};

TEST_F(PasidDmaTest, EachReachesItsOwnAddressSpace) {
  EXPECT_EQ(CopyTo(0, 10), DmaEngineStatus::kDone);
  EXPECT_EQ(At(0, 10), std::byte{7});
  EXPECT_EQ(CopyTo(1, 10), DmaEngineStatus::kDone);
  EXPECT_EQ(At(8, 10), std::byte{7});
  EXPECT_EQ(At(16, 10), std::byte{0});
  At(8, 11) = std::byte{8};
  BeginCopy(1, 10, 2, 20, 2);
  EXPECT_EQ(EndCopy(), DmaEngineStatus::kDone);
  EXPECT_EQ(At(16, 20), std::byte{7});
  EXPECT_EQ(At(16, 21), std::byte{8});
}

TEST_F(PasidDmaTest, TheEndIsAnInterrupt) {
  const int event = eventfd(0, EFD_CLOEXEC);
  struct {
    abi::IrqSet set;
    int32_t descriptor;
  } trigger = {{.argsz = sizeof(trigger),
                .flags = abi::kIrqSetDataEventfd | abi::kIrqSetActionTrigger,
                .index = abi::kPciMsixIrqIndex,
                .start = 0,
                .count = 1},
               event};
  ASSERT_EQ(host_.Ioctl(cdev_, abi::kDeviceSetIrqs, &trigger), 0);
  BeginCopy(0, 0, 1, 10, 1);
  ASSERT_TRUE(WaitFor(event));
  EXPECT_EQ(EndCopy(), DmaEngineStatus::kDone);
  close(event);
}

TEST_F(PasidDmaTest, WhatIsNotAttachedFaultsAndTheRestGoesOn) {
  EXPECT_EQ(CopyTo(3, 0x10), DmaEngineStatus::kDestinationFault);
  ioas::soft::FaultRecord fault;
  ASSERT_EQ(Faults().Copy({&fault, 1}), 1u);
  EXPECT_EQ(fault.pasid, 3u);
  EXPECT_EQ(fault.iova, 0x10u);
  EXPECT_EQ(fault.reason, ioas::soft::FaultReason::kBlocked);
  ASSERT_EQ(DetachPasid(cdev_, 1), 0);
  EXPECT_EQ(CopyTo(1, 10), DmaEngineStatus::kDestinationFault);
  EXPECT_EQ(CopyTo(2, 10), DmaEngineStatus::kDone);
  ASSERT_EQ(Detach(cdev_), 0);
  EXPECT_EQ(CopyTo(2, 10), DmaEngineStatus::kSourceFault);
  BeginCopy(2, 0, 2, 10, 1);
  EXPECT_EQ(EndCopy(), DmaEngineStatus::kDone);
}

// A drive's attachment is the group's, and so the engine's that is in it.
TEST_F(PasidDmaTest, TheGroupFollows) {
  uint32_t id = 0;
  const int drive = OpenAndBind(1, id);
  host_.Close(cdev_);
  cdev_ = OpenAndBind(TestHost::kMixedEngine, id);
  Enable(cdev_);
  ASSERT_EQ(AttachTo(drive, 99, first_), 0);
  BeginCopy(99, 0, 99, 10, 1);
  EXPECT_EQ(EndCopy(), DmaEngineStatus::kDone);
  ASSERT_EQ(AttachTo(cdev_, 99, first_), 0);
  ASSERT_EQ(DetachPasid(drive, 99), 0);
  BeginCopy(99, 0, 99, 10, 1);
  EXPECT_EQ(EndCopy(), DmaEngineStatus::kDone);
  ASSERT_EQ(DetachPasid(cdev_, 99), 0);
  BeginCopy(99, 0, 99, 10, 1);
  EXPECT_EQ(EndCopy(), DmaEngineStatus::kSourceFault);
}

TEST_F(PasidDmaTest, ReplacingUnderRunningDmaLosesNoAccess) {
  const uint32_t other = NewTable(kForPasids, 24);
  std::atomic<bool> stop{false};
  std::atomic<bool> failed{false};
  std::atomic<uint32_t> replaced{0};
  std::thread replacer([&] {
    for (uint32_t i = 0; !stop; ++i) {
      uint32_t table = i % 2 == 0 ? other : first_;
      if (AttachPasid(cdev_, 1, table) != 0) failed = true;
      ++replaced;
    }
  });
  uint32_t copies = 0;
  while (copies < 300 || replaced < 300) {
    EXPECT_EQ(CopyTo(1, 100, 2 * kPage), DmaEngineStatus::kDone);
    ++copies;
  }
  stop = true;
  replacer.join();
  EXPECT_FALSE(failed);
  EXPECT_EQ(Faults().total(), 0u);
  EXPECT_EQ(At(8, 100), std::byte{7});
  EXPECT_EQ(At(24, 100), std::byte{7});
}

TEST_F(PasidDmaTest, AProgramAnswersForAPasid) {
  uint32_t fault = 0;
  int fd = -1;
  const uint32_t table = NewAskingTable(24, fault, fd);
  ASSERT_EQ(AttachTo(cdev_, 5, table), 0);
  BeginCopy(0, 0, 5, kPage + 3, 1);
  ASSERT_TRUE(WaitFor(fd));
  iommufd::HwptPgfault request = {};
  ASSERT_EQ(host_.ReadNext(fd, &request, sizeof(request)), static_cast<long>(sizeof(request)));
  EXPECT_EQ(request.flags, iommufd::kPgfaultFlagsPasidValid | iommufd::kPgfaultFlagsLastPage);
  EXPECT_EQ(request.pasid, 5u);
  EXPECT_EQ(request.dev_id, device_);
  EXPECT_EQ(request.addr, kPage);
  EXPECT_EQ(request.perm, iommufd::kPgfaultPermWrite);
  ASSERT_EQ(Map(asking_ioas_, kPage, kPage, 30 * kPage), 0);
  const iommufd::HwptPageResponse response = {request.cookie, iommufd::kPageRespSuccess};
  ASSERT_EQ(host_.WriteNext(fd, &response, sizeof(response)), static_cast<long>(sizeof(response)));
  EXPECT_EQ(EndCopy(), DmaEngineStatus::kDone);
  EXPECT_EQ(At(30, 3), std::byte{7});
}

TEST_F(PasidDmaTest, DetachingAndReplacingDenyWhatThatPasidAskedFor) {
  uint32_t fault = 0;
  int fd = -1;
  const uint32_t table = NewAskingTable(24, fault, fd);
  ASSERT_EQ(AttachTo(cdev_, 5, table), 0);
  ASSERT_EQ(AttachTo(cdev_, 6, table), 0);
  const auto raise = [&](uint32_t pasid) {
    const Context context({host_.host(),
                           host_.host().arena().Get(ioas::ArenaRef<ContextState>{
                               host_.host().state().devices[3].context})[0],
                           host_.Slot(iommufd_)});
    ioas::soft::PageRequests(host_.host().arena().Get(context.FindFault(fault)->requests))
        .Raise({.device = device_,
                .has_pasid = 1,
                .pasid = pasid,
                .group = 0,
                .access = 1,
                .address = 0x5000,
                .attachment = pasid});
  };
  const auto next = [&] {
    iommufd::HwptPgfault request = {};
    return host_.ReadNext(fd, &request, sizeof(request)) > 0 ? request.pasid : 0;
  };
  raise(5);
  raise(6);
  ASSERT_EQ(DetachPasid(cdev_, 5), 0);
  EXPECT_EQ(next(), 6u);
  EXPECT_EQ(next(), 0u);
  raise(6);
  ASSERT_EQ(AttachTo(cdev_, 6, first_), 0);
  EXPECT_EQ(next(), 0u);
  // A device that waits is told at once.
  ASSERT_EQ(AttachTo(cdev_, 5, table), 0);
  BeginCopy(0, 0, 5, kPage + 3, 1);
  ASSERT_TRUE(WaitFor(fd));
  ASSERT_EQ(DetachPasid(cdev_, 5), 0);
  EXPECT_EQ(EndCopy(), DmaEngineStatus::kDestinationFault);
  EXPECT_EQ(next(), 0u);
}

// The device's address 0 is page 2 of the parent by the program's own table.
TEST_F(PasidDmaTest, ANestedTableIsReachedByPasid) {
  const uint32_t parent = NewTable(iommufd::kHwptAllocNestParent, 32);
  const iommufd::HwptSoftTce tces = {.table = 0,
                                     .window_start = 0,
                                     .entries = 1,
                                     .page_shift = 12,
                                     .levels = 1,
                                     .flags = 0,
                                     .reserved = 0};
  iommufd::HwptAlloc command = {};
  command.flags = kForPasids;
  command.dev_id = device_;
  command.pt_id = parent;
  command.data_type = iommufd::kHwptDataSoftTce;
  command.data_len = sizeof(tces);
  command.data_uptr = reinterpret_cast<uint64_t>(&tces);
  ASSERT_EQ(Call(iommufd::kHwptAlloc, command), 0);
  const uint32_t nested = command.out_hwpt_id;
  const uint64_t entry = __builtin_bswap64(2 * kPage | 3);
  std::memcpy(&At(32), &entry, sizeof(entry));
  ASSERT_EQ(AttachTo(cdev_, 9, nested), 0);
  EXPECT_EQ(Destroy(nested), -EBUSY);
  EXPECT_EQ(CopyTo(9, 5), DmaEngineStatus::kDone);
  EXPECT_EQ(At(34, 5), std::byte{7});
  EXPECT_EQ(CopyTo(9, kPage), DmaEngineStatus::kDestinationFault);
  // One that was made without the flag is not for them.
  command.flags = 0;
  ASSERT_EQ(Call(iommufd::kHwptAlloc, command), 0);
  EXPECT_EQ(AttachTo(cdev_, 9, command.out_hwpt_id), -EINVAL);
  EXPECT_EQ(CopyTo(9, 6), DmaEngineStatus::kDone);
  ASSERT_EQ(DetachPasid(cdev_, 9), 0);
  EXPECT_EQ(Destroy(nested), 0);
}

TEST_F(PasidDmaTest, WhatIsWrittenByPasidIsInItsOwnBitmap) {
  const uint32_t table = NewTable(kForPasids | iommufd::kHwptAllocDirtyTracking, 40);
  ASSERT_EQ(AttachTo(cdev_, 9, table), 0);
  iommufd::HwptSetDirtyTracking tracking = {};
  tracking.hwpt_id = table;
  tracking.flags = iommufd::kHwptDirtyTrackingEnable;
  ASSERT_EQ(Call(iommufd::kHwptSetDirtyTracking, tracking), 0);
  EXPECT_EQ(CopyTo(9, 2 * kPage), DmaEngineStatus::kDone);
  EXPECT_EQ(CopyTo(1, kPage), DmaEngineStatus::kDone);
  uint64_t bits = 0;
  iommufd::HwptGetDirtyBitmap bitmap = {};
  bitmap.hwpt_id = table;
  bitmap.length = 4 * kPage;
  bitmap.page_size = kPage;
  bitmap.data = reinterpret_cast<uint64_t>(&bits);
  ASSERT_EQ(Call(iommufd::kHwptGetDirtyBitmap, bitmap), 0);
  EXPECT_EQ(bits, uint64_t{1} << 2);
}

// A process dies between what it noted and what it told the devices.
TEST_F(PasidDmaTest, ADeathInTheMiddleIsPutRight) {
  const uint32_t unit = host_.host().state().devices[TestHost::kEngine].context;
  const pid_t child = host_.Fork();
  if (child == 0) {
    vfio::Host& host = host_.host();
    ContextState& state = *host.arena().Get(ioas::ArenaRef<ContextState>{unit});
    const Context context({host, state, state.slot});
    DeviceObject& device = *context.FindDevice(device_);
    const bool noted = SetTable(context, device, 5, first_).ok() &&
                       SetTable(context, device, 2, 0).ok() &&
                       MoveGroup(context, device_, 6, first_).ok();
    _exit(noted ? 0 : 1);  // with the lock
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  NewIoas();
  EXPECT_EQ(CopyTo(5, 10), DmaEngineStatus::kDone);
  EXPECT_EQ(At(8, 10), std::byte{7});
  EXPECT_EQ(CopyTo(1, 11), DmaEngineStatus::kDone);
  EXPECT_EQ(CopyTo(2, 12), DmaEngineStatus::kDestinationFault);
  EXPECT_EQ(CopyTo(6, 13), DmaEngineStatus::kDestinationFault);
  EXPECT_EQ(CopyTo(0, 14), DmaEngineStatus::kDone);
  ASSERT_EQ(DetachPasid(cdev_, 1), 0);
  EXPECT_EQ(Destroy(first_), -EBUSY);
  ASSERT_EQ(DetachPasid(cdev_, 5), 0);
  EXPECT_EQ(Destroy(first_), 0);
}

}  // namespace
}  // namespace compat::native
