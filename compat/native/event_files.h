// Objects that are files as well: what programs read of the IOMMU. Internal to this folder.
#ifndef COMPAT_NATIVE_EVENT_FILES_H_
#define COMPAT_NATIVE_EVENT_FILES_H_

#include <cstdint>

#include "compat/native/context.h"
#include "compat/vfio/native.h"
#include "ioas/base/result.h"
#include "ioas/soft/event_file.h"

namespace compat::native {

// The object that file `slot` stands for, kFault or kVeventq; 0: none. There are few.
uint32_t FindByFile(const Context& context, uint32_t slot);

// Frees the memory of an object at `unit` that is none any more, if it is of the kinds that have to
// do with events: kFault, kViommu, kVdevice, kVeventq.
void FreeEvents(const Context& context, ObjectKind kind, uint32_t unit);

// Opens the file of object `id` and calls `respond(descriptor)`; if that fails, or the file cannot
// be had, the object has none. Needs the host's lock.
template <typename Respond>
ioas::Status GiveFile(Context& context, const vfio::NewFile& file, uint32_t id, Respond respond) {
  const ioas::Status responded = respond(file.descriptor);
  if (!responded.ok()) {
    context.host().CloseEventFile(file);
    return responded;
  }
  context.AddUser(id);
  context.host().parts().descriptors->OnNew(file.descriptor, file.slot);
  return {};
}

// The name that whoever adds events wakes readers by.
inline ioas::soft::EventFileName NameOf(const vfio::Host& host, uint32_t slot) {
  return {host.files().slot(slot).position, slot};
}

// A descriptor of this process's for file `slot`; negative if it has none.
inline int DescriptorOf(const Context& context, uint32_t slot) {
  return slot == 0 ? -1 : context.host().parts().descriptors->DescriptorOf(slot);
}

// read() and write() of file `slot`. Behaviour: the fops in drivers/iommu/iommufd/eventq.c.
ioas::Result<long> ReadEventFile(const Context& context, uint32_t slot,
                                 const vfio::CallerBuffer& buffer);
ioas::Result<long> WriteEventFile(const Context& context, uint32_t slot,
                                  const vfio::CallerBuffer& buffer);
// Its last descriptor is gone.
void CloseEventFile(Context& context, uint32_t slot);

// Whether any file of events keeps the context.
bool HasEventFiles(const Context& context);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_EVENT_FILES_H_
