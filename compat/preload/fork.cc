#include "compat/preload/fork.h"

#include <pthread.h>

#include <atomic>

#include "compat/kernel/fork_gate.h"
#include "compat/preload/bar_mappings.h"
#include "compat/preload/control.h"
#include "compat/preload/process_host.h"
#include "ioas/process_table.h"
#include "ioas/soft/file_memory.h"
#include "ioas/soft/hidden_descriptors.h"
#include "ioas/soft/soft_device.h"

namespace compat::preload {
namespace {

void BeforeFork() {
  HoldOpening();
  HoldBarMappings();
  kernel::HoldForkGate();
  ioas::soft::HoldFiles();
  ioas::soft::HoldHiding();
}

void InChild() {
  ioas::soft::ReleaseHiding();
  ioas::soft::ReleaseFiles();
  kernel::ReleaseForkGate();
  ioas::ProcessTable::OnFork();
  ioas::soft::SoftDevice::AfterForkInChild();
  ReleaseBarMappings();
  ReleaseOpening();
  WatchInheritedBars();
  LeaveSessionToParent();
  if (vfio::Host* host = OpenedHost(); host != nullptr) host->OnFork();
}

void InParent() {
  ioas::soft::ReleaseHiding();
  ioas::soft::ReleaseFiles();
  kernel::ReleaseForkGate();
  ioas::soft::SoftDevice::AfterForkInParent();
  ReleaseBarMappings();
  ReleaseOpening();
}

}  // namespace

void HandleForks() {
  static std::atomic<bool> is_handled{false};
  if (!is_handled.exchange(true)) pthread_atfork(BeforeFork, InParent, InChild);
}

}  // namespace compat::preload
