// iommufd's own files, on hosts that have them: what compat/native makes of them.
#ifndef COMPAT_VFIO_NATIVE_H_
#define COMPAT_VFIO_NATIVE_H_

#include <cstdint>
#include <span>

#include "compat/session/channel.h"
#include "compat/vfio/platform.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"

namespace compat::vfio {

// What read() and write() are called with.
struct CallerBuffer {
  uint64_t address;
  uint64_t size;
  decode::CallerMemory& memory;
};

// An address space of a context: what others than its program see of it.
struct IoasView {
  uint32_t number;   // of no other address space of the host, nor of a container:
                     // session::kIoasBit, the context's number from bit 16 on, the object's below
  uint32_t context;  // the context's number
  uint32_t object;   // its number there
  uint32_t opener;   // the process that opened the context
  uint64_t groups;   // a bit for each group of which a device is attached, by a PASID as well
  // Device objects of the context, of which reserved ranges may be.
  struct BoundDevice {
    uint32_t object;
    uint32_t device;  // the host's index
  };
  std::span<const BoundDevice> devices;
  ioas::ArenaRef<ioas::AddressSpaceState> space;
};
inline constexpr uint32_t kIoasContextShift = 16;
// Contexts' numbers end there, and begin anew.
inline constexpr uint32_t kLastContext = (1u << (31 - kIoasContextShift)) - 1;

class IoasVisitor {
 public:
  // Returns whether it wants to see the next one. The context's lock is held.
  virtual bool Visit(const IoasView& view) = 0;

 protected:
  ~IoasVisitor() = default;
};

// All functions but the calls need the host's lock.
class Native {
 public:
  // open() of /dev/iommu: returns where the new context lies in the arena. ENOMEM.
  virtual ioas::Result<uint32_t> NewContext(Host& host) const = 0;
  // The file of `context` is `slot`, or could not be opened: 0.
  virtual void OnContextOpened(Host& host, uint32_t context, uint32_t slot) const = 0;
  // Its file has ended.
  virtual void EndContext(Host& host, uint32_t context) const = 0;
  // A group's container shall be `context`: legacy calls on its file get an address space, if they
  // have none. ENOMEM.
  virtual ioas::Status JoinContext(Host& host, uint32_t context) const = 0;
  // No group's container is `context` any more.
  virtual void LeaveContext(Host& host, uint32_t context) const = 0;
  // Binds `device`, which was opened through its group, to `context`, and attaches it to the
  // address space of legacy calls. EBUSY if another context has a device of the group, ENODEV if
  // legacy calls have no address space, ENOMEM, and the errors of an attachment; then nothing has
  // changed (vfio_df_group_open in drivers/vfio/group.c).
  virtual ioas::Status BindByGroup(Host& host, uint32_t device, uint32_t context) const = 0;
  // Undoes that.
  virtual void UnbindByGroup(Host& host, uint32_t device) const = 0;
  // The cdev file `slot` of `device` has ended.
  virtual void EndCdev(Host& host, uint32_t device, uint32_t slot) const = 0;

  // The file `slot` of `context` that a program reads events from has ended.
  virtual void EndEvents(Host& host, uint32_t context, uint32_t slot) const = 0;

  // read() and write() of such a file.
  virtual ioas::Result<long> ReadEvents(Host& host, uint32_t context, uint32_t slot,
                                        const CallerBuffer& buffer) const = 0;
  virtual ioas::Result<long> WriteEvents(Host& host, uint32_t context, uint32_t slot,
                                         const CallerBuffer& buffer) const = 0;

  // Shows `visitor` the address spaces of all contexts, ascending by number, from that of `first`
  // on. EBUSY if a context's lock cannot be had within `patience` milliseconds; for threads that
  // have all signals blocked.
  virtual ioas::Status VisitIoases(Host& host, uint32_t first, uint32_t patience,
                                   IoasVisitor& visitor) const = 0;

  // ioctl() on a context, and on a cdev that is `slot`. Return what it returns.
  virtual ioas::Result<long> ContextIoctl(Host& host, uint32_t context, uint32_t slot,
                                          const CallArguments& arguments) const = 0;
  virtual ioas::Result<long> CdevIoctl(Host& host, uint32_t device, uint32_t slot, int fd,
                                       const CallArguments& arguments) const = 0;

 protected:
  ~Native() = default;
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_NATIVE_H_
