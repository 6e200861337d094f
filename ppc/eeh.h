// Enhanced error handling (EEH): what programs do about errors on POWER. A group's devices are one
// partitionable endpoint (PE). An error freezes it; the program finds that out, and recovers it.
#ifndef PPC_EEH_H_
#define PPC_EEH_H_

#include "compat/decode/decode.h"
#include "compat/settings/settings.h"
#include "compat/vfio/personality.h"
#include "ioas/base/result.h"

namespace ppc {

// VFIO_EEH_PE_OP on a SPAPR TCE container, which acts on each of its groups in turn until one
// returns something else than 0. Returns that: for GET_STATE, kEehPeState.... EFAULT, EINVAL,
// ERANGE (no such error, or none that can be injected), EIO (Platform::FollowErrors, ResetGroup).
// Takes the host's lock.
//
// Behaviour: vfio_spapr_ioctl_eeh_pe_op in drivers/vfio/vfio_iommu_spapr_tce.c,
// arch/powerpc/kernel/eeh.c, and below it platforms/powernv/eeh-powernv.c and
// platforms/pseries/eeh_pseries.c, with firmware that can inject everything it is asked for. In the
// kernel a PE freezes by any error, and ENABLE and DISABLE change nothing of that. Here a device's
// own DMA fault freezes it only between the two: a program that does not ask for EEH could not
// recover. An error that is injected is met at once, whatever its address.
ioas::Result<long> EehPeOp(const compat::vfio::ContainerContext& context,
                           compat::settings::PowerPlatform platform,
                           const compat::decode::DecodedCall& call);

}  // namespace ppc

#endif  // PPC_EEH_H_
