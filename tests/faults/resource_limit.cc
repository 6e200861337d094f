#include "tests/faults/resource_limit.h"

#include <fcntl.h>
#include <linux/capability.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tests {

uint64_t DescriptorLimitLeaving(uint64_t free) {
  int number = 0;
  for (uint64_t found = 0;; ++number) {
    if (fcntl(number, F_GETFD) >= 0) continue;
    if (found++ == free) return static_cast<uint64_t>(number);
  }
}

bool LockAnyMemory(bool may_lock_any) {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  syscall(SYS_capget, &header, data);
  const uint32_t lock = 1u << CAP_IPC_LOCK;
  data[0].effective &= ~lock;
  if (may_lock_any) data[0].effective |= data[0].permitted & lock;
  syscall(SYS_capset, &header, data);
  return (data[0].effective & lock) != 0;
}

}  // namespace tests
