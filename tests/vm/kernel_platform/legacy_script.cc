#include "tests/vm/kernel_platform/legacy_script.h"

#include <sys/mman.h>

#include <cerrno>
#include <utility>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_group.h"
#include "compat/abi/vfio_numbers.h"

namespace compat::kernel {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMemory = 16 * kPage;
constexpr uint64_t kLow = 0x100000;
constexpr uint64_t kHigh = 0x40000000;

// What the calls can give, by drivers/vfio/container.c, group.c, vfio_iommu_type1.c, what they
// call (iommu_group_claim_dma_owner, vfio_pci_core_enable), and open(2).
constexpr int kOpenContainer[] = {EACCES, EMFILE, ENFILE, ENODEV, ENOENT, ENOMEM, ENXIO, EPERM};
constexpr int kOpenGroup[] = {EACCES, EBUSY, EMFILE, ENFILE, ENODEV, ENOENT, ENOMEM, ENXIO, EPERM};
constexpr int kGetStatus[] = {EFAULT, EINVAL};
constexpr int kSetContainer[] = {EBADF, EBADFD, EBUSY, EFAULT, EINVAL, ENODEV, ENOMEM, EPERM};
constexpr int kUnsetContainer[] = {EBUSY, EINVAL};
constexpr int kSetIommu[] = {EBUSY, EINVAL, ENODEV, ENOMEM, EPERM};
constexpr int kGetInfo[] = {EFAULT, EINVAL, ENOMEM};
constexpr int kMapDma[] = {EEXIST, EFAULT, EINVAL, ENOMEM, ENOSPC};
constexpr int kUnmapDma[] = {EFAULT, EINVAL};
constexpr int kGetDeviceFd[] = {EAGAIN, EBUSY,  EFAULT, EINVAL, EIO,
                                EMFILE, ENFILE, ENODEV, ENOMEM, EPERM};

}  // namespace

