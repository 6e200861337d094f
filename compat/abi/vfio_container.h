// The structures and flags of a type 1 container's calls, and the capability chain that all info
// calls share.
//
// Fields have the kernel's names. A kernel structure that ends in an array of unknown length is
// here without it: the array starts at the structure's size. Pointers are uint64_t.
// Source: include/uapi/linux/vfio.h.
#ifndef COMPAT_ABI_VFIO_CONTAINER_H_
#define COMPAT_ABI_VFIO_CONTAINER_H_

#include <cstdint>

namespace compat::abi {

// struct vfio_info_cap_header: one capability of an info call's chain.
struct InfoCapHeader {
  uint16_t id;
  uint16_t version;
  uint32_t next;  // offset of the next capability from the start of the info, 0 for none
};

// struct vfio_iommu_type1_info.
struct Type1Info {
  uint32_t argsz;
  uint32_t flags;  // kIommuInfo...
  uint64_t iova_pgsizes;
  uint32_t cap_offset;
  uint32_t pad;
};
inline constexpr uint32_t kIommuInfoPgsizes = 1u << 0;
inline constexpr uint32_t kIommuInfoCaps = 1u << 1;

// Ids of the capabilities of Type1Info.
inline constexpr uint16_t kIommuType1InfoCapIovaRange = 1;
inline constexpr uint16_t kIommuType1InfoCapMigration = 2;
inline constexpr uint16_t kIommuType1InfoDmaAvail = 3;

// struct vfio_iova_range, inclusive.
struct IovaRange {
  uint64_t start;
  uint64_t end;
};

// struct vfio_iommu_type1_info_cap_iova_range; nr_iovas IovaRanges follow.
struct alignas(uint64_t) Type1InfoCapIovaRange {
  InfoCapHeader header;
  uint32_t nr_iovas;
  uint32_t reserved;
};

// struct vfio_iommu_type1_info_cap_migration.
struct Type1InfoCapMigration {
  InfoCapHeader header;
  uint32_t flags;
  uint32_t pad;  // unnamed in the kernel's
  uint64_t pgsize_bitmap;
  uint64_t max_dirty_bitmap_size;  // bytes
};

// struct vfio_iommu_type1_info_dma_avail.
struct Type1InfoDmaAvail {
  InfoCapHeader header;
  uint32_t avail;
};

// struct vfio_iommu_type1_dma_map; SPAPR containers take it too.
struct DmaMap {
  uint32_t argsz;
  uint32_t flags;  // kDmaMapFlag...
  uint64_t vaddr;
  uint64_t iova;
  uint64_t size;  // bytes
};
inline constexpr uint32_t kDmaMapFlagRead = 1u << 0;
inline constexpr uint32_t kDmaMapFlagWrite = 1u << 1;
inline constexpr uint32_t kDmaMapFlagVaddr = 1u << 2;

// struct vfio_bitmap.
struct Bitmap {
  uint64_t pgsize;  // bytes that one bit stands for
  uint64_t size;    // bytes
  uint64_t data;    // address of the bitmap
};

// struct vfio_iommu_type1_dma_unmap; SPAPR containers take it too. With
// kDmaUnmapFlagGetDirtyBitmap a Bitmap follows.
struct DmaUnmap {
  uint32_t argsz;
  uint32_t flags;  // kDmaUnmapFlag...
  uint64_t iova;
  uint64_t size;  // bytes; out: bytes unmapped
};
inline constexpr uint32_t kDmaUnmapFlagGetDirtyBitmap = 1u << 0;
inline constexpr uint32_t kDmaUnmapFlagAll = 1u << 1;
inline constexpr uint32_t kDmaUnmapFlagVaddr = 1u << 2;

// struct vfio_iommu_type1_dirty_bitmap. With kIommuDirtyPagesFlagGetBitmap a DirtyBitmapGet
// follows.
struct DirtyBitmap {
  uint32_t argsz;
  uint32_t flags;  // kIommuDirtyPagesFlag...
};
inline constexpr uint32_t kIommuDirtyPagesFlagStart = 1u << 0;
inline constexpr uint32_t kIommuDirtyPagesFlagStop = 1u << 1;
inline constexpr uint32_t kIommuDirtyPagesFlagGetBitmap = 1u << 2;

// struct vfio_iommu_type1_dirty_bitmap_get.
struct DirtyBitmapGet {
  uint64_t iova;
  uint64_t size;  // bytes
  Bitmap bitmap;
};

}  // namespace compat::abi

#endif  // COMPAT_ABI_VFIO_CONTAINER_H_
