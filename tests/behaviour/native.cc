#include "tests/behaviour/native.h"

#include <fcntl.h>
#include <sys/ioctl.h>

#include <filesystem>
#include <utility>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "tests/support/vfio_client.h"

namespace tests {
namespace {

namespace abi = compat::abi;
namespace iommufd = compat::abi::iommufd;

Descriptor OpenCdev(const std::string& address) {
  std::error_code error;
  const std::filesystem::path folder = "/sys/bus/pci/devices/" + address + "/vfio-dev";
  for (const auto& entry : std::filesystem::directory_iterator(folder, error)) {
    const std::string node = "/dev/vfio/devices/" + entry.path().filename().string();
    return Descriptor(open(node.c_str(), O_RDWR | O_CLOEXEC));
  }
  errno = ENODEV;
  return {};
}

class NativeMode final : public Mode {
 public:
  NativeMode(std::string address, bool has_dirty_tracking) : address_(std::move(address)) {
    answers_.unmap_first = {ENOENT, 0};
    answers_.unmap_last = {ENOENT, 0};
    answers_.unmap_nothing = {ENOENT, 0};
    answers_.copy = 0;
    answers_.join_out_of_reach = EADDRINUSE;
    answers_.replace = 0;
    answers_.dirty = has_dirty_tracking ? DirtyPages::kWritten : DirtyPages::kNotTold;
    answers_.start_dirty = has_dirty_tracking ? 0 : EOPNOTSUPP;
  }
  const Answers& answers() const override { return answers_; }

  int Open() override {
    iommufd_ = Descriptor(open("/dev/iommu", O_RDWR | O_CLOEXEC));
    if (!iommufd_.is_open()) return errno;
    if (const int error = Bind(address_, device_, id_)) return error;
    const int error = MakeIoas();
    return error != 0 ? error : Attach(device(), ioas_);
  }
  int device() const override { return device_.get(); }

  int Map(uint64_t iova, const std::byte* memory, uint64_t size, uint32_t access) override {
    iommufd::IoasMap map = {};
    map.size = sizeof(map);
    map.flags = FlagsOf(access);
    map.ioas_id = ioas_;
    map.user_va = reinterpret_cast<uint64_t>(memory);
    map.length = size;
    map.iova = iova;
    return Call(iommufd::kIoasMap, map);
  }
  Unmapped Unmap(uint64_t iova, uint64_t size) override {
    iommufd::IoasUnmap unmap = {sizeof(unmap), ioas_, iova, size};
    const int error = Call(iommufd::kIoasUnmap, unmap);
    return {error, error == 0 ? unmap.length : 0};
  }
  int Copy(uint64_t from, uint64_t to, uint64_t size) override {
    iommufd::IoasCopy copy = {};
    copy.size = sizeof(copy);
    copy.flags = FlagsOf(kBoth);
    copy.dst_ioas_id = ioas_;
    copy.src_ioas_id = ioas_;
    copy.length = size;
    copy.dst_iova = to;
    copy.src_iova = from;
    return Call(iommufd::kIoasCopy, copy);
  }
  std::vector<IovaRange> UsableRanges() override {
    iommufd::IovaRange ranges[64] = {};
    iommufd::IoasIovaRanges query = {};
    query.size = sizeof(query);
    query.ioas_id = ioas_;
    query.num_iovas = std::size(ranges);
    query.allowed_iovas = reinterpret_cast<uint64_t>(ranges);
    if (Call(iommufd::kIoasIovaRanges, query) != 0) return {};
    std::vector<IovaRange> usable;
    for (uint32_t i = 0; i < query.num_iovas; ++i) {
      usable.push_back({ranges[i].start, ranges[i].last});
    }
    return usable;
  }

