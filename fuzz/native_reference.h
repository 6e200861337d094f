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

struct ReferenceMapping {
  uint64_t last;
  uint64_t address;
  bool may_permit_writing;
};

enum class ReferenceKind : uint8_t { kIoas, kHwpt, kDevice };

struct ReferenceObject {
  ReferenceKind kind;
  // An address space.
  std::map<uint64_t, ReferenceMapping> mappings;
  std::vector<ReferenceRange> allowed;
  // A page table.
  uint32_t ioas = 0;
  bool is_auto = false;
  // A device.
  uint32_t device = 0;
  uint32_t hwpt = 0;  // 0: it is attached to nothing
};

// One context and the host's devices: 0 is alone in its group, 1 and 2 share one. Results are those
// of the calls: 0 or a negated errno.
class NativeReference {
 public:
  static constexpr uint32_t kDevices = 3;
  // Memory that is there; mappings of other memory are EFAULT once a device is.
  explicit NativeReference(const ReferenceRange& memory) : memory_(memory) {}

  uint32_t NewIoas();
  long Destroy(uint32_t id);
  // `place`: what the call chose, where it was to.
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
  long NewHwpt(uint32_t device_id, uint32_t ioas, uint32_t& id);

  const std::map<uint32_t, ReferenceObject>& objects() const { return objects_; }
  // What of an address space nothing keeps from being mapped.
  bool IsUsable(uint32_t ioas, const ReferenceRange& range) const;

 private:
  ReferenceObject* Find(uint32_t id, ReferenceKind kind);
  uint32_t Add(ReferenceObject object);
  uint32_t Users(uint32_t id) const;
  uint32_t Domains(uint32_t ioas) const;
  std::vector<ReferenceRange> Reserved(uint32_t ioas) const;
  bool IsThere(const ReferenceMapping& mapping, uint64_t first) const;
  long Place(uint32_t ioas, uint64_t iova,
             std::vector<std::pair<uint64_t, ReferenceMapping>> pieces, bool writable);
  long AddDomain(uint32_t ioas, uint32_t& id);
  long ReserveFor(uint32_t hwpt) const;
  long ChangeTable(uint32_t id, uint32_t hwpt);
  long AttachFirst(uint32_t id, uint32_t hwpt);
  long Replace(uint32_t id, uint32_t hwpt);
  uint32_t TableOfGroup(uint32_t device) const;

  ReferenceRange memory_;
  std::map<uint32_t, ReferenceObject> objects_;
  std::array<uint32_t, kDevices> bound_ = {};  // their objects; 0: not bound
};

}  // namespace fuzz

#endif  // FUZZ_NATIVE_REFERENCE_H_
