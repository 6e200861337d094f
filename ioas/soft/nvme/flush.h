// Making what was written last.
#ifndef IOAS_SOFT_NVME_FLUSH_H_
#define IOAS_SOFT_NVME_FLUSH_H_

#include "ioas/soft/nvme/context.h"
#include "ioas/soft/nvme/nvme_spec.h"

namespace ioas::soft::nvme {

// Waits until everything that was written to the image is on its disk. kWriteFault if that failed:
// now, or once since the function was reset so that data was lost.
CommandStatus FlushImage(const Context& context);

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_FLUSH_H_
