#include "ppc/spapr_container.h"

#include "compat/abi/vfio_spapr.h"

namespace ppc {

using compat::decode::DecodedCall;
using ioas::Error;
namespace abi = compat::abi;

namespace {

class NoSink final : public ioas::PageRunSink {
 public:
  void OnRun(uint64_t /*user_address*/, uint64_t /*pages*/) override {}
};

}  // namespace

ioas::Status SpaprContainer::CheckOwner() const {
  if (state_.owner.pid == 0) return {};
  if (state_.process == context_.process &&
      processes().identity(context_.process) == state_.owner) {
    return {};
  }
  return Error{EPERM, "the container is another process's"};
}

void SpaprContainer::TakeOver() {
  if (state_.owner.pid != 0) return;
  state_.owner = processes().identity(context_.process);
  state_.process = context_.process;
}

RegisteredMemory SpaprContainer::registered_memory() const {
  const auto all = context_.host->state().registered_memory;
  return {*context_.arena, context_.arena->Get(all), processes()};
}

ioas::Result<long> SpaprContainer::GetInfo(const DecodedCall& call) const {
  ioas::Result<abi::SpaprTceInfo> info = call.CopyIn<abi::SpaprTceInfo>();
  if (!info.ok()) return info.error();
  const PlatformProfile& platform = state_.platform;
  info->dma32_window_start = 0;
  info->dma32_window_size = static_cast<uint32_t>(platform.default_size);
  info->flags = 0;
  info->ddw = {};
  if (IsV2()) {
    info->flags = abi::kIommuSpaprInfoDdw;
    info->ddw = {.pgsizes = platform.page_sizes,
                 .max_dynamic_windows_supported = platform.windows,
                 .levels = platform.levels};
  }
  const bool has_room = info->argsz >= sizeof(abi::SpaprTceInfo);
  IOAS_RETURN_IF_ERROR(
      call.CopyOut(*info, has_room ? sizeof(*info) : offsetof(abi::SpaprTceInfo, ddw)));
  return 0L;
}

// The window's size is what its pages can lock at most, and stands for that.
ioas::Result<long> SpaprContainer::Enable() {
  if (state_.is_enabled != 0) return Error{EBUSY, "the container is enabled"};
  TakeOver();
  IOAS_RETURN_IF_ERROR(processes().LockMemory(state_.platform.default_size, nullptr));
  state_.enabled_bytes = state_.platform.default_size;
  state_.is_enabled = 1;
  return 0L;
}

ioas::Result<long> SpaprContainer::Disable() {
  state_.is_enabled = 0;
  processes().UnlockMemory(state_.process, state_.enabled_bytes);
  state_.enabled_bytes = 0;
  return 0L;
}

void SpaprContainer::Close() {
  NoSink nobody;
  for (uint32_t number = 0; number < ioas::kMaxWindows; ++number) DropWindow(number, nobody);
  ioas::MappingIndex pinned = pins();
  // Where its process died in the middle of a change, all of its memory goes with the process.
  if (pinned.Validate()) {
    for (auto pin = pinned.FindFirstOverlapping(0, UINT64_MAX); pin;
         pin = pinned.Next(pin->first)) {
      context_.backend->Unpin(context_.handle, PinnedBy(*pin));
      if (pin->flags != 0) {
        registered_memory().Release(state_.memory, pin->first, /*borrows=*/false);
      } else {
        registered_memory().Return(state_.memory, pin->first);
      }
    }
  }
  pinned.Clear();
  if (state_.memory) registered_memory().Leave(state_.memory);
  state_.memory = {};
  processes().UnlockMemory(state_.process, state_.enabled_bytes);
  state_.enabled_bytes = 0;
}

}  // namespace ppc
