// What commands are carried out on.
#ifndef IOAS_SOFT_NVME_CONTEXT_H_
#define IOAS_SOFT_NVME_CONTEXT_H_

#include <ctime>

#include "ioas/soft/device_model.h"
#include "ioas/soft/nvme/block_image.h"
#include "ioas/soft/nvme/config.h"
#include "ioas/soft/nvme/state.h"

namespace ioas::soft::nvme {

// The shared state, and the ways out of it. One to a controller object, which outlives all uses.
struct Context {
  const NvmeConfig& config;
  NvmeState& state;
  DmaPort& dma;
  BlockImage& image;

  Session& session() const { return state.session; }
};

// Milliseconds of the clock that all processes of a machine share.
inline uint64_t MonotonicMilliseconds() {
  timespec now{};
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
}

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_CONTEXT_H_
