// Containers: type 1 in both versions, SPAPR TCE version 2.
#ifndef TESTS_BEHAVIOUR_LEGACY_H_
#define TESTS_BEHAVIOUR_LEGACY_H_

#include <functional>
#include <memory>
#include <string>

#include "tests/behaviour/mode.h"

namespace tests {

// Where a device is, and who freezes it.
struct LegacyPlace {
  uint32_t group;
  std::string address;
  std::function<int(bool)> freeze;  // or thaw; 0 if that is done
};

// `type`: VFIO_TYPE1_IOMMU or VFIO_TYPE1v2_IOMMU.
std::unique_ptr<Mode> MakeType1(const LegacyPlace& place, int type);
std::unique_ptr<Mode> MakeSpapr(const LegacyPlace& place);

}  // namespace tests

#endif  // TESTS_BEHAVIOUR_LEGACY_H_
