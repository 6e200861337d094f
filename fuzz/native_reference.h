// What iommufd's calls mean, as maps: what fuzz/native_iommufd.cc compares with. Written from
// Documentation/userspace-api/iommufd.rst and include/uapi/linux/iommufd.h.
#ifndef FUZZ_NATIVE_REFERENCE_H_
#define FUZZ_NATIVE_REFERENCE_H_

#include <array>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

namespace fuzz {

// The addresses from `first` to `last`.
struct ReferenceRange {
  uint64_t first;
  uint64_t last;
  bool Meets(const ReferenceRange& other) const {
    return first <= other.last && other.first <= last;
  }
};

inline constexpr uint64_t kPage = 4096;
// Where the reference has the bytes of the one file that is mapped, and how many these are.
inline constexpr uint64_t kFile = uint64_t{1} << 50;
inline constexpr uint64_t kFileSize = 24 * kPage;
// What the software host's devices keep for interrupts, and what they do not reach.
inline constexpr ReferenceRange kInterrupts = {0xfee00000, 0xfeefffff};
inline constexpr ReferenceRange kBeyond = {0x8000000000, UINT64_MAX};

struct ReferenceMapping {
  uint64_t last;
  uint64_t address;
  bool may_permit_writing;
};

enum class ReferenceKind : uint8_t {
  kIoas,
  kHwpt,
  kDevice,
  kNested,
  kViommu,
  kVdevice,
  kTombstone,  // none, but its number stays taken
};

struct ReferenceObject {
  ReferenceKind kind;
  // An address space.
  std::map<uint64_t, ReferenceMapping> mappings;
  std::vector<ReferenceRange> allowed;
  // A page table, nested ones too.
  uint32_t ioas = 0;
  bool is_auto = false;
  bool has_dirty_tracking = false;
  bool is_parent = false;
  bool is_for_pasids = false;
  // What it is on, and a vIOMMU and a number in one too: a page table, or a vIOMMU.
  uint32_t parent = 0;
  uint64_t virtual_id = 0;
  // A device; for a number in a vIOMMU the object of one.
  uint32_t device = 0;
  uint32_t hwpt = 0;                         // 0: it is attached to nothing
  bool is_pasid_zero = false;                // by a call with a PASID, which was 0
  std::map<uint32_t, uint32_t> pasids = {};  // page tables by PASID, but for 0
};

// The group of one of the host's devices.
uint32_t GroupOf(uint32_t device);

// One context and the host's devices: 0 is alone in its group, 1, 2 and 5 share one, 3 and 4 do.
// Results are those of the calls: 0 or a negated errno.
class NativeReference {
 public:
  static constexpr uint32_t kDevices = 6;
  static constexpr uint32_t kDrives = 3;  // the others have PASIDs
  // Memory that is there; mappings of other memory are EFAULT once a device is, and mappings of
  // what the file has not are EINVAL.
  explicit NativeReference(const ReferenceRange& memory) : memory_(memory) {}

  uint32_t NewIoas();
  long Destroy(uint32_t id);
  // `place`: what the call chose, where it was to. Of the file, from kFile + its offset on.
  long Map(uint32_t ioas, uint64_t address, uint64_t length, std::optional<uint64_t> iova,
           bool writable, uint64_t place);
  long Unmap(uint32_t ioas, uint64_t iova, uint64_t length, uint64_t& unmapped);
  long Copy(uint32_t to, uint32_t from, uint64_t iova, uint64_t length, uint64_t from_iova,
            bool writable);
  long Allow(uint32_t ioas, const std::vector<ReferenceRange>& ranges);
  long Bind(uint32_t device, uint32_t& id);
  void Unbind(uint32_t device);
  long Attach(uint32_t device, uint32_t& table);
  long Detach(uint32_t device);
  long AttachPasid(uint32_t device, uint32_t pasid, uint32_t& table);
  long DetachPasid(uint32_t device, uint32_t pasid);
  // How many bits the PASIDs of a device object have.
  uint32_t PasidBits(uint32_t device_id) const;
  long NewHwpt(uint32_t device_id, uint32_t ioas, uint32_t flags, uint32_t& id);
  long SetDirtyTracking(uint32_t hwpt, uint32_t flags);
  // No device writes here: whatever is asked for is clean.
  long GetDirtyBitmap(uint32_t hwpt, uint32_t flags, uint64_t iova, uint64_t length,
                      uint64_t page_size);
  long GetHwInfo(uint32_t device_id);
  long NewNested(uint32_t device_id, uint32_t on, bool is_for_pasids, uint32_t& id);
  long NewViommu(uint32_t device_id, uint32_t hwpt, uint32_t& id);
  long NewVdevice(uint32_t viommu, uint32_t device_id, uint64_t virtual_id, uint32_t& id);

  const std::map<uint32_t, ReferenceObject>& objects() const { return objects_; }
  // What of an address space nothing keeps from being mapped.
  bool IsUsable(uint32_t ioas, const ReferenceRange& range) const;

 private:
  ReferenceObject* Find(uint32_t id, ReferenceKind kind);
  uint32_t Add(ReferenceObject object);
  uint32_t Users(uint32_t id) const;
  uint32_t Domains(uint32_t ioas) const;
  std::vector<ReferenceRange> Reserved(uint32_t ioas) const;
  // 0 if all of the mapping's memory is there.
  long Missing(const ReferenceMapping& mapping, uint64_t first) const;
  long Place(uint32_t ioas, uint64_t iova,
             std::vector<std::pair<uint64_t, ReferenceMapping>> pieces, bool writable);
  long AddDomain(uint32_t ioas, uint32_t& id);
  long ReserveFor(uint32_t hwpt) const;
  long AttachDevice(uint32_t id, uint32_t& table);
  void DetachDevice(uint32_t id);
  long ChangeTable(uint32_t id, uint32_t hwpt);
  long AttachFirst(uint32_t id, uint32_t hwpt);
  long Replace(uint32_t id, uint32_t hwpt);
  uint32_t TableOfGroup(uint32_t device) const;
  // PASIDs (native_reference_pasids.cc).
  bool HasPasids(uint32_t device) const;
  uint32_t TableOfPasid(uint32_t device, uint32_t pasid) const;
  long CheckKind(uint32_t table) const;
  long CheckPasid(uint32_t device, uint32_t pasid, uint32_t hwpt) const;
  long ReplacePasid(uint32_t id, uint32_t pasid, uint32_t table);

  ReferenceRange memory_;
  std::map<uint32_t, ReferenceObject> objects_;
  std::array<uint32_t, kDevices> bound_ = {};  // their objects; 0: not bound
};

}  // namespace fuzz

#endif  // FUZZ_NATIVE_REFERENCE_H_