LegacyScript::LegacyScript(TestHost& host, const DeviceInGroup& first, const DeviceInGroup& second)
    : host_(host), first_(first), second_(second) {
  memory_ = mmap(nullptr, kMemory, PROT_READ | PROT_WRITE,
                 MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
  SetUp();
  MapAndUnmap();
  UseDevices();
  JoinAndLeave();
  UseAgain();
}

LegacyScript::~LegacyScript() {
  for (const int fd : {second_device_, second_group_, duplicate_, device_, group_, container_}) {
    if (fd >= 0) host_.Close(fd);
  }
  munmap(memory_, kMemory);
}

void LegacyScript::SetUp() {
  Add("open the container", kOpenContainer,
      [this] { return Keep(host_.OpenContainer(), container_); });
  AddOpenGroup(group_, first_.group);
  Add("GET_STATUS", kGetStatus, [this] {
    abi::GroupStatus status = {.argsz = sizeof(status), .flags = 0};
    const long result = host_.Ioctl(group_, abi::kGroupGetStatus, &status);
    return result == 0 && status.flags != abi::kGroupFlagsViable ? -ENOTRECOVERABLE : result;
  });
  AddSetContainer(group_);
  AddSetIommu(abi::kType1Iommu);
  Add("GET_INFO", kGetInfo, [this] {
    abi::Type1Info info = {};
    info.argsz = sizeof(info);
    return host_.Ioctl(container_, abi::kIommuGetInfo, &info);
  });
}

void LegacyScript::MapAndUnmap() {
  AddMap(kLow, 4 * kPage);
  AddMap(kLow + 4 * kPage, 4 * kPage);
  AddMap(kHigh, 16 * kPage);
  // Version 1 unmaps each mapping whose first address is covered, whole.
  AddUnmap(kLow, 6 * kPage, 8 * kPage);
  AddMap(kLow, 2 * kPage);
}

void LegacyScript::UseDevices() {
  AddGetDeviceFd(group_, first_.name, device_);
  AddGetDeviceFd(group_, first_.name, duplicate_);
  AddClose(duplicate_);
  AddMap(kLow + 8 * kPage, kPage);
}

void LegacyScript::JoinAndLeave() {
  AddOpenGroup(second_group_, second_.group);
  AddSetContainer(second_group_);
  AddGetDeviceFd(second_group_, second_.name, second_device_);
  AddUnmap(kLow, 2 * kPage, 2 * kPage);
  AddClose(second_device_);
  AddUnsetContainer(second_group_);
  AddClose(second_group_);
}

void LegacyScript::UseAgain() {
  AddClose(device_);
  AddGetDeviceFd(group_, first_.name, device_);
  AddClose(device_);
  AddUnsetContainer(group_);
  AddSetContainer(group_);
  AddSetIommu(abi::kType1v2Iommu);
  AddMap(kLow, 4 * kPage);
  AddMap(kHigh, 4 * kPage);
  AddUnmap(kLow, 4 * kPage, 4 * kPage);
  AddClose(group_);
  AddClose(container_);
}

void LegacyScript::Add(const char* name, std::span<const int> errors, std::function<long()> call) {
  steps_.push_back({name, errors, std::move(call)});
}

void LegacyScript::AddOpenGroup(int& fd, uint32_t number) {
  Add("open a group", kOpenGroup,
      [this, &fd, number] { return Keep(host_.OpenGroup(number), fd); });
}

void LegacyScript::AddGetDeviceFd(int& group, const std::string& name, int& fd) {
  Add("GET_DEVICE_FD", kGetDeviceFd, [this, &group, &name, &fd] {
    return Keep(host_.Ioctl(group, abi::kGroupGetDeviceFd, name.c_str()), fd);
  });
}

void LegacyScript::AddSetContainer(int& group) {
  Add("SET_CONTAINER", kSetContainer,
      [this, &group] { return host_.Ioctl(group, abi::kGroupSetContainer, &container_); });
}

void LegacyScript::AddUnsetContainer(int& group) {
  Add("UNSET_CONTAINER", kUnsetContainer,
      [this, &group] { return host_.Ioctl(group, abi::kGroupUnsetContainer, uint64_t{0}); });
}

void LegacyScript::AddSetIommu(uint32_t type) {
  Add("SET_IOMMU", kSetIommu,
      [this, type] { return host_.Ioctl(container_, abi::kSetIommu, uint64_t{type}); });
}

void LegacyScript::AddMap(uint64_t iova, uint64_t size) {
  Add("MAP_DMA", kMapDma, [this, iova, size] {
    abi::DmaMap map = {.argsz = sizeof(map),
                       .flags = abi::kDmaMapFlagRead | abi::kDmaMapFlagWrite,
                       .vaddr = reinterpret_cast<uint64_t>(memory_),
                       .iova = iova,
                       .size = size};
    return host_.Ioctl(container_, abi::kIommuMapDma, &map);
  });
}

void LegacyScript::AddUnmap(uint64_t iova, uint64_t size, uint64_t unmapped) {
  // A call that failed may have unmapped some before that; when it is made again the rest goes.
  Add("UNMAP_DMA", kUnmapDma, [this, iova, size, unmapped] {
    const uint64_t before = host_.Space(container_).state().statistics.bytes_mapped;
    abi::DmaUnmap unmap = {.argsz = sizeof(unmap), .flags = 0, .iova = iova, .size = size};
    const long result = host_.Ioctl(container_, abi::kIommuUnmapDma, &unmap);
    const uint64_t after = host_.Space(container_).state().statistics.bytes_mapped;
    if (result == 0 && (unmap.size > unmapped || before - after != unmap.size)) {
      return long{-ENOTRECOVERABLE};
    }
    return result;
  });
}

void LegacyScript::AddClose(int& fd) {
  Add("close", {}, [this, &fd] {
    host_.Close(std::exchange(fd, -1));
    return 0L;
  });
}

long LegacyScript::Keep(long fd, int& place) {
  if (fd >= 0) place = static_cast<int>(fd);
  return fd;
}

}  // namespace compat::kernel
