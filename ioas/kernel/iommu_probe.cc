#include "ioas/kernel/iommu_probe.h"

#include "ioas/kernel/cdev.h"
#include "ioas/kernel/iommufd.h"
#include "ioas/kernel/kernel_backend.h"

namespace ioas::kernel {

Result<IommuProperties> ProbeIommu(SystemCalls& calls, uint32_t number,
                                   std::span<IovaRange> apertures) {
  const Result<OwnedDescriptor> iommu = Iommufd::Open(calls);
  if (!iommu.ok()) return iommu.error();
  const Iommufd iommufd(calls, iommu->get());
  const Result<uint32_t> ioas = iommufd.AllocIoas();
  if (!ioas.ok()) return ioas.error();
  IOAS_RETURN_IF_ERROR(iommufd.SetCompatIoas(*ioas));
  const Result<OwnedDescriptor> node = Cdev::Open(calls, number);
  if (!node.ok()) return node.error();
  const Cdev device(calls, node->get());
  const Result<uint32_t> bound = device.Bind(iommufd.fd());
  if (!bound.ok()) return bound.error();
  const Result<uint32_t> attached = device.Attach(*ioas);
  if (!attached.ok()) return attached.error();
  return KernelBackend(calls).ReadProperties({.iommufd = iommufd.fd(), .ioas = *ioas}, apertures);
}

}  // namespace ioas::kernel
