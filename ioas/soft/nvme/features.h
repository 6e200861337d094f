// Set Features and Get Features (5.21, 5.13).
#ifndef IOAS_SOFT_NVME_FEATURES_H_
#define IOAS_SOFT_NVME_FEATURES_H_

#include "ioas/soft/nvme/context.h"
#include "ioas/soft/nvme/nvme_spec.h"

namespace ioas::soft::nvme {

// Gives every feature its default.
void ResetFeatures(FeatureValues& features);

CommandOutcome GetFeatures(const Context& context, const SubmissionEntry& command);
CommandOutcome SetFeatures(const Context& context, const SubmissionEntry& command);

// The critical warnings that hold now (5.14.1.2, byte 0).
uint8_t CriticalWarnings(const NvmeState& state);

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_FEATURES_H_
