#include "compat/preload/process_host.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <utility>

#include "compat/kernel/find_host.h"
#include "compat/kernel/kernel_platform.h"
#include "compat/native/native.h"
#include "compat/preload/control.h"
#include "compat/preload/descriptor_table.h"
#include "compat/preload/fork.h"
#include "compat/preload/log.h"
#include "compat/preload/session.h"
#include "compat/preload/signals.h"
#include "compat/settings/environment.h"
#include "compat/soft/soft_platform.h"
#include "compat/summary/summary.h"
#include "ioas/base/private_lock.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/hidden_descriptors.h"
#include "ppc/container_personality.h"

namespace compat::preload {
namespace {

using ioas::PrivateLock;
using ioas::SystemCall;
using ioas::soft::OpenHidden;
using settings::LogLevel;

class ProcessDescriptors final : public vfio::Descriptors {
 public:
  ioas::Result<uint32_t> SlotOf(int fd) override {
    const long flags = SystemCall(SYS_fcntl, fd, F_GETFD);
    if (flags < 0) return ioas::Error{static_cast<int>(-flags), "not an open descriptor"};
    const uint32_t slot = VerifiedSlotOf(fd);
    return slot != 0 || !Adopt(fd) ? slot : preload::SlotOf(fd);
  }
  int DescriptorOf(uint32_t slot) override {
    int found = -1;
    ForEachDescriptor(0, kMaxDescriptors - 1, [&](int fd) {
      if (found < 0 && preload::SlotOf(fd) == slot && VerifiedSlotOf(fd) == slot) found = fd;
    });
    return found;
  }
  void OnNew(int fd, uint32_t slot) override;
};

ProcessDescriptors g_descriptors;
// Set once opening it has failed for good, so that it is tried and logged once.
std::atomic<bool> g_failed{false};
// The errno for which there was none at last; 0: none is wanted, or it was not tried.
std::atomic<int> g_problem{0};
PrivateLock g_opening;
PrivateLock g_reading;
ioas::SignalMask g_signals_over_fork;  // guarded by g_opening
std::atomic<const settings::Settings*> g_settings{nullptr};
// The process that prints the summary when it ends; 0: none.
std::atomic<long> g_summarizer{0};

__attribute__((destructor)) void PrintSummary() {
  if (g_summarizer == 0 || g_summarizer != SystemCall(SYS_getpid)) return;
  const std::string summary = summary::Summarize(*OpenedHost());
  SystemCall(SYS_write, STDERR_FILENO, summary.data(), summary.size());
}

// The host's file: the one the environment names, or a new one. Returns a negative errno.
long OpenHostFile(const settings::Settings& settings) {
  if (settings.host.empty()) return SystemCall(SYS_memfd_create, kernel::kHostName, MFD_CLOEXEC);
  return SystemCall(SYS_openat, AT_FDCWD, settings.host.c_str(), O_RDWR | O_CREAT | O_CLOEXEC,
                    0600);
}

// Whether what failed with `error` may be had another time: then it is tried again.
constexpr bool MayPass(int error) {
  return error == ENOMEM || error == EMFILE || error == ENFILE || error == EINTR;
}

vfio::Host* Fail(const char* what, int error, const char* reason) {
  const bool is_known = g_problem.exchange(error) == error;
  if (!MayPass(error)) g_failed = true;
  if (is_known) return nullptr;
  Log(LogLevel::kError, "%s (errno %d): %s", what, error, reason);
  return nullptr;
}

std::unique_ptr<vfio::Platform> NewPlatform(const settings::Settings& settings) {
  if (settings::ResolveBackend(settings) == settings::Backend::kKernel) {
    return std::unique_ptr<vfio::Platform>(
        new (std::nothrow) kernel::KernelPlatform(ioas::kernel::RealSystemCalls()));
  }
  return std::unique_ptr<vfio::Platform>(new (std::nothrow) soft::SoftPlatform);
}

// What the table is to have of a descriptor of `slot`.
uint32_t EntryFor(const vfio::Host& host, uint32_t slot) {
  const bool passes = slot != 0 && host.platform().PassesThrough() &&
                      host.files().slot(slot).Load().kind != decode::DescriptorKind::kGroup;
  return passes ? slot | kPassesThrough : slot;
}

// Opens the host in the file `hidden`, if it is one.
vfio::Host* OpenHostIn(const ioas::Result<int>& hidden, const settings::Settings& settings) {
  if (!hidden.ok())
    return Fail("cannot open the host's file", hidden.error().code, settings.host.c_str());
  WatchSignalHandlers();
  std::unique_ptr<vfio::Platform> platform = NewPlatform(settings);
  std::unique_ptr<const ppc::ContainerPersonality> personality(
      new (std::nothrow) ppc::ContainerPersonality(settings));
  if (platform == nullptr || personality == nullptr) {
    ioas::soft::CloseHidden(*hidden);
    return Fail("cannot make the host", ENOMEM, "no memory");
  }
  const auto host = vfio::Host::Open(*hidden, settings,
                                     {.personality = personality.get(),
                                      .descriptors = &g_descriptors,
                                      .platform = platform.get(),
                                      .native = UsesKernel() ? nullptr : &native::Iommufd()});
  if (!host.ok()) {
    ioas::soft::CloseHidden(*hidden);
    return Fail("cannot open the host", host.error().code, host.error().reason);
  }
  // Programs keep their host, and so its parts, as long as they run.
  static_cast<void>(platform.release());
  static_cast<void>(personality.release());
  if (settings.summary && (*host)->is_new()) g_summarizer = SystemCall(SYS_getpid);
  internal::host.store(*host, std::memory_order_release);
  if (!settings.control.empty()) StartSession(**host, settings.control.c_str());
  return *host;
}

// Reads the settings. Null, and logged, if they are not right.
const settings::Settings* ParseSettings() {
  auto parsed = settings::FromEnvironment();
  const std::string problem = parsed.ok() ? settings::BackendConflict(*parsed) : parsed.message();
  if (!problem.empty()) {
    g_failed = true;
    Log(LogLevel::kError, "%s", problem.c_str());
    return nullptr;
  }
  StartLog(parsed->log_level, parsed->log_file.c_str());
  return new settings::Settings(std::move(*parsed));
}

// The settings, read at the first call. Null, and logged, if they are not to be had.
const settings::Settings* ReadSettings() {
  if (const settings::Settings* known = g_settings.load(std::memory_order_acquire);
      known != nullptr || g_failed) {
    return known;
  }
  HandleForks();
  const PrivateLock::Guard guard(g_reading);
  if (g_settings != nullptr || g_failed) return g_settings;
  // The one place of the library that needs strings, which say in no other way that there is no
  // memory. The program knows nothing of them and must not end for that.
  try {
    g_settings.store(ParseSettings(), std::memory_order_release);
  } catch (const std::bad_alloc&) {
    Fail("cannot read the settings", ENOMEM, "no memory");
  }
  return g_settings;
}

// A new descriptor of the file of the host that `fd` belongs to; negative if it is none's.
long HostFileOf(int fd, const settings::Settings& settings) {
  if (settings::ResolveBackend(settings) == settings::Backend::kKernel) {
    return kernel::FindHostOf(ioas::kernel::RealSystemCalls(), fd);
  }
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
  if (!kernel::LeadsToHost(ioas::kernel::RealSystemCalls(), path)) return -1;
  return SystemCall(SYS_openat, AT_FDCWD, path, O_RDWR | O_CLOEXEC, 0);
}

// The host that this process uses, or from now on the one that `fd` belongs to.
vfio::Host* HostOf(int fd, const settings::Settings& settings) {
  if (vfio::Host* host = OpenedHost(); host != nullptr) return host;
  HandleForks();
  const PrivateLock::Guard guard(g_opening);
  if (vfio::Host* host = OpenedHost(); host != nullptr || g_failed) return host;
  const ioas::Result<int> file = OpenHidden([&] { return HostFileOf(fd, settings); });
  return file.ok() ? OpenHostIn(file, settings) : nullptr;
}

void ProcessDescriptors::OnNew(int fd, uint32_t slot) {
  SetSlot(fd, EntryFor(*OpenedHost(), slot));
}

}  // namespace

namespace internal {

std::atomic<vfio::Host*> host{nullptr};

}  // namespace internal

void HoldOpening() {
  // Another thread may be forking, too.
  const ioas::SignalMask signals = g_opening.Lock();
  g_reading.Lock();
  g_signals_over_fork = signals;
}

void ReleaseOpening() {
  const ioas::SignalMask signals = g_signals_over_fork;
  g_reading.Unlock(~ioas::SignalMask{0});
  g_opening.Unlock(signals);
}

int HostProblem() { return OpenedHost() == nullptr && !g_failed ? g_problem.load() : 0; }

bool UsesKernel() {
  if (!Configured()) return false;
  const settings::Settings* settings = ReadSettings();
  return settings != nullptr && settings::ResolveBackend(*settings) == settings::Backend::kKernel;
}

vfio::Host* ConfiguredHost() {
  if (vfio::Host* host = OpenedHost(); host != nullptr) return host;
  if (!Configured() || g_failed) return nullptr;
  const settings::Settings* settings = ReadSettings();
  if (settings == nullptr) return nullptr;
  const PrivateLock::Guard guard(g_opening);
  if (vfio::Host* host = OpenedHost(); host != nullptr || g_failed) return host;
  // Nothing to offer: legacy programs then see what the machine has.
  if (!UsesKernel() && settings->devices.empty() && settings->host.empty()) return nullptr;
  return OpenHostIn(OpenHidden([settings] { return OpenHostFile(*settings); }), *settings);
}

uint32_t VerifiedSlotOf(int fd) {
  const uint32_t slot = SlotOf(fd);
  vfio::Host* host = OpenedHost();
  if (slot == 0 || host == nullptr) return 0;
  const ioas::Result<uint32_t> found = host->SlotOf(fd);
  if (found.ok() && *found == slot) return slot;
  // It cannot be looked at: the table is right more often than not.
  if (!found.ok() && found.error().code != EBADF) return slot;
  SetSlot(fd, found.ok() ? EntryFor(*host, *found) : 0);
  return found.ok() ? *found : 0;
}

bool Adopt(int fd) {
  if (!Configured()) return false;
  const settings::Settings* settings = ReadSettings();
  if (settings == nullptr) return false;
  vfio::Host* host = HostOf(fd, *settings);
  if (host == nullptr) return false;
  const ioas::Result<uint32_t> slot = host->SlotOf(fd);
  if (!slot.ok() || *slot == 0 || !SetSlot(fd, EntryFor(*host, *slot))) return false;
  host->OnAdopted(*slot);
  return true;
}

}  // namespace compat::preload
