// Get Log Page (5.14).
#ifndef IOAS_SOFT_NVME_LOG_PAGES_H_
#define IOAS_SOFT_NVME_LOG_PAGES_H_

#include "ioas/soft/nvme/context.h"
#include "ioas/soft/nvme/nvme_spec.h"

namespace ioas::soft::nvme {

// Carries out Get Log Page. kInvalidLogPage for pages that are not kept, kInvalidField for an
// offset outside the page. What is asked for beyond a page's end is left as it is.
CommandOutcome GetLogPage(const Context& context, const SubmissionEntry& command);

// Enters a failed command into the error log.
void RecordError(Lifetime& lifetime, uint32_t submission_queue, const SubmissionEntry& command,
                 CommandStatus status);

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_LOG_PAGES_H_
