#include "tests/behaviour/legacy.h"

#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <cstring>
#include <utility>

#include "compat/abi/iommufd.h"
#include "compat/abi/vfio_container.h"
#include "tests/support/vfio_client.h"

namespace tests {
namespace {

namespace abi = compat::abi;

constexpr uint64_t kWindow = uint64_t{1} << 29;

int ErrorOf(int result) { return result < 0 ? errno : 0; }

// What the container types have in common.
class LegacyMode : public Mode {
 public:
  LegacyMode(LegacyPlace place, int type) : place_(std::move(place)), type_(type) {}

  int Open() override {
    group_ = OpenGroup(place_.group);
    return group_.is_open() ? Join([] {}) : errno;
  }
  int device() const override { return device_.get(); }

  int Map(uint64_t iova, const std::byte* memory, uint64_t size, uint32_t access) override {
    vfio_iommu_type1_dma_map map = {};
    map.argsz = sizeof(map);
    map.flags = ((access & kDeviceReads) != 0 ? VFIO_DMA_MAP_FLAG_READ : 0) |
                ((access & kDeviceWrites) != 0 ? VFIO_DMA_MAP_FLAG_WRITE : 0);
    map.vaddr = reinterpret_cast<uint64_t>(memory);
    map.iova = iova;
    map.size = size;
    return ErrorOf(ioctl(container(), VFIO_IOMMU_MAP_DMA, &map));
  }
  Unmapped Unmap(uint64_t iova, uint64_t size) override {
    vfio_iommu_type1_dma_unmap unmap = {};
    unmap.argsz = sizeof(unmap);
    unmap.iova = iova;
    unmap.size = size;
    const int error = ErrorOf(ioctl(container(), VFIO_IOMMU_UNMAP_DMA, &unmap));
    return {error, error == 0 ? unmap.size : 0};
  }
  // Containers have no such call.
  int Copy(uint64_t from, uint64_t to, uint64_t size) override {
    abi::iommufd::IoasCopy copy = {};
    copy.size = sizeof(copy);
    copy.length = size;
    copy.dst_iova = to;
    copy.src_iova = from;
    return ErrorOf(ioctl(container(), abi::iommufd::kIoasCopy, &copy));
  }

  int StartDirty() override {
    vfio_iommu_type1_dirty_bitmap start = {};
    start.argsz = sizeof(start);
    start.flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_START;
    return ErrorOf(ioctl(container(), VFIO_IOMMU_DIRTY_PAGES, &start));
  }
  int ReadDirty(uint64_t iova, uint64_t size, uint64_t& bits) override {
    struct {
      abi::DirtyBitmap head;
      abi::DirtyBitmapGet get;
    } read = {};
    read.head = {sizeof(read), abi::kIommuDirtyPagesFlagGetBitmap};
    read.get = {.iova = iova,
                .size = size,
                .bitmap = {kPage, sizeof(bits), reinterpret_cast<uint64_t>(&bits)}};
    return ErrorOf(ioctl(container(), VFIO_IOMMU_DIRTY_PAGES, &read));
  }

  int Replace(const std::function<void()>& /*fill*/) override {
    return ErrorOf(ioctl(group_.get(), VFIO_GROUP_UNSET_CONTAINER));
  }
  int Reopen(const std::function<void()>& fill) override {
    device_.Close();
    if (const int error = ErrorOf(ioctl(group_.get(), VFIO_GROUP_UNSET_CONTAINER))) return error;
    container_.Close();
    return Join(fill);
  }

  int Join(const std::string& address, uint32_t group) override {
    other_group_ = OpenGroup(group);
    const int fd = container();
    if (const int error = ErrorOf(ioctl(other_group_.get(), VFIO_GROUP_SET_CONTAINER, &fd))) {
      return error;
    }
    other_device_ =
        Descriptor(ioctl(other_group_.get(), VFIO_GROUP_GET_DEVICE_FD, address.c_str()));
    return other_device_.is_open() ? 0 : errno;
  }
  void Leave() override {
    other_device_.Close();
    other_group_.Close();
  }
  int other_device() const override { return other_device_.get(); }

  int Freeze() override { return place_.freeze(true); }
  int Thaw() override { return place_.freeze(false); }

 protected:
  int container() const { return container_.get(); }
  // What is to be done to a new container before memory is mapped.
  virtual int Prepare() { return 0; }

 private:
  // Makes a container of the group and opens the device in it.
  int Join(const std::function<void()>& fill) {
    container_ = OpenContainer();
    const int fd = container_.get();
    if (ioctl(group_.get(), VFIO_GROUP_SET_CONTAINER, &fd) != 0 ||
        ioctl(fd, VFIO_SET_IOMMU, type_) != 0) {
      return errno;
    }
    if (const int error = Prepare()) return error;
    fill();
    device_ = Descriptor(ioctl(group_.get(), VFIO_GROUP_GET_DEVICE_FD, place_.address.c_str()));
    return device_.is_open() ? 0 : errno;
  }

