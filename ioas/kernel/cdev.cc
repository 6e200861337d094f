#include "ioas/kernel/cdev.h"

#include <fcntl.h>

#include <cstddef>
#include <cstdio>

#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/kernel/device_call.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi;

Error ErrorOf(long result, const char* reason) { return {static_cast<int>(-result), reason}; }

// Without `pasid`, which kernels before 6.15 do not know.
constexpr uint32_t kAttachSize = offsetof(abi::DeviceAttachIommufdPt, pasid);
constexpr uint32_t kDetachSize = offsetof(abi::DeviceDetachIommufdPt, pasid);

}  // namespace

Result<OwnedDescriptor> Cdev::Open(SystemCalls& calls, uint32_t number) {
  char path[40];
  std::snprintf(path, sizeof(path), "/dev/vfio/devices/vfio%u", number);
  const long fd = calls(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) return ErrorOf(fd, "the device's node cannot be opened");
  return OwnedDescriptor(calls, static_cast<int>(fd));
}

Result<uint32_t> Cdev::Bind(int iommufd) const {
  abi::DeviceBindIommufd call = {};
  call.argsz = sizeof(call);
  call.iommufd = iommufd;
  const long result = DeviceCall(*calls_, fd_, abi::kDeviceBindIommufd, &call);
  if (result < 0) return ErrorOf(result, "the kernel does not bind the device");
  return call.out_devid;
}

Result<uint32_t> Cdev::Attach(uint32_t page_table) const {
  abi::DeviceAttachIommufdPt call = {};
  call.argsz = kAttachSize;
  call.pt_id = page_table;
  const long result = DeviceCall(*calls_, fd_, abi::kDeviceAttachIommufdPt, &call);
  if (result < 0) return ErrorOf(result, "the kernel does not attach the device");
  return call.pt_id;
}

Status Cdev::Detach() const {
  abi::DeviceDetachIommufdPt call = {};
  call.argsz = kDetachSize;
  const long result = DeviceCall(*calls_, fd_, abi::kDeviceDetachIommufdPt, &call);
  if (result < 0) return ErrorOf(result, "the kernel does not detach the device");
  return {};
}

}  // namespace ioas::kernel
