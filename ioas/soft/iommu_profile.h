// The IOMMUs that the software host's devices can be behind.
#ifndef IOAS_SOFT_IOMMU_PROFILE_H_
#define IOAS_SOFT_IOMMU_PROFILE_H_

#include <cstdint>

#include "ioas/backend.h"

namespace ioas::soft {

// Values lie in the arena: 0 is what a device has of which nothing is said.
enum class IommuProfile : uint32_t {
  // What programs expect: kX86, but windows lie where POWER machines have them.
  kAuto = 0,
  // Intel's VT-d with 39 bits of address, and a hole where devices write their interrupts.
  kX86 = 1,
  // A PHB4 of POWER9: 2 GiB from 0 on, and what bit 59 selects. 64 KiB pages as well.
  kPower = 2,
  // A table whose addresses are sign-extended from 48 bits, so that the middle is out of reach.
  kSignExtended = 3,
};
inline constexpr uint32_t kIommuProfiles = 4;

// Profiles of several devices: a bit for each, at least one.
using IommuProfileSet = uint32_t;
constexpr IommuProfileSet SetOf(IommuProfile profile) {
  return 1u << static_cast<uint32_t>(profile);
}

// What devices behind all of these IOMMUs can reach alike: of the apertures and page sizes what
// they have in common, of the reserved ranges all. The ranges live for ever.
IommuProperties PropertiesOf(IommuProfileSet profiles);
inline IommuProperties PropertiesOf(IommuProfile profile) { return PropertiesOf(SetOf(profile)); }

}  // namespace ioas::soft

#endif  // IOAS_SOFT_IOMMU_PROFILE_H_
