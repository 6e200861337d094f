// descriptor_user FD: uses a container that it inherited. Unmaps 4 KiB at 1 MiB and exits with 0 if
// something was mapped there, 1 if not, or the errno of the call.
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdlib>

int main(int /*argc*/, char** argv) {
  vfio_iommu_type1_dma_unmap unmap{};
  unmap.argsz = sizeof(unmap);
  unmap.iova = 1 << 20;
  unmap.size = 4096;
  if (ioctl(std::atoi(argv[1]), VFIO_IOMMU_UNMAP_DMA, &unmap) != 0) return errno;
  return unmap.size == 4096 ? 0 : 1;
}
