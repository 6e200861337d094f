// What the rows of call_table.h are made of. Included by it alone.
#ifndef COMPAT_DECODE_CALL_TABLE_PARTS_H_
#define COMPAT_DECODE_CALL_TABLE_PARTS_H_

#include <cstddef>
#include <cstdint>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_feature.h"
#include "compat/abi/vfio_group.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/abi/vfio_spapr.h"
#include "compat/decode/call.h"

namespace compat::decode {

namespace iommufd = abi::iommufd;

consteval uint8_t Bit(DescriptorKind kind) { return 1u << static_cast<int>(kind); }
consteval uint16_t Bit(ContainerType type) { return 1u << static_cast<int>(type); }

inline constexpr uint8_t kContainer = Bit(DescriptorKind::kContainer);
inline constexpr uint8_t kGroup = Bit(DescriptorKind::kGroup);
inline constexpr uint8_t kCdev = Bit(DescriptorKind::kCdev);
inline constexpr uint8_t kDevices = Bit(DescriptorKind::kDevice) | kCdev;
inline constexpr uint8_t kIommufd = Bit(DescriptorKind::kIommufd);
inline constexpr uint8_t kMigration = Bit(DescriptorKind::kMigration);

inline constexpr uint16_t kType1s = Bit(ContainerType::kType1) | Bit(ContainerType::kType1v2);
inline constexpr uint16_t kSpaprV1 = Bit(ContainerType::kSpaprV1);
inline constexpr uint16_t kSpaprV2 = Bit(ContainerType::kSpaprV2);
inline constexpr uint16_t kSpaprs = kSpaprV1 | kSpaprV2;
inline constexpr uint16_t kNotSpapr =
    kType1s | Bit(ContainerType::kNone) | Bit(ContainerType::kNoIommu);
inline constexpr uint16_t kAnyType = kNotSpapr | kSpaprs;

// The size of a structure up to and with a member: the kernel's offsetofend.
#define END_OF(Struct, member) (offsetof(Struct, member) + sizeof(Struct::member))

// A call whose argument is a value or ignored.
consteval CallRow Value(uint32_t request, const char* name, Call call, uint8_t kinds,
                        uint16_t types, ArgumentForm form, const char* documentation) {
  return {request, name, call, kinds, types, form, 0, 0, kAnyFlags, documentation};
}

// A call whose argument is the address of something that is not a structure: `size` bytes, or 0.
consteval CallRow Pointer(uint32_t request, const char* name, Call call, uint8_t kinds,
                          uint16_t types, ArgumentForm form, uint16_t size,
                          const char* documentation) {
  return {request, name, call, kinds, types, form, size, size, kAnyFlags, documentation};
}

// A call whose argument is the address of a Struct that begins with argsz and flags. `minimal` is
// the kernel's minsz, `flags` what its handler permits.
template <typename Struct>
consteval CallRow Argsz(uint32_t request, const char* name, Call call, uint8_t kinds,
                        uint16_t types, uint16_t minimal, uint32_t flags,
                        const char* documentation) {
  return {request, name,           call,  kinds,        types, ArgumentForm::kArgszStruct,
          minimal, sizeof(Struct), flags, documentation};
}

// A call of /dev/iommu whose argument is the address of a Struct that begins with its size.
template <typename Struct>
consteval CallRow Sized(uint32_t request, const char* name, Call call, uint16_t minimal,
                        const char* documentation) {
  return {request, name,           call,      kIommufd,     kAnyType, ArgumentForm::kSizeStruct,
          minimal, sizeof(Struct), kAnyFlags, documentation};
}

}  // namespace compat::decode

#endif  // COMPAT_DECODE_CALL_TABLE_PARTS_H_
