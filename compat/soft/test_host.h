// A host in a test's own process, driven without the preload library: what ioctl() would do.
#ifndef COMPAT_SOFT_TEST_HOST_H_
#define COMPAT_SOFT_TEST_HOST_H_

#include <sys/types.h>

#include <cstdint>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "compat/decode/caller_memory.h"
#include "compat/soft/soft_platform.h"
#include "compat/type1/type1.h"
#include "compat/vfio/host.h"

namespace compat::soft {

// The test's own memory; bad pointers are EFAULT.
class TestMemory final : public decode::CallerMemory {
 public:
  ioas::Status ReadCarefully(uint64_t address, std::span<std::byte> bytes) override;
  ioas::Status WriteCarefully(uint64_t address, std::span<const std::byte> bytes) override;
};

// A host in a memfd with three NVMe drives on empty images: 0000:00:05.0 in group 7, 0000:00:06.0
// and 0000:01:00.0, which has a bus of its own, in group 8. Calls return what the system call
// would: a value, or a negated errno. Any thread may call.
class TestHost final : private vfio::Descriptors {
 public:
  static constexpr uint32_t kGroup = 7;
  static constexpr uint32_t kOtherGroup = 8;
  static constexpr char kDevice[] = "0000:00:05.0";
  static constexpr char kOtherDevice[] = "0000:00:06.0";
  static constexpr char kFarDevice[] = "0000:01:00.0";

  // Three DMA engines for those who want them, as devices 3 to 5: 0000:02:00.0 and 0000:02:01.0 in
  // group 9, with PASIDs of 20 and of 4 bits, and 0000:02:02.0 in group 8, with 20 bits.
  static constexpr uint32_t kEngine = 3;
  static constexpr uint32_t kNarrowEngine = 4;
  static constexpr uint32_t kMixedEngine = 5;
  static constexpr uint32_t kEngineGroup = 9;
  static std::vector<settings::DeviceSettings> Engines();

  // Containers are what `personality`, which outlives the host, makes of them. `more`: devices
  // beside the drives.
  explicit TestHost(const vfio::Personality& personality = type1::Type1(),
                    const std::vector<settings::DeviceSettings>& more = {});
  ~TestHost();

  int OpenContainer();
  int OpenGroup(uint32_t number);
  int OpenIommufd();
  // Device 0 is kDevice, 1 kOtherDevice, 2 kFarDevice.
  int OpenCdev(uint32_t device);
  // Opens a device of `group`'s. GET_DEVICE_FD's result.
  int OpenDevice(int group, const char* name);
  void Close(int fd);
  int Duplicate(int fd);
  // Closes a descriptor of which the host is not told yet: another thread is in the middle of that.
  // The number is that of a file of the system's meanwhile.
  static void Lose(int fd);

  long Ioctl(int fd, uint32_t request, uint64_t argument);
  template <typename Structure>
  long Ioctl(int fd, uint32_t request, Structure* structure) {
    return Ioctl(fd, request, reinterpret_cast<uint64_t>(structure));
  }
  long Read(int fd, void* buffer, size_t size, uint64_t position);
  long Write(int fd, const void* buffer, size_t size, uint64_t position);
  // The same at the file's own position.
  long ReadNext(int fd, void* buffer, size_t size);
  long WriteNext(int fd, const void* buffer, size_t size);
  // mmap() of a device, shared and writable: the address, or a negated errno.
  long Map(int fd, size_t size, uint64_t offset);
  void Unmap(int fd, long address, size_t size);

  // A container of `type` with the first group in it; the group's descriptor goes to `group`.
  int ContainerOfType(uint32_t type, int& group);

  // fork(), with what the library does around it.
  pid_t Fork();

  vfio::Host& host() { return *host_; }
  SoftPlatform& platform() { return *platform_; }
  uint32_t Slot(int fd);

 private:
  ioas::Result<uint32_t> SlotOf(int fd) override;
  int DescriptorOf(uint32_t slot) override;
  void OnNew(int fd, uint32_t slot) override;

  std::mutex mutex_;
  std::map<int, uint32_t> slots_;
  std::string images_[3];
  SoftPlatform* platform_ = nullptr;
  vfio::Host* host_ = nullptr;
};

}  // namespace compat::soft

#endif  // COMPAT_SOFT_TEST_HOST_H_
