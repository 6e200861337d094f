// Mock devices: each is bound and attached as long as it is there.
#include <cerrno>
#include <span>

#include "compat/native/attachment.h"
#include "compat/native/calls.h"
#include "compat/native/testing/mock_nested.h"
#include "compat/native/testing/operations.h"

namespace compat::native::testing {
namespace {

using ioas::Error;
using ioas::Result;
using ioas::Status;

constexpr ioas::IovaRange kMockApertures[] = {{1 << 24, (uint64_t{1} << 31) - 1}};
constexpr uint32_t kNoDirty = 1u << 0;   // MOCK_FLAGS_DEVICE_NO_DIRTY
constexpr uint32_t kHugeIova = 1u << 1;  // MOCK_FLAGS_DEVICE_HUGE_IOVA
constexpr uint32_t kPasid = 1u << 2;     // MOCK_FLAGS_DEVICE_PASID, of later kernels
constexpr uint32_t kDeviceFlags = kNoDirty | kHugeIova | kPasid;
constexpr uint8_t kPasidBits = 20;          // MOCK_PASID_WIDTH, of later kernels
constexpr uint32_t kInfoType = 0xfeedbeef;  // IOMMU_HW_INFO_TYPE_SELFTEST
// struct iommu_test_hw_info.
struct Info {
  uint32_t flags;
  uint32_t test_reg;
};
constexpr Info kInfo = {.flags = 0, .test_reg = 0xdeadbeef};

void Unbind(Context& context, uint32_t id) {
  DetachAll(context, id);
  context.DropUser(id);
  (void)context.Destroy(id);
}

Result<uint32_t> BindMock(Context& context, uint32_t stdev) {
  const Result<uint32_t> id = context.New<DeviceObject>(ObjectKind::kDevice);
  if (!id.ok()) return id;
  context.FindDevice(*id)->device = kFirstMockDevice + stdev;
  context.AddUser(*id);
  return id;
}

}  // namespace

Status MockDomain(const Caller& caller, const decode::DecodedCall& call, TestCommand command) {
  if (command.operation == Operation::kMockDomainFlags &&
      (command.mock_domain.dev_flags & ~kDeviceFlags) != 0) {
    return Error{EINVAL, "unknown flags of a device"};
  }
  Context context(caller);
  const Result<uint32_t> stdev = NewMock(context, MockType::kDevice);
  if (!stdev.ok()) return stdev.error();
  FindMock(context, MockType::kDevice, *stdev)->flags =
      command.operation == Operation::kMockDomainFlags ? command.mock_domain.dev_flags : 0;
  const Result<uint32_t> device = BindMock(context, *stdev);
  Status status = device.ok() ? Status() : Status(device.error());
  if (device.ok()) FindMock(context, MockType::kDevice, *stdev)->device_id = *device;
  uint32_t table = command.id;
  if (status.ok()) status = Attach(context, *device, kNoPasid, table);
  if (status.ok()) {
    command.mock_domain.out_stdev_id = *stdev;
    command.mock_domain.out_hwpt_id = table;
    command.mock_domain.out_idev_id = *device;
    status = Respond(call, command);
  }
  if (!status.ok()) (void)context.Destroy(*stdev);
  return status;
}

Status MockDomainReplace(const Caller& caller, const decode::DecodedCall& call,
                         TestCommand command) {
  Context context(caller);
  const MockState* const mock = FindMock(context, MockType::kDevice, command.id);
  if (mock == nullptr) return kNoObject;
  IOAS_RETURN_IF_ERROR(
      Replace(context, mock->device_id, kNoPasid, command.mock_domain_replace.pt_id));
  return Respond(call, command);
}

void DestroyDevice(Context& context, const MockState& mock) {
  if (context.FindDevice(mock.device_id) != nullptr) Unbind(context, mock.device_id);
}

ioas::IommuProperties PropertiesOf(const Context& context, uint32_t id) {
  const uint32_t flags = FindMock(context, MockType::kDevice, id)->flags;
  return {.page_sizes = kMockPage | ((flags & kHugeIova) != 0 ? kMockHugePage : 0),
          .apertures = kMockApertures,
          .reserved = {},
          .tracks_dirty_pages = (flags & kNoDirty) == 0,
          .info_type = kInfoType,
          .info = std::as_bytes(std::span(&kInfo, 1))};
}

uint8_t PasidBitsOf(const Context& context, uint32_t id) {
  return (FindMock(context, MockType::kDevice, id)->flags & kPasid) != 0 ? kPasidBits : 0;
}

}  // namespace compat::native::testing
