// Uses a descriptor that it inherited.
//
//   descriptor_user container FD   unmaps 4 KiB at 1 MiB: 0 if something was mapped there, 1 if not
//   descriptor_user requests FD    reads page requests: 0 if there are none, 1 if there is one
//
// The exit status is that, or the errno of the call.
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string_view>

namespace {

int Unmap(int container) {
  vfio_iommu_type1_dma_unmap unmap{};
  unmap.argsz = sizeof(unmap);
  unmap.iova = 1 << 20;
  unmap.size = 4096;
  if (ioctl(container, VFIO_IOMMU_UNMAP_DMA, &unmap) != 0) return errno;
  return unmap.size == 4096 ? 0 : 1;
}

int ReadRequest(int queue) {
  char request[40];
  const ssize_t got = read(queue, request, sizeof(request));
  if (got < 0) return errno;
  return got == 0 ? 0 : 1;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 99;
  const int fd = std::atoi(argv[2]);
  return argv[1] == std::string_view("container") ? Unmap(fd) : ReadRequest(fd);
}
