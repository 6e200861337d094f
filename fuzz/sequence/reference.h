// What legacy VFIO calls mean, once more and as plainly as can be: maps of mappings and of pages.
//
// Written from recordings of real kernels (tests/conformance), the kernel's documentation and its
// behaviour; where the product differs on purpose (tests/conformance/deviations.txt) so does this.
// It shares nothing with the product but the structures of compat/abi.
#ifndef FUZZ_SEQUENCE_REFERENCE_H_
#define FUZZ_SEQUENCE_REFERENCE_H_

#include <array>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "fuzz/sequence/request.h"
#include "fuzz/sequence/step.h"

namespace fuzz::sequence {

// What SET_IOMMU chooses, by its number; 0 is none.
inline constexpr uint32_t kNoType = 0;
inline constexpr uint32_t kType1V1 = 1;
inline constexpr uint32_t kSpaprV1 = 2;
inline constexpr uint32_t kType1V2 = 3;
inline constexpr uint32_t kSpaprV2 = 7;

// A mapping of a type 1 container.
struct ReferenceMapping {
  uint64_t size;
  uint64_t address;
  uint32_t access;              // READ and WRITE of MAP_DMA's flags
  bool has_lost_address;        // by UNMAP with VADDR
  std::vector<uint64_t> dirty;  // a bit for each page, and what is left of shifting, while tracking
};

// Memory that the process has registered (POWER).
struct ReferenceRegion {
  uint64_t address;
  uint64_t size;
  uint64_t users;   // registrations, and one for ever once it could not go
  uint64_t mapped;  // pages of windows that lead there

  bool Contains(uint64_t first, uint64_t bytes) const {
    return first - address < size && bytes <= size - (first - address);
  }
};

struct ReferencePage {
  uint64_t address;
  uint32_t access;
  ReferenceRegion* region;  // version 2's
};

struct ReferenceWindow {
  uint64_t start;
  uint64_t pages;
  uint32_t shift;
  std::map<uint64_t, ReferencePage> page;  // by number in the window

  bool Contains(uint64_t iova) const { return iova >= start && (iova - start) >> shift < pages; }
};

struct ReferenceContainer {
  uint32_t type = kNoType;
  std::vector<uint32_t> groups;
  // Type 1.
  std::map<uint64_t, ReferenceMapping> mappings;  // by IOVA
  bool is_tracking = false;
  // SPAPR.
  bool is_enabled = false;
  bool has_owner = false;
  bool is_default_pending = false;
  std::optional<ReferenceWindow> windows[2];
  std::vector<ReferenceRegion*> registered;
};

struct ReferenceGroup {
  std::shared_ptr<ReferenceContainer> container;
  bool is_open = false;
  uint32_t open_devices = 0;
  // After an error (POWER): cut off from programs, and from memory.
  bool is_io_frozen = false;
  bool is_dma_frozen = false;
};

class Reference {
 public:
  explicit Reference(Kind kind) : kind_(kind) {}
  Reference(const Reference&) = delete;
  Reference& operator=(const Reference&) = delete;

  // As Product::Make: `request` becomes what the call makes of it.
  long Make(const Step& step, Request& request);
  void CloseAll();

  // The container that a name stands for, if it does; and a group by its number.
  const ReferenceContainer* ContainerOf(Slot name) const;
  const ReferenceGroup& group(uint32_t number) const { return groups_[number]; }
  const std::list<ReferenceRegion>& regions() const { return regions_; }

 private:
  enum class FileKind { kContainer, kGroup, kDevice };
  struct File {
    FileKind kind;
    uint32_t number;  // a group's, or a device's
    std::shared_ptr<ReferenceContainer> container;
  };

  std::shared_ptr<File>& FileOf(Slot name) { return files_[static_cast<size_t>(name)]; }
  static uint32_t GroupOfDevice(uint32_t device) { return device == 0 ? 0 : 1; }
  long OpenGroup(Slot name, uint32_t number);
  long Close(Slot name);
  void EndGroupIfUnused(uint32_t number);
  long Ioctl(const File& file, Request& request);

  // Groups and devices.
  long GroupCall(uint32_t number, Request& request);
  long GroupStatus(uint32_t number, Request& request) const;
  long SetContainer(Slot name, Slot given);
  long UnsetContainer(uint32_t number);
  void Detach(uint32_t number);
  long GetDevice(Slot name, Slot as, uint32_t device);
  static long DeviceCall(Request& request);

  // Containers of any type.
  long ContainerCall(ReferenceContainer& container, Request& request);
  bool Offers(uint32_t family) const;
  long CheckExtension(const ReferenceContainer& container, uint64_t extension) const;
  long SetIommu(ReferenceContainer& container, uint64_t type) const;
  void CloseIommu(ReferenceContainer& container);

  // Type 1.
  static long Type1Call(ReferenceContainer& container, Request& request);
  static long GetInfo(const ReferenceContainer& container, Request& request);
  static long Map(ReferenceContainer& container, const Request& request);
  static long Unmap(ReferenceContainer& container, Request& request);
  static long UnmapRange(ReferenceContainer& container, Request& request);
  static long DirtyPages(ReferenceContainer& container, Request& request);
  static long DirtyGet(ReferenceContainer& container, Request& request);

  // SPAPR.
  long SpaprCall(ReferenceContainer& container, Request& request);
  static long TceInfo(const ReferenceContainer& container, Request& request);
  long TceMap(ReferenceContainer& container, const Request& request);
  long TceBuild(ReferenceContainer& container, ReferenceWindow& window, const Request& request);
  static long TceUnmap(ReferenceContainer& container, const Request& request);
  long Register(ReferenceContainer& container, const Request& request);
  long Unregister(ReferenceContainer& container, const Request& request);
  static long Create(ReferenceContainer& container, Request& request);
  static long Remove(ReferenceContainer& container, const Request& request);
  long Eeh(const ReferenceContainer& container, const Request& request);
  static long EehOnGroup(ReferenceGroup& group, uint32_t operation);
  static void Thaw(ReferenceGroup& group) { group.is_io_frozen = group.is_dma_frozen = false; }
  ReferenceRegion* FindRegion(uint64_t address, uint64_t size);
  void PutRegion(ReferenceRegion* region);
  void CloseSpapr(ReferenceContainer& container);

  Kind kind_;
  std::array<std::shared_ptr<File>, kSlots> files_;
  ReferenceGroup groups_[2];
  uint32_t device_opens_[3] = {};
  std::list<ReferenceRegion> regions_;
};

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_REFERENCE_H_
