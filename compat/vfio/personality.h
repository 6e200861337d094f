// What a container's calls mean once VFIO_SET_IOMMU has chosen: type 1, SPAPR TCE, no IOMMU.
#ifndef COMPAT_VFIO_PERSONALITY_H_
#define COMPAT_VFIO_PERSONALITY_H_

#include <cerrno>
#include <cstdint>
#include <span>

#include "compat/decode/decode.h"
#include "compat/vfio/container_state.h"
#include "ioas/address_space.h"
#include "ioas/backend.h"
#include "ioas/base/arena.h"

namespace compat::vfio {

class Host;

// What a personality works on. Made for each call.
struct ContainerContext {
  ioas::Arena* arena = nullptr;
  ioas::Backend* backend = nullptr;
  ContainerState* container = nullptr;
  ioas::IoasHandle handle;  // where the backend finds the address space
  uint32_t process = 0;     // the caller's index in the process table
  Host* host = nullptr;     // for what concerns the container's groups

  ioas::AddressSpace space() const { return {*arena, container->space, backend, &handle}; }
};

// Mappings that were unmapped.
struct Removed {
  uint64_t mappings;
  uint64_t bytes;
};

// Pages whose record was taken.
struct DirtyPages {
  uint64_t first;      // IOVA of the first
  uint64_t pages;      // how many; 0: nothing is mapped in the range
  uint64_t page_size;  // in bytes
};

// Has no state of its own: all of it lies in the container. The counterpart of the kernel's struct
// vfio_iommu_driver_ops (drivers/vfio/vfio.h).
class Personality {
 public:
  // VFIO_CHECK_EXTENSION. `container` is null while no IOMMU is set. Returns what the call returns.
  virtual long CheckExtension(uint64_t extension, const ContainerState* container) const = 0;

  // Whether VFIO_SET_IOMMU may choose `type`.
  virtual bool Offers(uint64_t type) const = 0;

  // How many mappings a container of `type` may hold.
  virtual uint32_t MappingLimit(decode::ContainerType type) const = 0;

  // Whether a container of `type` may hold `groups` groups: asked when SET_IOMMU chooses the type,
  // while context.container has none yet, and when a group joins later. The host's lock is held.
  virtual ioas::Status Admit(const ContainerContext& /*context*/, decode::ContainerType /*type*/,
                             uint32_t /*groups*/) const {
    return {};
  }

  // VFIO_SET_IOMMU has chosen `type`: the address space is configured and empty, its lock is held,
  // and the host's. ENOMEM; the container has no IOMMU then.
  virtual ioas::Status Open(const ContainerContext& context, decode::ContainerType type) const = 0;
  // The container loses its IOMMU: unmaps all. The address space's lock is held.
  virtual void Close(const ContainerContext& context) const = 0;

  // Unmaps for an operator, and not for the program, what lies in `range`; with `dry_run`, only
  // says what that would be. EINVAL, and nothing changes, if a mapping lies there in part;
  // otherwise fails as ioas::AddressSpace's functions do. The address space's lock is held.
  virtual ioas::Result<Removed> Remove(const ContainerContext& context,
                                       const ioas::IovaRange& range, bool dry_run) const = 0;

  // Begins, or ends, to record for an operator which pages devices write. EOPNOTSUPP if the type
  // has nothing like it, EBUSY if the program records them itself, ENOMEM. Beginning what has
  // begun, and ending what has not, changes nothing. The address space's lock is held.
  virtual ioas::Status TrackDirty(const ContainerContext& /*context*/, bool /*track*/,
                                  bool /*dry_run*/) const {
    return ioas::Error{EOPNOTSUPP, "the container's type has no dirty tracking"};
  }
  // Takes the record of a part of `range`: from the first page on that is mapped there, of as many
  // that are mapped without a gap as `bits` has room for. A bit of `bits`, which are 0, is set for
  // each of them that was written since the record was last taken. EINVAL if the range does not
  // consist of pages or nothing is recorded; otherwise as TrackDirty. The address space's lock is
  // held.
  virtual ioas::Result<DirtyPages> ReadDirty(const ContainerContext& /*context*/,
                                             const ioas::IovaRange& /*range*/,
                                             std::span<uint64_t> /*bits*/) const {
    return ioas::Error{EOPNOTSUPP, "the container's type has no dirty tracking"};
  }

  // Whether the calling process may make calls on the container, asked before a call that it does
  // not have. Call asks by itself.
  virtual ioas::Status CheckCaller(const ContainerContext& /*context*/) const { return {}; }

  // Carries out a call that is the personality's. Takes the address space's lock itself. Returns
  // what ioctl() returns.
  virtual ioas::Result<long> Call(const ContainerContext& context,
                                  const decode::DecodedCall& call) const = 0;

 protected:
  ~Personality() = default;
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_PERSONALITY_H_