  // Tracking is a page table's, made for it, in place of the one that the device has.
  int StartDirty() override {
    iommufd::HwptAlloc make = {};
    make.size = sizeof(make);
    make.flags = iommufd::kHwptAllocDirtyTracking;
    make.dev_id = id_;
    make.pt_id = ioas_;
    if (const int error = Call(iommufd::kHwptAlloc, make)) return error;
    hwpt_ = make.out_hwpt_id;
    if (const int error = Attach(device(), hwpt_)) return error;
    iommufd::HwptSetDirtyTracking start = {};
    start.size = sizeof(start);
    start.flags = iommufd::kHwptDirtyTrackingEnable;
    start.hwpt_id = hwpt_;
    return Call(iommufd::kHwptSetDirtyTracking, start);
  }
  int ReadDirty(uint64_t iova, uint64_t size, uint64_t& bits) override {
    iommufd::HwptGetDirtyBitmap read = {};
    read.size = sizeof(read);
    read.hwpt_id = hwpt_;
    read.iova = iova;
    read.length = size;
    read.page_size = kPage;
    read.data = reinterpret_cast<uint64_t>(&bits);
    return Call(iommufd::kHwptGetDirtyBitmap, read);
  }

  int Replace(const std::function<void()>& fill) override {
    if (const int error = MakeIoas()) return error;
    fill();
    return Attach(device(), ioas_);
  }
  int Reopen(const std::function<void()>& fill) override { return Replace(fill); }

  int Join(const std::string& address, uint32_t /*group*/) override {
    uint32_t id = 0;
    const int error = Bind(address, other_device_, id);
    return error != 0 ? error : Attach(other_device(), ioas_);
  }
  void Leave() override { other_device_.Close(); }
  int other_device() const override { return other_device_.get(); }

  // A device that is attached to nothing is blocked.
  int Freeze() override {
    abi::DeviceDetachIommufdPt detach = {};
    detach.argsz = offsetof(abi::DeviceDetachIommufdPt, pasid);
    return ErrorOf(ioctl(device(), abi::kDeviceDetachIommufdPt, &detach));
  }
  int Thaw() override { return Attach(device(), ioas_); }

 private:
  static int ErrorOf(int result) { return result < 0 ? errno : 0; }
  template <typename Command>
  int Call(uint32_t request, Command& command) const {
    return ErrorOf(ioctl(iommufd_.get(), request, &command));
  }
  static uint32_t FlagsOf(uint32_t access) {
    return iommufd::kIoasMapFixedIova |
           ((access & kDeviceReads) != 0 ? iommufd::kIoasMapReadable : 0) |
           ((access & kDeviceWrites) != 0 ? iommufd::kIoasMapWriteable : 0);
  }

  // Opens the device and binds it. Writes its number to `id`.
  int Bind(const std::string& address, Descriptor& device, uint32_t& id) const {
    device = OpenCdev(address);
    if (!device.is_open()) return errno;
    abi::DeviceBindIommufd bind = {};
    bind.argsz = sizeof(bind);
    bind.iommufd = iommufd_.get();
    const int error = ErrorOf(ioctl(device.get(), abi::kDeviceBindIommufd, &bind));
    id = bind.out_devid;
    return error;
  }
  int MakeIoas() {
    iommufd::IoasAlloc make = {};
    make.size = sizeof(make);
    const int error = Call(iommufd::kIoasAlloc, make);
    if (error == 0) ioas_ = make.out_ioas_id;
    return error;
  }
  static int Attach(int device, uint32_t table) {
    abi::DeviceAttachIommufdPt attach = {};
    attach.argsz = offsetof(abi::DeviceAttachIommufdPt, pasid);
    attach.pt_id = table;
    return ErrorOf(ioctl(device, abi::kDeviceAttachIommufdPt, &attach));
  }

  const std::string address_;
  Answers answers_;
  Descriptor iommufd_;
  Descriptor device_;
  Descriptor other_device_;
  uint32_t id_ = 0;
  uint32_t ioas_ = 0;
  uint32_t hwpt_ = 0;
};

}  // namespace

std::unique_ptr<Mode> MakeNative(const std::string& address, bool has_dirty_tracking) {
  return std::make_unique<NativeMode>(address, has_dirty_tracking);
}

}  // namespace tests
