// Reaching into the other processes of a host: their memory, their descriptors.
#ifndef IOAS_SOFT_PEER_PROCESS_H_
#define IOAS_SOFT_PEER_PROCESS_H_

#include <sys/types.h>

#include <cstdint>

#include "ioas/base/result.h"
#include "ioas/process_table.h"

namespace ioas::soft {

// The process number to give process_vm_readv() for the memory of process `index` of `table`, which
// may be this one's own; 0 if that process is gone. Checked at each call, with a descriptor of the
// process (pidfd) that is kept from the first call on, or by its start time where there are none.
pid_t MemoryOf(ProcessTable table, uint32_t index);

// Takes a copy of descriptor `fd` of process `index`, as a hidden descriptor. ESRCH if the process
// is gone, EPERM if this process may not (Yama), ENOSYS before Linux 5.6.
Result<int> TakeDescriptor(ProcessTable table, uint32_t index, int fd);

// To be called in a forked child before anything else here.
void ForgetPeersAfterFork();

}  // namespace ioas::soft

#endif  // IOAS_SOFT_PEER_PROCESS_H_
