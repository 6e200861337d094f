// iommufd's own calls.
#ifndef TESTS_BEHAVIOUR_NATIVE_H_
#define TESTS_BEHAVIOUR_NATIVE_H_

#include <memory>
#include <string>

#include "tests/behaviour/mode.h"

namespace tests {

// The device at the PCI address `address`. `has_dirty_tracking`: its IOMMU tells what it wrote.
std::unique_ptr<Mode> MakeNative(const std::string& address, bool has_dirty_tracking);

}  // namespace tests

#endif  // TESTS_BEHAVIOUR_NATIVE_H_
