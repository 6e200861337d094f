// Groups that an error froze.
#include "ioas/soft/freeze.h"

#include "compat/soft/soft_platform.h"

namespace compat::soft {

using ioas::soft::SoftDevice;

uint32_t SoftPlatform::SoftIndexOf(uint32_t group) const {
  return ioas::soft::FindGroup(soft(), host_->state().groups[group].number);
}

ioas::GroupErrors& SoftPlatform::ErrorsOf(uint32_t group) {
  return soft().groups[SoftIndexOf(group)].errors;
}

ioas::Status SoftPlatform::FollowErrors(uint32_t group) {
  ioas::soft::FollowErrorsOfGroup(host_->arena(), soft(), SoftIndexOf(group));
  if (ErrorsOf(group).has(ioas::kIoFrozen)) return {};
  // What was written before the error is still to be done.
  for (uint32_t i = 0; i < host_->state().device_count; ++i) {
    if (host_->state().devices[i].group != group) continue;
    if (SoftDevice* const thawed = device(i); thawed != nullptr) thawed->Resume();
  }
  return {};
}

ioas::Status SoftPlatform::ResetGroup(uint32_t group) {
  for (uint32_t i = 0; i < host_->state().device_count; ++i) {
    if (host_->state().devices[i].group != group) continue;
    SoftDevice* const reset = device(i);
    if (reset == nullptr) return ioas::Error{EIO, "the device cannot be had in this process"};
    reset->ResetFunction();
  }
  return {};
}

}  // namespace compat::soft
