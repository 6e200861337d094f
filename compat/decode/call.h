// What a call is: one row per call of either interface, and how a row is found.
//
// A request number alone means nothing: 18, 19 and 20 above VFIO_BASE are calls of a device's cdev,
// and calls of a SPAPR container. What it means follows from the kind of the descriptor, and on a
// container from its type. Names, documentation, the command line's `decode` and metric labels all
// come from these rows. Pure: no state and no I/O.
#ifndef COMPAT_DECODE_CALL_H_
#define COMPAT_DECODE_CALL_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "compat/abi/vfio_numbers.h"

namespace compat::decode {

// The kinds of descriptors that calls are made on. The values are kept in shared memory.
enum class DescriptorKind : uint8_t {
  kContainer = 0,
  kGroup = 1,
  kDevice = 2,     // a device that GET_DEVICE_FD of a group returned
  kIommufd = 3,    // /dev/iommu
  kMigration = 4,  // a device's migration data
  kCdev = 5,       // a device opened as /dev/vfio/devices/vfioX
  kEvents = 6,     // page requests or events of an iommufd; has no calls
};
inline constexpr int kDescriptorKinds = 7;

// What VFIO_SET_IOMMU has made of a container. The values are kept in shared memory; but for kNone
// they are the call's argument. VFIO_TYPE1_NESTING_IOMMU makes a kType1v2.
enum class ContainerType : uint8_t {
  kNone = 0,  // no IOMMU is set yet
  kType1 = 1,
  kSpaprV1 = 2,
  kType1v2 = 3,
  kSpaprV2 = 7,
  kNoIommu = 8,
};
inline constexpr ContainerType kContainerTypes[] = {
    ContainerType::kNone,    ContainerType::kType1,   ContainerType::kType1v2,
    ContainerType::kNoIommu, ContainerType::kSpaprV1, ContainerType::kSpaprV2,
};

// One value per operation, for handlers to switch on. An operation that several container types
// have under one name (MAP_DMA) has one value and several rows.
enum class Call : uint8_t {
  kGetApiVersion,
  kCheckExtension,
  kSetIommu,
  kGroupGetStatus,
  kGroupSetContainer,
  kGroupUnsetContainer,
  kGroupGetDeviceFd,
  kDeviceGetInfo,
  kDeviceGetRegionInfo,
  kDeviceGetIrqInfo,
  kDeviceSetIrqs,
  kDeviceReset,
  kDeviceGetPciHotResetInfo,
  kDevicePciHotReset,
  kDeviceQueryGfxPlane,
  kDeviceGetGfxDmabuf,
  kDeviceIoeventfd,
  kDeviceFeature,
  kDeviceBindIommufd,
  kDeviceAttachIommufdPt,
  kDeviceDetachIommufdPt,
  kMigGetPrecopyInfo,
  kIommuGetInfo,
  kIommuMapDma,
  kIommuUnmapDma,
  kIommuEnable,
  kIommuDisable,
  kIommuDirtyPages,
  kSpaprTceGetInfo,
  kSpaprRegisterMemory,
  kSpaprUnregisterMemory,
  kSpaprTceCreate,
  kSpaprTceRemove,
  kEehPeOp,
  kIommufdDestroy,
  kIommufdIoasAlloc,
  kIommufdIoasAllowIovas,
  kIommufdIoasCopy,
  kIommufdIoasIovaRanges,
  kIommufdIoasMap,
  kIommufdIoasUnmap,
  kIommufdOption,
  kIommufdVfioIoas,
  kIommufdHwptAlloc,
  kIommufdGetHwInfo,
  kIommufdHwptSetDirtyTracking,
  kIommufdHwptGetDirtyBitmap,
  kIommufdHwptInvalidate,
  kIommufdFaultQueueAlloc,
  kIommufdIoasMapFile,
  kIommufdViommuAlloc,
  kIommufdVdeviceAlloc,
  kIommufdIoasChangeProcess,
  kIommufdVeventqAlloc,
  kIommufdHwQueueAlloc,
};
// How many values Call has, for arrays of counters indexed by it.
inline constexpr int kCallCount = static_cast<int>(Call::kIommufdHwQueueAlloc) + 1;

// What the third argument of ioctl() is.
enum class ArgumentForm : uint8_t {
  kNone,         // ignored
  kValue,        // the value itself
  kArgszStruct,  // address of a structure that begins with argsz and flags (legacy VFIO)
  kSizeStruct,   // address of a structure that begins with its size (iommufd)
  kInt,          // address of a 32-bit integer
  kString,       // address of a string
};

// The permitted flags of a call that leaves them unchecked when it decodes.
inline constexpr uint32_t kAnyFlags = ~uint32_t{0};

// One call as one or several kinds of descriptors understand it.
struct CallRow {
  uint32_t request;  // _IO(';', n)
  const char* name;  // the kernel's macro
  Call call;
  uint8_t kinds;   // bit 1 << DescriptorKind for each kind that has the call
  uint16_t types;  // bit 1 << ContainerType for each type that has it
  ArgumentForm form;
  uint16_t minimal_size;  // bytes that the kernel copies in first, and the least argsz (or size)
  uint16_t full_size;     // bytes of the fixed structure as the kernel knows it
  uint32_t flags;         // permitted flags, or kAnyFlags
  const char* documentation;  // one line
};

// All rows, ordered by request; rows of one name are neighbours.
std::span<const CallRow> AllCalls();

namespace internal {

// How many values a ContainerType can have.
inline constexpr int kTypeValues = static_cast<int>(ContainerType::kNoIommu) + 1;

// Which row each number has on each kind of descriptor and with each container type: the row's
// place, counted from 1. All requests share their upper bytes. A type beside the enumerators has
// none.
using RowsOfNumbers = std::array<uint8_t, 256>;
using RowsOfAll = std::array<std::array<RowsOfNumbers, kTypeValues>, kDescriptorKinds>;
extern const RowsOfAll kRowOf;
extern const CallRow* const kFirstRow;

}  // namespace internal

// The row of `request` on a descriptor of `kind`, or null: then the call fails with
// MissingCallErrno. `type` is the container's; for a group and a device that of the container they
// belong to, and for the other kinds it does not matter. Constant time.
inline const CallRow* Lookup(DescriptorKind kind, ContainerType type, uint32_t request) {
  if (request >> 8 != abi::kVfioType || static_cast<int>(kind) >= kDescriptorKinds ||
      static_cast<int>(type) >= internal::kTypeValues) {
    return nullptr;
  }
  const uint8_t place =
      internal::kRowOf[static_cast<int>(kind)][static_cast<int>(type)][request & 0xff];
  return place == 0 ? nullptr : internal::kFirstRow + (place - 1);
}

// The errno of a request that has no row: EINVAL on a container that has no IOMMU yet
// (drivers/vfio/container.c), ENOTTY everywhere else.
int MissingCallErrno(DescriptorKind kind, ContainerType type);

// All meanings of a number. `number` is a request (0x3b71), its lower byte (0x71, 113), or below
// 100 an offset from VFIO_BASE (13). Empty if it has none.
std::span<const CallRow> CallsNumbered(uint32_t number);

// All rows of the call that the kernel names `name`, as in VFIO_IOMMU_MAP_DMA. Empty if none.
std::span<const CallRow> CallsNamed(std::string_view name);

// Whether a row is valid for a kind of descriptor, and for a container type.
constexpr bool IsValidFor(const CallRow& row, DescriptorKind kind) {
  return (row.kinds >> static_cast<int>(kind) & 1) != 0;
}
constexpr bool IsValidFor(const CallRow& row, ContainerType type) {
  return (row.types >> static_cast<int>(type) & 1) != 0;
}

// Names as the command line writes them ("container", "type1v2"), and back; nothing if unknown.
const char* Name(DescriptorKind kind);
const char* Name(ContainerType type);
std::optional<DescriptorKind> KindNamed(std::string_view name);
std::optional<ContainerType> TypeNamed(std::string_view name);

}  // namespace compat::decode

#endif  // COMPAT_DECODE_CALL_H_
