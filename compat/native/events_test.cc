// Queues of page requests and of events, and vIOMMUs, driven as a program would.
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/native/context.h"
#include "compat/native/native_fixture.h"
#include "ioas/soft/dma.h"
#include "ioas/soft/page_requests.h"

namespace compat::native {
namespace {

class EventsTest : public ParentFixture {
 protected:
  long NewFaultQueue(uint32_t& id, int& fd) {
    iommufd::FaultAlloc command = {};
    const long result = Call(iommufd::kFaultQueueAlloc, command);
    id = command.out_fault_id;
    fd = static_cast<int>(command.out_fault_fd);
    return result;
  }
  long NewViommu(uint32_t& id, uint32_t type = iommufd::kViommuTypeSoft) {
    iommufd::ViommuAlloc command = {};
    command.type = type;
    command.dev_id = device_;
    command.hwpt_id = parent_;
    const long result = Call(iommufd::kViommuAlloc, command);
    if (result == 0) id = command.out_viommu_id;
    return result;
  }
  long NewVdevice(uint32_t viommu, uint32_t device, uint64_t virt_id, uint32_t& id) {
    iommufd::VdeviceAlloc command = {};
    command.viommu_id = viommu;
    command.dev_id = device;
    command.virt_id = virt_id;
    const long result = Call(iommufd::kVdeviceAlloc, command);
    if (result == 0) id = command.out_vdevice_id;
    return result;
  }
  long NewVeventq(uint32_t viommu, uint32_t depth, uint32_t& id, int& fd,
                  uint32_t type = iommufd::kVeventqTypeSoft) {
    iommufd::VeventqAlloc command = {};
    command.viommu_id = viommu;
    command.type = type;
    command.veventq_depth = depth;
    const long result = Call(iommufd::kVeventqAlloc, command);
    if (result != 0) return result;
    id = command.out_veventq_id;
    fd = static_cast<int>(command.out_veventq_fd);
    return 0;
  }
  // One page table of one level of TCEs, which all lead nowhere.
  long NewTces(uint32_t on, uint32_t& id) {
    const iommufd::HwptSoftTce tces = {.table = 0,
                                       .window_start = 0,
                                       .entries = 512,
                                       .page_shift = 12,
                                       .levels = 1,
                                       .flags = 0,
                                       .reserved = 0};
    return NewNested(device_, on, iommufd::kHwptDataSoftTce, tces, id);
  }
  // The device writes a byte.
  bool DeviceWrites(uint64_t iova) {
    vfio::Host& host = host_.host();
    ioas::Arena arena = host.arena();
    ioas::soft::SoftDeviceState& device = *arena.Get(host.state().devices[0].soft);
    const uint16_t command = 6;
    EXPECT_EQ(host_.Write(cdev_, &command, 2, (uint64_t{abi::kPciConfigRegionIndex} << 40) + 4), 2);
    const ioas::soft::DeviceLock lock(device);
    ioas::soft::SoftDmaPort port(arena, host_.platform().soft(), device, nullptr);
    const ioas::soft::DmaSegment segment = {iova, 1};
    const std::byte byte{1};
    return port.Write({&segment, 1}, &byte).ok();
  }
  static bool IsReadable(int fd) {
    pollfd wait = {fd, POLLIN, 0};
    return poll(&wait, 1, 0) == 1;
  }
};

TEST_F(EventsTest, AFaultQueueIsADescriptorThatKeepsTheObject) {
  uint32_t id = 0;
  int fd = -1;
  ASSERT_EQ(NewFaultQueue(id, fd), 0);
  iommufd::HwptPgfault faults[2] = {};
  EXPECT_FALSE(IsReadable(fd));
  EXPECT_EQ(host_.ReadNext(fd, faults, sizeof(faults)), 0);
  EXPECT_EQ(host_.ReadNext(fd, faults, 39), -ESPIPE);
  EXPECT_EQ(host_.Read(fd, faults, 40, 0), -ESPIPE);
  const iommufd::HwptPageResponse response = {1, 0};
  EXPECT_EQ(host_.WriteNext(fd, &response, sizeof(response)), -EINVAL);
  EXPECT_EQ(host_.WriteNext(fd, &response, 7), -ESPIPE);
  EXPECT_EQ(host_.Ioctl(fd, iommufd::kDestroy, uint64_t{0}), -ENOTTY);
  EXPECT_EQ(Destroy(id), -EBUSY);
  const int copy = host_.Duplicate(fd);
  host_.Close(fd);
  EXPECT_EQ(Destroy(id), -EBUSY);
  host_.Close(copy);
  EXPECT_EQ(Destroy(id), 0);
}

TEST_F(EventsTest, APageTableKeepsTheQueueThatItAsks) {
  uint32_t id = 0;
  int fd = -1;
  ASSERT_EQ(NewFaultQueue(id, fd), 0);
  uint32_t hwpt = 0;
  EXPECT_EQ(
      NewHwpt(device_, ioas_, iommufd::kHwptAllocNestParent | iommufd::kHwptFaultIdValid, hwpt),
      -EOPNOTSUPP);
  // Without the queue's number.
  EXPECT_EQ(NewHwpt(device_, ioas_, iommufd::kHwptFaultIdValid, hwpt), -ENOENT);
  iommufd::HwptAlloc command = {};
  command.flags = iommufd::kHwptFaultIdValid;
  command.dev_id = device_;
  command.pt_id = ioas_;
  command.fault_id = id;
  ASSERT_EQ(Call(iommufd::kHwptAlloc, command), 0);
  host_.Close(fd);
  EXPECT_EQ(Destroy(id), -EBUSY);
  EXPECT_EQ(Destroy(command.out_hwpt_id), 0);
  EXPECT_EQ(Destroy(id), 0);
}

TEST_F(EventsTest, AProgramAnswersWhatADeviceAsksFor) {
  uint32_t id = 0;
  int fd = -1;
  ASSERT_EQ(NewFaultQueue(id, fd), 0);
  iommufd::HwptAlloc command = {};
  command.flags = iommufd::kHwptFaultIdValid;
  command.dev_id = device_;
  command.pt_id = ioas_;
  command.fault_id = id;
  ASSERT_EQ(Call(iommufd::kHwptAlloc, command), 0);
  uint32_t table = command.out_hwpt_id;
  ASSERT_EQ(Attach(cdev_, table), 0);
  // The device in another process waits; this one answers.
  const pid_t child = host_.Fork();
  if (child == 0) _exit(DeviceWrites(64 * kPage + 5) ? 0 : 1);
  pollfd wait = {fd, POLLIN, 0};
  ASSERT_EQ(poll(&wait, 1, 10000), 1);
  iommufd::HwptPgfault fault = {};
  ASSERT_EQ(host_.ReadNext(fd, &fault, sizeof(fault)), 40);
  EXPECT_EQ(fault.dev_id, device_);
  EXPECT_EQ(fault.flags, iommufd::kPgfaultFlagsLastPage);
  EXPECT_EQ(fault.addr, 64 * kPage);
  EXPECT_EQ(fault.perm, iommufd::kPgfaultPermWrite);
  EXPECT_EQ(fault.cookie, 1u);
  EXPECT_FALSE(IsReadable(fd));
  ASSERT_EQ(Map(ioas_, 64 * kPage, kPage), 0);
  const iommufd::HwptPageResponse response = {fault.cookie, iommufd::kPageRespSuccess};
  EXPECT_EQ(host_.WriteNext(fd, &response, sizeof(response)), 8);
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(memory_[5], std::byte{1});
}

TEST_F(EventsTest, AViommuIsOnAParentAndGivesDevicesNumbers) {
  uint32_t viommu = 0;
  uint32_t id = 0;
  EXPECT_EQ(NewViommu(viommu, 0), -EOPNOTSUPP);
  EXPECT_EQ(NewViommu(viommu, 1), -EOPNOTSUPP);
  ASSERT_EQ(NewViommu(viommu), 0);
  EXPECT_EQ(Destroy(parent_), -EBUSY);
  ASSERT_EQ(NewVdevice(viommu, device_, 0x99, id), 0);
  EXPECT_EQ(Destroy(viommu), -EBUSY);
  EXPECT_EQ(NewVdevice(viommu, device_, 0x98, id), -EEXIST);
  const int other = host_.OpenCdev(1);
  uint32_t other_id = 0;
  ASSERT_EQ(Bind(other, other_id), 0);
  EXPECT_EQ(NewVdevice(viommu, other_id, 0x99, id), -EEXIST);
  EXPECT_EQ(NewVdevice(ioas_, other_id, 0x99, id), -ENOENT);
  EXPECT_EQ(NewVdevice(viommu, ioas_, 0x99, id), -ENOENT);
  uint32_t other_vdevice = 0;
  ASSERT_EQ(NewVdevice(viommu, other_id, 0x98, other_vdevice), 0);
  // It goes with its device, and its number is never another's.
  host_.Close(other);
  EXPECT_EQ(Destroy(other_vdevice), -ENOENT);
  EXPECT_EQ(NewIoas(), other_id);
  EXPECT_GT(NewIoas(), other_vdevice);
  EXPECT_EQ(Destroy(id), 0);
  EXPECT_EQ(Destroy(viommu), 0);
  EXPECT_EQ(Destroy(parent_), 0);
}

TEST_F(EventsTest, FaultsBehindAViommuAreEvents) {
  uint32_t viommu = 0;
  uint32_t vdevice = 0;
  uint32_t queue = 0;
  uint32_t table = 0;
  uint32_t id = 0;
  int fd = -1;
  ASSERT_EQ(NewViommu(viommu), 0);
  ASSERT_EQ(NewVdevice(viommu, device_, 0x99, vdevice), 0);
  EXPECT_EQ(NewVeventq(viommu, 0, queue, fd), -EINVAL);
  EXPECT_EQ(NewVeventq(viommu, 1, queue, fd, 0), -EOPNOTSUPP);
  EXPECT_EQ(NewVeventq(parent_, 1, queue, fd), -ENOENT);
  ASSERT_EQ(NewVeventq(viommu, 2, queue, fd), 0);
  EXPECT_EQ(NewVeventq(viommu, 2, id, fd), -EEXIST);
  EXPECT_EQ(NewHwpt(device_, viommu, 0, table), -EOPNOTSUPP);
  ASSERT_EQ(NewTces(viommu, table), 0);
  ASSERT_EQ(Attach(cdev_, table), 0);
  EXPECT_FALSE(IsReadable(fd));
  for (uint64_t i = 0; i < 3; ++i) EXPECT_FALSE(DeviceWrites(i * kPage + 7));
  EXPECT_TRUE(IsReadable(fd));
  struct {
    iommufd::VeventHeader header;
    iommufd::VeventSoft event;
  } events[3] = {};
  EXPECT_EQ(host_.ReadNext(fd, events, 31), 0);
  // The third did not fit, which a header alone tells.
  ASSERT_EQ(host_.ReadNext(fd, events, sizeof(events)), 32 + 32 + 8);
  EXPECT_EQ(events[0].event.virt_id, 0x99u);
  EXPECT_EQ(events[1].event.addr, kPage + 7);
  EXPECT_EQ(events[1].event.perm, iommufd::kPgfaultPermWrite);
  EXPECT_EQ(events[1].event.reason, iommufd::kVeventSoftNotMapped);
  EXPECT_EQ(events[1].header.sequence, 1u);
  EXPECT_EQ(events[2].header.flags, iommufd::kVeventqFlagLostEvents);
  EXPECT_EQ(events[2].header.sequence, 2u);
  EXPECT_FALSE(IsReadable(fd));
  EXPECT_EQ(host_.WriteNext(fd, events, 8), -EINVAL);
  EXPECT_EQ(Destroy(queue), -EBUSY);
  host_.Close(fd);
  EXPECT_EQ(Destroy(queue), 0);
  EXPECT_FALSE(DeviceWrites(0));
  EXPECT_EQ(Destroy(viommu), -EBUSY);
  EXPECT_EQ(Detach(cdev_), 0);
  EXPECT_EQ(Destroy(table), 0);
  EXPECT_EQ(Destroy(vdevice), 0);
  EXPECT_EQ(Destroy(viommu), 0);
}

TEST_F(EventsTest, ThereAreNoHardwareQueues) {
  uint32_t viommu = 0;
  ASSERT_EQ(NewViommu(viommu), 0);
  iommufd::HwQueueAlloc command = {};
  EXPECT_EQ(Call(iommufd::kHwQueueAlloc, command), -EOPNOTSUPP);
  command.type = 1;
  EXPECT_EQ(Call(iommufd::kHwQueueAlloc, command), -EINVAL);
  command.length = 2;
  command.nesting_parent_iova = UINT64_MAX;
  EXPECT_EQ(Call(iommufd::kHwQueueAlloc, command), -EOVERFLOW);
  command.nesting_parent_iova = 0;
  EXPECT_EQ(Call(iommufd::kHwQueueAlloc, command), -ENOENT);
  command.viommu_id = viommu;
  EXPECT_EQ(Call(iommufd::kHwQueueAlloc, command), -EOPNOTSUPP);
}

TEST_F(EventsTest, AnOpenQueueKeepsTheContextAndTheLastCloseFreesAll) {
  host_.Close(cdev_);
  host_.Close(iommufd_);
  iommufd_ = host_.OpenIommufd();
  host_.Close(iommufd_);
  const size_t before = BytesInUse();
  iommufd_ = host_.OpenIommufd();
  BeginParent();
  uint32_t id = 0;
  uint32_t viommu = 0;
  int faults = -1;
  int events = -1;
  ASSERT_EQ(NewFaultQueue(id, faults), 0);
  ASSERT_EQ(NewViommu(viommu), 0);
  ASSERT_EQ(NewVdevice(viommu, device_, 1, id), 0);
  ASSERT_EQ(NewVeventq(viommu, 5, id, events), 0);
  ASSERT_EQ(NewTces(viommu, id), 0);
  ASSERT_EQ(Attach(cdev_, id), 0);
  host_.Close(iommufd_);
  host_.Close(cdev_);
  host_.Close(events);
  iommufd::HwptPgfault fault = {};
  EXPECT_EQ(host_.ReadNext(faults, &fault, sizeof(fault)), 0);
  EXPECT_GT(BytesInUse(), before);
  host_.Close(faults);
  EXPECT_EQ(BytesInUse(), before);
}

// As a process leaves them that dies in a call: counts are wrong.
TEST_F(EventsTest, AContextWhoseHolderDiedCountsAnew) {
  uint32_t fault = 0;
  uint32_t viommu = 0;
  uint32_t vdevice = 0;
  uint32_t table = 0;
  int fd = -1;
  ASSERT_EQ(NewFaultQueue(fault, fd), 0);
  ASSERT_EQ(NewViommu(viommu), 0);
  ASSERT_EQ(NewVdevice(viommu, device_, 1, vdevice), 0);
  ASSERT_EQ(NewTces(viommu, table), 0);
  const pid_t child = host_.Fork();
  if (child == 0) {
    ContextState& state = *host_.host().arena().Get(host_.host().state().contexts);
    const Context context({host_.host(), state, state.slot});
    context.AddUser(viommu);
    context.DropUser(fault);
    context.AddUser(parent_);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_EQ(Destroy(fault), -EBUSY);
  EXPECT_EQ(Destroy(viommu), -EBUSY);
  EXPECT_EQ(Destroy(table), 0);
  EXPECT_EQ(Destroy(vdevice), 0);
  EXPECT_EQ(Destroy(viommu), 0);
  EXPECT_EQ(Destroy(parent_), 0);
  host_.Close(fd);
  EXPECT_EQ(Destroy(fault), 0);
}

}  // namespace
}  // namespace compat::native
