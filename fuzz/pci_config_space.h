// A function's configuration space under any writes.
#ifndef FUZZ_PCI_CONFIG_SPACE_H_
#define FUZZ_PCI_CONFIG_SPACE_H_

#include <span>

#include "fuzz/input.h"
#include "ioas/soft/device_model.h"

namespace fuzz {

// Makes a configuration space and writes what the input says into it. What a program may not write
// stays as it was: who the device is, its capabilities' order, the sizes of its BARs.
void FuzzConfigSpace(Input& input, const ioas::soft::DeviceIdentity& identity,
                     std::span<const ioas::soft::BarLayout> bars);

}  // namespace fuzz

#endif  // FUZZ_PCI_CONFIG_SPACE_H_
