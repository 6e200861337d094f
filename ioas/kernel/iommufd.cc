#include "ioas/kernel/iommufd.h"

#include <fcntl.h>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_numbers.h"
#include "ioas/backend.h"
#include "ioas/kernel/device_call.h"

namespace ioas::kernel {
namespace {

namespace abi = compat::abi;
using namespace compat::abi::iommufd;  // NOLINT(google-build-using-namespace): its names, alone

// So that ranges need not be copied.
static_assert(sizeof(ioas::IovaRange) == sizeof(abi::iommufd::IovaRange));
static_assert(offsetof(ioas::IovaRange, first) == offsetof(abi::iommufd::IovaRange, start));
static_assert(offsetof(ioas::IovaRange, last) == offsetof(abi::iommufd::IovaRange, last));

Error ErrorOf(long result, const char* reason) { return {static_cast<int>(-result), reason}; }

uint64_t AddressOf(const void* pointer) { return reinterpret_cast<uint64_t>(pointer); }

uint32_t AccessFlags(uint32_t access) {
  return ((access & kAccessRead) != 0 ? kIoasMapReadable : 0) |
         ((access & kAccessWrite) != 0 ? kIoasMapWriteable : 0);
}

uint32_t MapFlags(uint32_t access) { return kIoasMapFixedIova | AccessFlags(access); }

}  // namespace

bool HardwareInfo::can_track_dirty_pages() const {
  return (capabilities & kHwCapDirtyTracking) != 0;
}

Result<OwnedDescriptor> Iommufd::Open(SystemCalls& calls) {
  const long fd = calls(SYS_openat, AT_FDCWD, "/dev/iommu", O_RDWR | O_CLOEXEC, 0);
  if (fd < 0) return ErrorOf(fd, "/dev/iommu cannot be opened");
  return OwnedDescriptor(calls, static_cast<int>(fd));
}

template <typename Structure>
Status Iommufd::Call(uint32_t request, Structure& structure, const char* refusal) const {
  structure.size = sizeof(structure);
  const long result = DeviceCall(*calls_, fd_, request, &structure);
  if (result < 0) return ErrorOf(result, refusal);
  return {};
}

// --- Address spaces ---

Result<uint32_t> Iommufd::AllocIoas() const {
  IoasAlloc call = {};
  IOAS_RETURN_IF_ERROR(Call(kIoasAlloc, call, "the kernel makes no address space"));
  return call.out_ioas_id;
}

Status Iommufd::Destroy(uint32_t object) const {
  abi::iommufd::Destroy call = {.size = 0, .id = object};
  return Call(kDestroy, call, "the kernel does not end the object");
}

Status Iommufd::SetCompatIoas(uint32_t ioas) const {
  VfioIoas call = {.size = 0, .ioas_id = ioas, .op = kVfioIoasSet, .reserved = 0};
  return Call(kVfioIoas, call, "the kernel does not take the address space for legacy calls");
}

Result<uint32_t> Iommufd::GetCompatIoas() const {
  VfioIoas call = {.size = 0, .ioas_id = 0, .op = kVfioIoasGet, .reserved = 0};
  IOAS_RETURN_IF_ERROR(Call(kVfioIoas, call, "the kernel has no address space for legacy calls"));
  return call.ioas_id;
}

Status Iommufd::AllowIovas(uint32_t ioas, std::span<const IovaRange> ranges) const {
  IoasAllowIovas call = {};
  call.ioas_id = ioas;
  call.num_iovas = static_cast<uint32_t>(ranges.size());
  call.allowed_iovas = AddressOf(ranges.data());
  return Call(kIoasAllowIovas, call, "the kernel does not allow the ranges");
}

Result<RangeSummary> Iommufd::IovaRanges(uint32_t ioas, std::span<IovaRange> ranges) const {
  IoasIovaRanges call = {};
  call.ioas_id = ioas;
  call.num_iovas = static_cast<uint32_t>(ranges.size());
  call.allowed_iovas = AddressOf(ranges.data());
  const Status status = Call(kIoasIovaRanges, call, "the kernel does not tell what can be mapped");
  // All is filled in; there are more than fit.
  if (!status.ok() && status.error().code != EMSGSIZE) return status.error();
  return RangeSummary{.count = call.num_iovas, .alignment = call.out_iova_alignment};
}

// --- Mappings ---

Status Iommufd::Map(const IoasAddress& to, uint64_t user_address, uint64_t length,
                    uint32_t access) const {
  IoasMap call = {};
  call.flags = MapFlags(access);
  call.ioas_id = to.ioas;
  call.user_va = user_address;
  call.length = length;
  call.iova = to.iova;
  return Call(kIoasMap, call, "the kernel does not map the memory");
}

Result<uint64_t> Iommufd::MapAnywhere(uint32_t ioas, uint64_t user_address, uint64_t length,
                                      uint32_t access) const {
  IoasMap call = {};
  call.flags = AccessFlags(access);
  call.ioas_id = ioas;
  call.user_va = user_address;
  call.length = length;
  IOAS_RETURN_IF_ERROR(Call(kIoasMap, call, "the kernel does not map the memory"));
  return call.iova;
}

Status Iommufd::MapFile(const IoasAddress& to, int fd, uint64_t offset, uint64_t length,
                        uint32_t access) const {
  IoasMapFile call = {};
  call.flags = MapFlags(access);
  call.ioas_id = to.ioas;
  call.fd = fd;
  call.start = offset;
  call.length = length;
  call.iova = to.iova;
  return Call(kIoasMapFile, call, "the kernel does not map the file");
}

Status Iommufd::ChangeProcess() const {
  IoasChangeProcess call = {};
  return Call(kIoasChangeProcess, call, "the kernel does not change what answers for the memory");
}

Status Iommufd::Copy(const IoasAddress& to, const IoasAddress& from, uint64_t length,
                     uint32_t access) const {
  IoasCopy call = {};
  call.flags = MapFlags(access);
  call.dst_ioas_id = to.ioas;
  call.src_ioas_id = from.ioas;
  call.length = length;
  call.dst_iova = to.iova;
  call.src_iova = from.iova;
  return Call(kIoasCopy, call, "the kernel does not copy the mappings");
}

Result<uint64_t> Iommufd::Unmap(const IoasAddress& from, uint64_t length) const {
  IoasUnmap call = {.size = 0, .ioas_id = from.ioas, .iova = from.iova, .length = length};
  IOAS_RETURN_IF_ERROR(Call(kIoasUnmap, call, "the kernel does not unmap the range"));
  return call.length;
}

// --- Page tables and hardware ---

Result<uint32_t> Iommufd::AllocHwpt(const HwptRequest& request) const {
  HwptAlloc call = {};
  call.flags = request.flags;
  call.dev_id = request.device;
  call.pt_id = request.parent;
  call.data_type = request.data_type;
  call.data_len = static_cast<uint32_t>(request.data.size());
  call.data_uptr = AddressOf(request.data.data());
  IOAS_RETURN_IF_ERROR(Call(kHwptAlloc, call, "the kernel makes no page table"));
  return call.out_hwpt_id;
}

Result<HardwareInfo> Iommufd::GetHwInfo(uint32_t device, std::span<std::byte> data) const {
  HwInfo call = {};
  call.dev_id = device;
  call.data_len = static_cast<uint32_t>(data.size());
  call.data_uptr = AddressOf(data.data());
  IOAS_RETURN_IF_ERROR(Call(kGetHwInfo, call, "the kernel does not describe the IOMMU"));
  return HardwareInfo{.data_type = call.out_data_type,
                      .data_length = call.data_len,
                      .capabilities = call.out_capabilities,
                      .max_pasid_log2 = call.out_max_pasid_log2};
}

Status Iommufd::SetDirtyTracking(uint32_t hwpt, bool enable) const {
  HwptSetDirtyTracking call = {};
  call.flags = enable ? kHwptDirtyTrackingEnable : 0;
  call.hwpt_id = hwpt;
  return Call(kHwptSetDirtyTracking, call, "the kernel does not switch dirty tracking");
}

Status Iommufd::GetDirtyBitmap(uint32_t hwpt, const DirtyRange& range, bool clear) const {
  HwptGetDirtyBitmap call = {};
  call.hwpt_id = hwpt;
  call.flags = clear ? 0 : kHwptGetDirtyBitmapNoClear;
  call.iova = range.iova;
  call.length = range.length;
  call.page_size = range.page_size;
  call.data = range.bitmap;
  return Call(kHwptGetDirtyBitmap, call, "the kernel does not tell which pages are dirty");
}

Status Iommufd::SetOption(uint32_t option, uint32_t object, uint64_t value) const {
  Option call = {};
  call.option_id = option;
  call.op = kOptionOpSet;
  call.object_id = object;
  call.val64 = value;
  return Call(kOption, call, "the kernel does not set the option");
}

Result<uint64_t> Iommufd::GetOption(uint32_t option, uint32_t object) const {
  Option call = {};
  call.option_id = option;
  call.op = kOptionOpGet;
  call.object_id = object;
  IOAS_RETURN_IF_ERROR(Call(kOption, call, "the kernel does not tell the option"));
  return call.val64;
}

// --- Legacy calls ---

Result<uint64_t> Iommufd::PageSizes() const {
  abi::Type1Info info = {};
  info.argsz = sizeof(info);
  const long result = DeviceCall(*calls_, fd_, abi::kIommuGetInfo, &info);
  if (result < 0) return ErrorOf(result, "the kernel does not tell its page sizes");
  return info.iova_pgsizes;
}

Result<bool> Iommufd::EnforcesCacheCoherency() const {
  const long result = DeviceCall(*calls_, fd_, abi::kCheckExtension, abi::kDmaCcIommu);
  if (result < 0) return ErrorOf(result, "the kernel does not tell whether it enforces coherency");
  return result != 0;
}

}  // namespace ioas::kernel
