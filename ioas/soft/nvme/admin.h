// The commands of the admin queue (5).
#ifndef IOAS_SOFT_NVME_ADMIN_H_
#define IOAS_SOFT_NVME_ADMIN_H_

#include "ioas/soft/nvme/context.h"
#include "ioas/soft/nvme/nvme_spec.h"
#include "ioas/soft/nvme/queues.h"

namespace ioas::soft::nvme {

// Carries out one command of the admin queue. kInvalidOpcode for those that are not supported,
// and the errors that the specification lists with each command.
CommandOutcome ExecuteAdminCommand(const Context& context, Queues& queues,
                                   const SubmissionEntry& command);

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_ADMIN_H_
