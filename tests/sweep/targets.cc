#include "tests/sweep/targets.h"

#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "tests/support/shimmed.h"

namespace tests {

using compat::decode::ContainerType;
using compat::decode::DescriptorKind;

Targets::Targets()
    : bare_container_(OpenContainer()),
      type1_(MakeClient(kGroup, VFIO_TYPE1_IOMMU)),
      type1v2_(MakeClient(kOtherGroup, VFIO_TYPE1v2_IOMMU)),
      // A group with an open device stays in its container, whatever it is asked.
      device_(type1_.OpenDevice(kDevice)),
      other_device_(type1v2_.OpenDevice(kOtherDevice)),
      all_{
          {"container without an IOMMU", DescriptorKind::kContainer, ContainerType::kNone,
           bare_container_.get()},
          {"type1 container", DescriptorKind::kContainer, ContainerType::kType1,
           type1_.container.get()},
          {"type1v2 container", DescriptorKind::kContainer, ContainerType::kType1v2,
           type1v2_.container.get()},
          {"group", DescriptorKind::kGroup, ContainerType::kType1v2, type1v2_.group.get()},
          {"device", DescriptorKind::kDevice, ContainerType::kType1v2, other_device_.get()},
      } {}

std::ostream& operator<<(std::ostream& stream, const Outcome& outcome) {
  return stream << (outcome.error == 0 ? "success" : strerrorname_np(outcome.error));
}

Outcome MakeCall(const Target& target, uint32_t request, const void* argument) {
  const int result = ioctl(target.fd, request, argument);
  if (result < 0) return {errno};
  if (request == VFIO_GROUP_GET_DEVICE_FD) close(result);
  return {};
}

std::vector<const compat::decode::CallRow*> CallsOf(const Target& target) {
  std::vector<const compat::decode::CallRow*> rows;
  for (const compat::decode::CallRow& row : compat::decode::AllCalls()) {
    if (IsValidFor(row, target.kind) && IsValidFor(row, target.type)) rows.push_back(&row);
  }
  return rows;
}

}  // namespace tests
