#include "compat/preload/kvm.h"

#include <cerrno>
#include <span>

#include "compat/preload/answer.h"
#include "compat/preload/next.h"
#include "compat/preload/own_memory.h"
#include "compat/preload/process_host.h"
#include "ioas/base/system_call.h"

namespace compat::preload {
namespace {

// struct kvm_device_attr.
struct KvmDeviceAttr {
  uint32_t flags;
  uint32_t group;
  uint64_t attr;
  uint64_t addr;
};
constexpr uint32_t kKvmDevVfioFile = 1;  // KVM_DEV_VFIO_GROUP is its old name
constexpr uint64_t kKvmDevVfioFileAdd = 1;
constexpr uint64_t kKvmDevVfioFileDel = 2;

struct Forwarding {
  int kvm_fd;
  uint64_t attr;
};

ioas::Status TellKvm(void* state, int device_fd) {
  const auto& forwarding = *static_cast<Forwarding*>(state);
  const int32_t file = device_fd;
  KvmDeviceAttr attr = {.flags = 0,
                        .group = kKvmDevVfioFile,
                        .attr = forwarding.attr,
                        .addr = reinterpret_cast<uint64_t>(&file)};
  const long result = ioas::SystemCall(SYS_ioctl, forwarding.kvm_fd, kKvmSetDeviceAttr, &attr);
  if (result < 0) return ioas::Error{static_cast<int>(-result), "KVM does not take the device"};
  return {};
}

// The group's descriptor that the call names; -1 if it is another call, or none of the library's.
int GroupOf(const KvmDeviceAttr& attr) {
  if (attr.group != kKvmDevVfioFile ||
      (attr.attr != kKvmDevVfioFileAdd && attr.attr != kKvmDevVfioFileDel)) {
    return -1;
  }
  int32_t fd = -1;
  OwnMemory memory;
  if (!memory.Read(attr.addr, std::as_writable_bytes(std::span(&fd, 1))).ok()) return -1;
  const uint32_t slot = VerifiedSlotOf(fd);
  if (slot == 0) return -1;
  return OpenedHost()->files().slot(slot).Load().kind == decode::DescriptorKind::kGroup ? fd : -1;
}

}  // namespace

int SetKvmDeviceAttr(int fd, uint64_t argument) {
  const int saved_errno = errno;
  vfio::Host* const host = OpenedHost();
  KvmDeviceAttr attr = {};
  OwnMemory memory;
  const bool is_readable =
      host != nullptr && memory.Read(argument, std::as_writable_bytes(std::span(&attr, 1))).ok();
  const int group = is_readable ? GroupOf(attr) : -1;
  errno = saved_errno;
  if (group < 0) {
    return Next<"ioctl", int(int, unsigned long, ...)>()(fd, kKvmSetDeviceAttr, argument);
  }
  Forwarding forwarding = {.kvm_fd = fd, .attr = attr.attr};
  const vfio::Host::Lock lock(*host);
  const ioas::Status told =
      host->platform().ShareWithKvm(group, attr.attr == kKvmDevVfioFileAdd, TellKvm, &forwarding);
  if (!told.ok()) return Fail("KVM_SET_DEVICE_ATTR", fd, told.error());
  return 0;
}

}  // namespace compat::preload
