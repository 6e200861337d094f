// Steps of the target `native_iommufd` with devices and page tables.
#include <cstring>
#include <iterator>
#include <utility>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_data.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "fuzz/native_comparison.h"
#include "fuzz/native_input.h"

namespace fuzz {

namespace iommufd = compat::abi::iommufd;

uint32_t NativeComparison::TakePasid() {
  constexpr uint32_t kPasids[] = {
      1,       2,         3,        1,          2,          0, 15, 16, 1000, (1 << 20) - 1,
      1 << 20, INT32_MAX, 1u << 31, UINT32_MAX, 0xffffffea, 0};
  return kPasids[input_.TakeBelow(std::size(kPasids))];
}

void NativeComparison::OpenOrClose(uint32_t device) {
  if (cdevs_[device] < 0) {
    cdevs_[device] = host_.OpenCdev(device);
    FUZZ_REQUIRE(cdevs_[device] >= 0);
  } else {
    host_.Close(std::exchange(cdevs_[device], -1));
    reference_.Unbind(device);
  }
}

void NativeComparison::Bind(uint32_t device) {
  if (cdevs_[device] < 0) return;
  compat::abi::DeviceBindIommufd bind = {sizeof(bind), 0, iommufd_, 0};
  uint32_t id = 0;
  const long expected = reference_.Bind(device, id);
  FUZZ_REQUIRE(host_.Ioctl(cdevs_[device], compat::abi::kDeviceBindIommufd, &bind) == expected);
  FUZZ_REQUIRE(expected != 0 || bind.out_devid == id);
}

void NativeComparison::Attach(uint32_t device) {
  uint32_t table = TakeId();
  if (cdevs_[device] < 0) return;
  compat::abi::DeviceAttachIommufdPt attach = {12, 0, table, 0};
  const long expected = reference_.Attach(device, table);
  FUZZ_REQUIRE(host_.Ioctl(cdevs_[device], compat::abi::kDeviceAttachIommufdPt, &attach) ==
               expected);
  FUZZ_REQUIRE(expected != 0 || attach.pt_id == table);
}

void NativeComparison::Detach(uint32_t device) {
  if (cdevs_[device] < 0) return;
  compat::abi::DeviceDetachIommufdPt detach = {8, 0, 0};
  FUZZ_REQUIRE(host_.Ioctl(cdevs_[device], compat::abi::kDeviceDetachIommufdPt, &detach) ==
               reference_.Detach(device));
}

void NativeComparison::AttachPasid() {
  const uint32_t device = TakeDevice();
  const uint32_t pasid = TakePasid();
  uint32_t table = TakeId();
  if (cdevs_[device] < 0) return;
  compat::abi::DeviceAttachIommufdPt attach = {16, compat::abi::kDeviceAttachPasid, table, pasid};
  const long expected = reference_.AttachPasid(device, pasid, table);
  FUZZ_REQUIRE(host_.Ioctl(cdevs_[device], compat::abi::kDeviceAttachIommufdPt, &attach) ==
               expected);
  FUZZ_REQUIRE(expected != 0 || attach.pt_id == table);
}

void NativeComparison::DetachPasid() {
  const uint32_t device = TakeDevice();
  const uint32_t pasid = TakePasid();
  if (cdevs_[device] < 0) return;
  compat::abi::DeviceDetachIommufdPt detach = {12, compat::abi::kDeviceDetachPasid, pasid};
  FUZZ_REQUIRE(host_.Ioctl(cdevs_[device], compat::abi::kDeviceDetachIommufdPt, &detach) ==
               reference_.DetachPasid(device, pasid));
}

// Steps with all devices, those that have PASIDs too.
void NativeComparison::WithPasids(uint32_t step) {
  switch (step % 10) {
    case 0:
      return OpenOrClose(TakeDevice());
    case 1:
      return Bind(TakeDevice());
    case 2:
      return Attach(TakeDevice());
    case 3:
      return Detach(TakeDevice());
    case 4:
      return NewHwpt(iommufd::kHwptAllocPasid | input_.TakeBelow(4));
    case 5:
      return NewNested(iommufd::kHwptAllocPasid);
    case 6:
      return DetachPasid();
    case 8:
      return Die();
    case 9:
      return MapFile();
    default:
      return AttachPasid();
  }
}

void NativeComparison::NewHwpt(uint32_t flags) {
  iommufd::HwptAlloc command = {};
  command.flags = flags;
  command.dev_id = TakeId();
  command.pt_id = TakeId();
  uint32_t id = 0;
  const long expected = reference_.NewHwpt(command.dev_id, command.pt_id, flags, id);
  FUZZ_REQUIRE(Call(iommufd::kHwptAlloc, command) == expected);
  FUZZ_REQUIRE(expected != 0 || command.out_hwpt_id == id);
}

void NativeComparison::SetDirtyTracking() {
  iommufd::HwptSetDirtyTracking command = {};
  command.hwpt_id = TakeId();
  command.flags = input_.TakeBelow(3);
  FUZZ_REQUIRE(Call(iommufd::kHwptSetDirtyTracking, command) ==
               reference_.SetDirtyTracking(command.hwpt_id, command.flags));
}

void NativeComparison::GetDirtyBitmap() {
  constexpr uint64_t kPageSizes[] = {kPage, 2 * kPage, kPage / 4, 3 * kPage, 1, 0};
  uint64_t words[2] = {5, 6};
  iommufd::HwptGetDirtyBitmap command = {};
  command.hwpt_id = TakeId();
  command.flags = input_.TakeBelow(3);
  command.iova = TakeIova(input_);
  command.length = TakeLength(input_);
  command.page_size = kPageSizes[input_.TakeBelow(std::size(kPageSizes))];
  command.data = reinterpret_cast<uint64_t>(words);
  FUZZ_REQUIRE(Call(iommufd::kHwptGetDirtyBitmap, command) ==
               reference_.GetDirtyBitmap(command.hwpt_id, command.flags, command.iova,
                                         command.length, command.page_size));
  // The bitmap is added to.
  FUZZ_REQUIRE(words[0] == 5 && words[1] == 6);
}

void NativeComparison::GetHwInfo() {
  uint8_t data[40];
  std::memset(data, 0xab, sizeof(data));
  iommufd::HwInfo command = {};
  command.dev_id = TakeId();
  command.data_len = input_.TakeBelow(sizeof(data));
  command.data_uptr = reinterpret_cast<uint64_t>(data);
  const uint32_t room = command.data_len;
  const long result = Call(iommufd::kGetHwInfo, command);
  FUZZ_REQUIRE(result == reference_.GetHwInfo(command.dev_id));
  FUZZ_REQUIRE(data[room] == 0xab);
  if (result != 0) return;
  FUZZ_REQUIRE(command.out_max_pasid_log2 == reference_.PasidBits(command.dev_id));
  FUZZ_REQUIRE((command.out_capabilities & iommufd::kHwCapDirtyTracking) != 0);
  for (uint32_t i = command.data_len; i < room; ++i) FUZZ_REQUIRE(data[i] == 0);
}

void NativeComparison::NewNested(uint32_t flags) {
  const iommufd::HwptVtdS1 stage = {0, 0, 48, 0};
  iommufd::HwptAlloc command = {};
  command.flags = flags;
  command.dev_id = TakeId();
  command.pt_id = TakeId();
  command.data_type = iommufd::kHwptDataVtdS1;
  command.data_len = sizeof(stage);
  command.data_uptr = reinterpret_cast<uint64_t>(&stage);
  uint32_t id = 0;
  const long expected = reference_.NewNested(command.dev_id, command.pt_id, flags != 0, id);
  FUZZ_REQUIRE(Call(iommufd::kHwptAlloc, command) == expected);
  FUZZ_REQUIRE(expected != 0 || command.out_hwpt_id == id);
}

void NativeComparison::NewViommu() {
  iommufd::ViommuAlloc command = {};
  command.type = iommufd::kViommuTypeSoft;
  command.dev_id = TakeId();
  command.hwpt_id = TakeId();
  uint32_t id = 0;
  const long expected = reference_.NewViommu(command.dev_id, command.hwpt_id, id);
  FUZZ_REQUIRE(Call(iommufd::kViommuAlloc, command) == expected);
  FUZZ_REQUIRE(expected != 0 || command.out_viommu_id == id);
}

void NativeComparison::NewVdevice() {
  iommufd::VdeviceAlloc command = {};
  command.viommu_id = TakeId();
  command.dev_id = TakeId();
  command.virt_id = input_.TakeBelow(3);
  uint32_t id = 0;
  const long expected =
      reference_.NewVdevice(command.viommu_id, command.dev_id, command.virt_id, id);
  FUZZ_REQUIRE(Call(iommufd::kVdeviceAlloc, command) == expected);
  FUZZ_REQUIRE(expected != 0 || command.out_vdevice_id == id);
}

}  // namespace fuzz
