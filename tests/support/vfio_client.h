// What a program that uses legacy VFIO does first, for tests that are such programs. Written
// against the system's <linux/vfio.h>, as the programs are, and not against the project's own
// definitions.
#ifndef TESTS_SUPPORT_VFIO_CLIENT_H_
#define TESTS_SUPPORT_VFIO_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <string>

struct vfio_iommu_type1_info;

namespace tests {

// A descriptor that is closed with this object.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(other.Release()) {}
  Descriptor& operator=(Descriptor&& other) noexcept;
  ~Descriptor() { Close(); }

  int get() const { return fd_; }
  bool is_open() const { return fd_ >= 0; }
  void Close();
  // Gives up the descriptor without closing it.
  int Release();

 private:
  int fd_ = -1;
};

Descriptor OpenContainer();
Descriptor OpenGroup(uint32_t number);

// A container with one group in it and an IOMMU.
struct Client {
  Descriptor container;
  Descriptor group;

  // GET_DEVICE_FD.
  Descriptor OpenDevice(const char* address) const;
};

// Makes one. `iommu_type`: VFIO_TYPE1v2_IOMMU and such; 0 sets none. Where something fails, the
// descriptors are closed.
Client MakeClient(uint32_t group, int iommu_type);

// ioctl(MAP_DMA) for reading and writing. Returns 0, or the errno.
int MapDma(int container, const void* memory, uint64_t iova, uint64_t size);

// ioctl(UNMAP_DMA). Returns the bytes unmapped, or the negative errno.
int64_t UnmapDma(int container, uint64_t iova, uint64_t size);

// How many mappings VFIO_IOMMU_GET_INFO says may still be made; -1 if it does not.
int64_t MappingsAvailable(int container);

// The same, from its answer: `info` begins a buffer of info.argsz bytes.
int64_t MappingsAvailable(const vfio_iommu_type1_info& info);

// Anonymous memory, zeroed and present, unmapped with this object.
class Memory {
 public:
  explicit Memory(size_t size);
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  ~Memory();

  std::byte* data() const { return data_; }
  size_t size() const { return size_; }

 private:
  std::byte* data_;
  size_t size_;
};

}  // namespace tests

#endif  // TESTS_SUPPORT_VFIO_CLIENT_H_
