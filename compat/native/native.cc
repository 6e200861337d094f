#include "compat/native/native.h"

#include <cerrno>

#include "compat/native/binding.h"
#include "compat/native/calls.h"
#include "compat/native/cdev_calls.h"
#include "compat/native/context.h"
#include "compat/native/event_files.h"
#include "compat/native/mock_devices.h"
#include "compat/native/view.h"

namespace compat::native {
namespace {

using decode::Call;
using ioas::ArenaRef;
using ioas::Error;
using ioas::Result;
using ioas::Status;

ContextState& ContextAt(const vfio::Host& host, uint32_t unit) {
  return *host.arena().Get(ArenaRef<ContextState>{unit});
}

// The calls about what devices go through.
Status CarryOutForDevice(const Caller& caller, const decode::DecodedCall& call) {
  switch (call.row->call) {
    case Call::kIommufdHwptAlloc:
      return HwptAlloc(caller, call);
    case Call::kIommufdGetHwInfo:
      return GetHwInfo(caller, call);
    case Call::kIommufdHwptInvalidate:
      return HwptInvalidate(caller, call);
    case Call::kIommufdHwptSetDirtyTracking:
      return HwptSetDirtyTracking(caller, call);
    case Call::kIommufdHwptGetDirtyBitmap:
      return HwptGetDirtyBitmap(caller, call);
    case Call::kIommufdFaultQueueAlloc:
      return FaultQueueAlloc(caller, call);
    case Call::kIommufdViommuAlloc:
      return ViommuAlloc(caller, call);
    case Call::kIommufdVdeviceAlloc:
      return VdeviceAlloc(caller, call);
    case Call::kIommufdVeventqAlloc:
      return VeventqAlloc(caller, call);
    case Call::kIommufdHwQueueAlloc:
      return HwQueueAlloc(caller, call);
    default:
      return Error{ENOTTY, "the host has no such call"};
  }
}

Status CarryOut(const Caller& caller, const decode::DecodedCall& call) {
  switch (call.row->call) {
    case Call::kIommufdDestroy:
      return Destroy(caller, call);
    case Call::kIommufdIoasAlloc:
      return IoasAlloc(caller, call);
    case Call::kIommufdIoasAllowIovas:
      return IoasAllowIovas(caller, call);
    case Call::kIommufdIoasCopy:
      return IoasCopy(caller, call);
    case Call::kIommufdIoasIovaRanges:
      return IoasIovaRanges(caller, call);
    case Call::kIommufdIoasMap:
      return IoasMap(caller, call);
    case Call::kIommufdIoasMapFile:
      return IoasMapFile(caller, call);
    case Call::kIommufdIoasChangeProcess:
      return IoasChangeProcess(caller, call);
    case Call::kIommufdIoasUnmap:
      return IoasUnmap(caller, call);
    case Call::kIommufdOption:
      return Option(caller, call);
    case Call::kIommufdVfioIoas:
      return VfioIoas(caller, call);
    default:
      return CarryOutForDevice(caller, call);
  }
}

class IommufdFiles final : public vfio::Native {
 public:
  Result<uint32_t> NewContext(vfio::Host& host) const override {
    ArenaRef<ContextState>& all = host.state().contexts;
    ArenaRef<ContextState> free = all;
    while (free && ContextAt(host, free.unit).in_use != 0) free = ContextAt(host, free.unit).next;
    if (!free) {
      ioas::Arena arena = host.arena();
      const auto made = arena.New<ContextState>();
      if (!made.ok()) return made.error();
      ContextState& fresh = *arena.Get(*made);
      fresh.mutex.Initialize();
      fresh.next = all;
      all = *made;
      free = *made;
    }
    ContextAt(host, free.unit).in_use = 1;
    ContextAt(host, free.unit).accounts_by_process = 0;
    return free.unit;
  }

  void OnContextOpened(vfio::Host& host, uint32_t context, uint32_t slot) const override {
    ContextState& state = ContextAt(host, context);
    state.slot = slot;
    state.file_open = slot != 0 ? 1 : 0;
    state.in_use = state.file_open;
    if (slot != 0) NumberContext(host, state);
  }

  void EndContext(vfio::Host& host, uint32_t context) const override {
    ContextState& state = ContextAt(host, context);
    state.file_open = 0;
    EndContextIfUnused(host, state);
  }

  Status JoinContext(vfio::Host& host, uint32_t context) const override {
    return native::JoinContext(host, ContextAt(host, context));
  }

  void LeaveContext(vfio::Host& host, uint32_t context) const override {
    EndContextIfUnused(host, ContextAt(host, context));
  }

  Status BindByGroup(vfio::Host& host, uint32_t device, uint32_t context) const override {
    return native::BindByGroup(host, device, context);
  }

  void UnbindByGroup(vfio::Host& host, uint32_t device) const override { Unbind(host, device); }

  void EndCdev(vfio::Host& host, uint32_t device, uint32_t slot) const override {
    CloseCdev(host, device, slot);
  }

  void EndEvents(vfio::Host& host, uint32_t context, uint32_t slot) const override {
    ContextState& state = ContextAt(host, context);
    {
      Context view({host, state, state.slot});
      CloseEventFile(view, slot);
    }
    EndContextIfUnused(host, state);
  }

  Result<long> ReadEvents(vfio::Host& host, uint32_t context, uint32_t slot,
                          const vfio::CallerBuffer& buffer) const override {
    ContextState& state = ContextAt(host, context);
    return ReadEventFile(Context({host, state, state.slot}), slot, buffer);
  }

  Result<long> WriteEvents(vfio::Host& host, uint32_t context, uint32_t slot,
                           const vfio::CallerBuffer& buffer) const override {
    ContextState& state = ContextAt(host, context);
    return WriteEventFile(Context({host, state, state.slot}), slot, buffer);
  }

  Status VisitIoases(vfio::Host& host, uint32_t first, uint32_t patience,
                     vfio::IoasVisitor& visitor) const override {
    return native::VisitIoases(host, first, patience, visitor);
  }

  Result<long> ContextIoctl(vfio::Host& host, uint32_t context, uint32_t slot,
                            const vfio::CallArguments& arguments) const override {
    const auto call = decode::Decode(decode::DescriptorKind::kIommufd, decode::ContainerType::kNone,
                                     arguments.request, arguments.argument, arguments.memory);
    const Caller caller = {host, ContextAt(host, context), slot};
    if (mock_devices != nullptr) mock_devices->before_call(caller);
    if (mock_devices != nullptr && static_cast<uint32_t>(arguments.request) == kTestCommand) {
      IOAS_RETURN_IF_ERROR(mock_devices->call(caller, arguments));
      return 0L;
    }
    if (!call.ok()) return call.error();
    if (call->row->form != decode::ArgumentForm::kSizeStruct) return LegacyCall(caller, *call);
    IOAS_RETURN_IF_ERROR(CarryOut(caller, *call));
    return 0L;
  }

  Result<long> CdevIoctl(vfio::Host& host, uint32_t device, uint32_t slot, int fd,
                         const vfio::CallArguments& arguments) const override {
    return CallCdev({host, device, slot, fd}, arguments);
  }
};

}  // namespace

const vfio::Native& Iommufd() {
  static constexpr IommufdFiles kFiles;
  return kFiles;
}

}  // namespace compat::native
