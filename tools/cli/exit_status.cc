#include "tools/cli/exit_status.h"

#include <cstdio>

namespace tools::cli {

int Report(const Failure& failure) {
  std::fprintf(stderr, "vfio-compat: %s\n", failure.message.c_str());
  return failure.status;
}

}  // namespace tools::cli
