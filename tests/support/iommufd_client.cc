#include "tests/support/iommufd_client.h"

#include <sys/ioctl.h>

#include <cstddef>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"

namespace tests {

namespace abi = compat::abi;
namespace iommufd = compat::abi::iommufd;

namespace {

constexpr uint32_t kMapFlags =
    iommufd::kIoasMapFixedIova | iommufd::kIoasMapReadable | iommufd::kIoasMapWriteable;

}  // namespace

uint32_t NewIoas(int iommufd) {
  iommufd::IoasAlloc ioas = {};
  ioas.size = sizeof(ioas);
  return ioctl(iommufd, iommufd::kIoasAlloc, &ioas) == 0 ? ioas.out_ioas_id : 0;
}

uint32_t NewPageTable(int iommufd, uint32_t device, uint32_t ioas, bool for_pasids) {
  iommufd::HwptAlloc table = {};
  table.flags = for_pasids ? iommufd::kHwptAllocPasid : 0;
  table.size = sizeof(table);
  table.dev_id = device;
  table.pt_id = ioas;
  return ioctl(iommufd, iommufd::kHwptAlloc, &table) == 0 ? table.out_hwpt_id : 0;
}

uint32_t LegacyIoas(int iommufd) {
  iommufd::VfioIoas command = {};
  command.size = sizeof(command);
  command.op = iommufd::kVfioIoasGet;
  return ioctl(iommufd, iommufd::kVfioIoas, &command) == 0 ? command.ioas_id : 0;
}

uint32_t Bind(int iommufd, int device) {
  abi::DeviceBindIommufd bind = {sizeof(bind), 0, iommufd, 0};
  return ioctl(device, abi::kDeviceBindIommufd, &bind) == 0 ? bind.out_devid : 0;
}

uint32_t AttachToNewIoas(int iommufd, int device) {
  if (Bind(iommufd, device) == 0) return 0;
  const uint32_t ioas = NewIoas(iommufd);
  return ioas != 0 && Attach(device, ioas) ? ioas : 0;
}

bool Attach(int device, uint32_t table) {
  abi::DeviceAttachIommufdPt attach = {};
  // As kernels before PASIDs know it.
  attach.argsz = offsetof(abi::DeviceAttachIommufdPt, pasid);
  attach.pt_id = table;
  return ioctl(device, abi::kDeviceAttachIommufdPt, &attach) == 0;
}

bool AttachPasid(int device, uint32_t pasid, uint32_t table) {
  abi::DeviceAttachIommufdPt attach = {sizeof(attach), abi::kDeviceAttachPasid, table, pasid};
  return ioctl(device, abi::kDeviceAttachIommufdPt, &attach) == 0;
}

bool DetachPasid(int device, uint32_t pasid) {
  abi::DeviceDetachIommufdPt detach = {sizeof(detach), abi::kDeviceDetachPasid, pasid};
  return ioctl(device, abi::kDeviceDetachIommufdPt, &detach) == 0;
}

bool MapMemory(int iommufd, uint32_t ioas, const void* memory, uint64_t iova, uint64_t size) {
  iommufd::IoasMap map = {};
  map.size = sizeof(map);
  map.flags = kMapFlags;
  map.ioas_id = ioas;
  map.user_va = reinterpret_cast<uint64_t>(memory);
  map.length = size;
  map.iova = iova;
  return ioctl(iommufd, iommufd::kIoasMap, &map) == 0;
}

bool MapFile(int iommufd, uint32_t ioas, int file, uint64_t start, uint64_t iova, uint64_t size) {
  iommufd::IoasMapFile map = {sizeof(map), kMapFlags, ioas, file, start, size, iova};
  return ioctl(iommufd, iommufd::kIoasMapFile, &map) == 0;
}

bool UnmapIoas(int iommufd, uint32_t ioas, uint64_t iova, uint64_t size) {
  iommufd::IoasUnmap unmap = {sizeof(unmap), ioas, iova, size};
  return ioctl(iommufd, iommufd::kIoasUnmap, &unmap) == 0 && unmap.length == size;
}

bool ChangeProcess(int iommufd) {
  iommufd::IoasChangeProcess change = {sizeof(change), 0};
  return ioctl(iommufd, iommufd::kIoasChangeProcess, &change) == 0;
}

}  // namespace tests
