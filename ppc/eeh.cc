#include "ppc/eeh.h"

#include <cstddef>

#include "compat/abi/vfio_spapr.h"
#include "compat/vfio/host.h"
#include "ioas/group_errors.h"

namespace ppc {
namespace {

namespace abi = compat::abi;
using compat::settings::PowerPlatform;
using compat::vfio::Host;
using ioas::Error;

// EEH_ERR_FUNC_... of arch/powerpc/include/uapi/asm/eeh.h: a load or a store, of memory, an I/O
// port or configuration space, with a bad address or bad data; and then DMA.
constexpr uint32_t kLoadMemoryAddress = 0;
constexpr uint32_t kLoadMemoryData = 1;
constexpr uint32_t kStoreMemoryAddress = 6;
constexpr uint32_t kStoreMemoryData = 7;
constexpr uint32_t kLastFunction = 19;
// EEH_ERR_TYPE_32 and EEH_ERR_TYPE_64.
constexpr uint32_t kLastType = 1;

ioas::Result<abi::EehPeOp> CopyIn(const compat::decode::DecodedCall& call) {
  ioas::Result<abi::EehPeOp> request = call.CopyIn<abi::EehPeOp>();
  if (!request.ok() || request->op != abi::kEehPeInjectErr) return request;
  if (request->argsz < sizeof(*request)) {
    return Error{EINVAL, "argsz does not cover the error to inject"};
  }
  const ioas::Result<abi::EehPeErr> error =
      call.CopyInBehind<abi::EehPeErr>(offsetof(abi::EehPeOp, err));
  if (!error.ok()) return error.error();
  request->err = *error;
  return request;
}

// One group's PE.
class Pe {
 public:
  Pe(Host& host, uint32_t group, PowerPlatform platform)
      : host_(&host), group_(group), platform_(platform) {}

  ioas::Result<long> Operate(const abi::EehPeOp& request) {
    switch (request.op) {
      case abi::kEehPeDisable:
        return Change(0, ioas::kFreezesOnFault);
      case abi::kEehPeEnable:
        return Enable();
      case abi::kEehPeUnfreezeIo:
        return Unfreeze(ioas::kIoFrozen);
      case abi::kEehPeUnfreezeDma:
        return Unfreeze(ioas::kDmaFrozen);
      case abi::kEehPeGetState:
        return State();
      case abi::kEehPeResetDeactivate:
        return Change(0, ioas::kFrozen | ioas::kInReset);
      case abi::kEehPeResetHot:
      case abi::kEehPeResetFundamental:
        return Reset();
      case abi::kEehPeConfigure:
        // There are no bridges to configure.
        return 0L;
      case abi::kEehPeInjectErr:
        return Inject(request.err);
      default:
        return Error{EINVAL, "no such operation"};
    }
  }

 private:
  bool has(uint32_t any) const { return host_->platform().ErrorsOf(group_).has(any); }

  // A partition's firmware answers for a PE that is being reset: it counts as one that works, until
  // the reset is deactivated. Without a hypervisor it is a frozen one like others.
  bool IsHeldInReset() const { return platform_ == PowerPlatform::kPSeries && has(ioas::kInReset); }

  ioas::Result<long> Change(uint32_t set, uint32_t cleared) {
    IOAS_RETURN_IF_ERROR(host_->ChangeErrors(group_, set, cleared));
    return 0L;
  }

  // eeh_pe_change_owner: what is frozen is thawed.
  ioas::Result<long> Enable() {
    return Change(ioas::kFreezesOnFault, IsHeldInReset() ? 0 : ioas::kFrozen);
  }

  ioas::Result<long> Unfreeze(uint32_t what) { return Change(0, IsHeldInReset() ? 0 : what); }

  long State() const {
    if (IsHeldInReset()) return abi::kEehPeStateReset;
    const bool io = !has(ioas::kIoFrozen);
    const bool dma = !has(ioas::kDmaFrozen);
    if (io) return dma ? abi::kEehPeStateNormal : abi::kEehPeStateStoppedDma;
    return dma ? abi::kEehPeStateUnavail : abi::kEehPeStateStopped;
  }

  // The PE stays frozen, and its configuration space blocked, until the reset is deactivated.
  ioas::Result<long> Reset() {
    IOAS_RETURN_IF_ERROR(host_->ChangeErrors(group_, ioas::kFrozen | ioas::kInReset, 0));
    IOAS_RETURN_IF_ERROR(host_->platform().ResetGroup(group_));
    return 0L;
  }

  ioas::Result<long> Inject(const abi::EehPeErr& error) {
    if (error.func > kLastFunction) return Error{EINVAL, "no such error function"};
    const bool is_partition = platform_ == PowerPlatform::kPSeries;
    if (error.type > kLastType) return Error{is_partition ? EINVAL : ERANGE, "no such error type"};
    const bool is_memory = error.func == kLoadMemoryAddress || error.func == kLoadMemoryData ||
                           error.func == kStoreMemoryAddress || error.func == kStoreMemoryData;
    if (is_partition && !is_memory) {
      return Error{ERANGE, "a partition can inject errors of device memory only"};
    }
    ioas::GroupErrors& errors = host_->platform().ErrorsOf(group_);
    const bool is_first = !errors.is_frozen();
    IOAS_RETURN_IF_ERROR(host_->ChangeErrors(group_, ioas::kFrozen, 0));
    if (is_first) errors.freezes.fetch_add(1, std::memory_order_relaxed);
    return 0L;
  }

  Host* host_;
  uint32_t group_;
  PowerPlatform platform_;
};

}  // namespace

ioas::Result<long> EehPeOp(const compat::vfio::ContainerContext& context, PowerPlatform platform,
                           const compat::decode::DecodedCall& call) {
  const ioas::Result<abi::EehPeOp> request = CopyIn(call);
  if (!request.ok()) return request.error();
  Host& host = *context.host;
  Host::Lock lock(host);
  uint32_t groups[compat::vfio::kMaxDevices];
  for (const uint32_t group : host.GroupsInTurn(*context.container, groups)) {
    const ioas::Result<long> result = Pe(host, group, platform).Operate(*request);
    if (!result.ok() || *result != 0) return result;
  }
  return 0L;
}

}  // namespace ppc
