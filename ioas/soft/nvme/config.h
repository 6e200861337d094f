// What the user chooses about an NVMe controller.
#ifndef IOAS_SOFT_NVME_CONFIG_H_
#define IOAS_SOFT_NVME_CONFIG_H_

#include <cstdint>

namespace ioas::soft {

struct NvmeConfig {
  // The image: an absolute path, because any process may come to open it. The strings must outlive
  // the controller.
  const char* image_path;
  // Up to 20 printable ASCII characters. Tells this drive from others; the namespace's UUID is
  // made of it and the image's path.
  const char* serial_number;
  // Bytes of a logical block: 512 or 4096. An image's last bytes that fill no block are not used.
  uint32_t block_size = 512;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_NVME_CONFIG_H_
