// An address space as a picture (SVG): apertures, reserved ranges, mappings by what devices may do,
// and faults.
#ifndef TOOLS_CONTROL_PICTURE_H_
#define TOOLS_CONTROL_PICTURE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "vfio/compat/v1/address_spaces.pb.h"
#include "vfio/compat/v1/faults.pb.h"

namespace tools::control {

// Address spaces are vast and mostly empty, so the picture is not to scale: every stretch that
// holds something gets a band of its own, whose height grows with the logarithm of its size, and
// what is empty between two of them is a gap.
struct Picture {
  std::string title;
  vfio::compat::v1::AddressSpace space;
  vfio::compat::v1::ListFaultsResponse faults;

  // Neighbours with the same access become one stretch.
  void Add(const vfio::compat::v1::Mapping& mapping);

  // The whole SVG document.
  std::string Svg() const;

  struct Stretch {
    uint64_t first;
    uint64_t last;  // inclusive
    vfio::compat::v1::Access access;
    uint64_t mappings;
  };
  std::vector<Stretch> stretches;
};

}  // namespace tools::control

#endif  // TOOLS_CONTROL_PICTURE_H_
