// The modes on the software host, as it is without any setting and as other machines are.
#include "tests/behaviour/software_host.h"

#include <gtest/gtest.h>
#include <linux/vfio.h>

#include "tests/behaviour/legacy.h"
#include "tests/behaviour/native.h"

namespace tests {
namespace {

bool HasInterrupts(Machine machine) {
  return machine == Machine::kAuto || machine == Machine::kX86;
}
NamedMode Type1(const char* name, int type, Machine machine) {
  return {name, [=] { return MakeType1(PlaceOf(machine), type); }, HasInterrupts(machine)};
}
NamedMode Spapr(const char* name, Machine machine) {
  return {name, [=] { return MakeSpapr(PlaceOf(machine)); },
          /*has_interrupts=*/false};
}
NamedMode Native(const char* name, Machine machine) {
  return {name, [=] { return MakeNative(PlaceOf(machine).address, /*has_dirty_tracking=*/true); },
          HasInterrupts(machine)};
}

}  // namespace

std::vector<NamedMode> Modes() {
  return {Type1("type1", VFIO_TYPE1_IOMMU, Machine::kAuto),
          Type1("type1v2", VFIO_TYPE1v2_IOMMU, Machine::kAuto),
          Spapr("spapr_v2", Machine::kAuto),
          Native("native", Machine::kAuto),
          Type1("type1v2_on_power", VFIO_TYPE1v2_IOMMU, Machine::kPower),
          Spapr("spapr_v2_on_power", Machine::kPower),
          Native("native_on_power", Machine::kPower),
          Spapr("spapr_v2_on_x86", Machine::kX86),
          Type1("type1v2_sign_extended", VFIO_TYPE1v2_IOMMU, Machine::kSignExtended),
          Native("native_sign_extended", Machine::kSignExtended)};
}

}  // namespace tests

int main(int argc, char** argv) {
  return tests::RunOnSoftwareHost(argv, {}, [&] {
    testing::InitGoogleTest(&argc, argv);
    return RUN_ALL_TESTS();
  });
}