  LegacyPlace place_;
  int type_;
  Descriptor container_;
  Descriptor group_;
  Descriptor device_;
  Descriptor other_group_;
  Descriptor other_device_;
};

class Type1Mode final : public LegacyMode {
 public:
  Type1Mode(const LegacyPlace& place, int type) : LegacyMode(place, type) {
    answers_.mapping_limit = 65535;
    answers_.goes_on_after_thaw = true;
    // Version 1 removes the mappings that the range has the first address of, whole.
    const bool is_v2 = type == VFIO_TYPE1v2_IOMMU;
    answers_.unmap_first = is_v2 ? Unmapped{EINVAL, 0} : Unmapped{0, 2 * kPage};
    answers_.unmap_last = is_v2 ? Unmapped{EINVAL, 0} : Unmapped{0, 0};
    answers_.dirty = is_v2 ? DirtyPages::kAllMapped : DirtyPages::kNotTold;
    answers_.start_dirty = is_v2 ? 0 : EACCES;
  }
  const Answers& answers() const override { return answers_; }

  std::vector<IovaRange> UsableRanges() override {
    alignas(8) std::byte buffer[4096] = {};
    auto* const info = reinterpret_cast<vfio_iommu_type1_info*>(buffer);
    info->argsz = sizeof(buffer);
    if (ioctl(container(), VFIO_IOMMU_GET_INFO, info) != 0) return {};
    std::vector<IovaRange> ranges;
    uint32_t offset = (info->flags & VFIO_IOMMU_INFO_CAPS) != 0 ? info->cap_offset : 0;
    while (offset != 0) {
      const auto* const header = reinterpret_cast<const vfio_info_cap_header*>(buffer + offset);
      offset = header->next;
      if (header->id != VFIO_IOMMU_TYPE1_INFO_CAP_IOVA_RANGE) continue;
      const auto& list = *reinterpret_cast<const vfio_iommu_type1_info_cap_iova_range*>(header);
      for (uint32_t i = 0; i < list.nr_iovas; ++i) {
        ranges.push_back({list.iova_ranges[i].start, list.iova_ranges[i].end});
      }
    }
    return ranges;
  }

 private:
  Answers answers_;
};

class SpaprMode final : public LegacyMode {
 public:
  explicit SpaprMode(const LegacyPlace& place) : LegacyMode(place, VFIO_SPAPR_TCE_v2_IOMMU) {
    answers_.map_again = 0;
    answers_.map_outside = ENXIO;
    answers_.unmap_first = {0, kPage};
    answers_.unmap_last = {0, kPage};
    answers_.unmap_nothing = {0, kPage};
    // The number is that of REGISTER_MEMORY here.
    answers_.start_dirty = EINVAL;
    answers_.goes_on_after_thaw = true;
  }
  const Answers& answers() const override { return answers_; }

  int Announce(const std::byte* memory, uint64_t size) override {
    return CallAbout(VFIO_IOMMU_SPAPR_REGISTER_MEMORY, memory, size);
  }
  int Withdraw(const std::byte* memory, uint64_t size) override {
    return CallAbout(VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY, memory, size);
  }

  std::vector<IovaRange> UsableRanges() override { return windows_; }

 private:
  // Both windows are to be this small: their tables count as locked memory.
  int Prepare() override {
    vfio_iommu_spapr_tce_remove remove = {};
    remove.argsz = sizeof(remove);
    int error = ErrorOf(ioctl(container(), VFIO_IOMMU_SPAPR_TCE_REMOVE, &remove));
    windows_.clear();
    while (error == 0 && windows_.size() < 2) error = CreateWindow();
    return error;
  }
  int CreateWindow() {
    vfio_iommu_spapr_tce_create create = {};
    create.argsz = sizeof(create);
    create.page_shift = 12;
    create.window_size = kWindow;
    create.levels = 1;
    const int error = ErrorOf(ioctl(container(), VFIO_IOMMU_SPAPR_TCE_CREATE, &create));
    if (error == 0) windows_.push_back({create.start_addr, create.start_addr + (kWindow - 1)});
    return error;
  }
  int CallAbout(unsigned long request, const std::byte* memory, uint64_t size) const {
    vfio_iommu_spapr_register_memory about = {};
    about.argsz = sizeof(about);
    about.vaddr = reinterpret_cast<uint64_t>(memory);
    about.size = size;
    return ErrorOf(ioctl(container(), request, &about));
  }

  Answers answers_;
  std::vector<IovaRange> windows_;
};

}  // namespace

std::unique_ptr<Mode> MakeType1(const LegacyPlace& place, int type) {
  return std::make_unique<Type1Mode>(place, type);
}

std::unique_ptr<Mode> MakeSpapr(const LegacyPlace& place) {
  return std::make_unique<SpaprMode>(place);
}

}  // namespace tests
