#include "tools/cli/run_host.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "compat/kernel/kernel_platform.h"
#include "compat/native/native.h"
#include "compat/soft/soft_platform.h"
#include "compat/summary/summary.h"
#include "ppc/container_personality.h"

namespace tools::cli {
namespace {

// This process makes no calls on its host, so it has no descriptors of it.
class NoDescriptors final : public compat::vfio::Descriptors {
 public:
  ioas::Result<uint32_t> SlotOf(int /*fd*/) override { return 0U; }
  int DescriptorOf(uint32_t /*slot*/) override { return -1; }
  void OnNew(int /*fd*/, uint32_t /*slot*/) override {}
};

}  // namespace

Failure RunHost::Create(compat::settings::Settings& settings) {
  static NoDescriptors no_descriptors;
  // The name is how the library tells a host's descriptors from others.
  const int fd = memfd_create("vfio-compat-host", MFD_CLOEXEC);
  if (fd < 0) return {kUsage, std::string("run: no memory for the host: ") + std::strerror(errno)};
  static compat::soft::SoftPlatform soft;
  static compat::kernel::KernelPlatform kernel(ioas::kernel::RealSystemCalls());
  // For the library, which is told of no device but of a host.
  settings.backend = compat::settings::ResolveBackend(settings);
  const bool is_kernel = settings.backend == compat::settings::Backend::kKernel;
  compat::vfio::Platform& platform =
      is_kernel ? static_cast<compat::vfio::Platform&>(kernel) : soft;
  static const ppc::ContainerPersonality kPersonality(settings);
  const auto host =
      compat::vfio::Host::Open(fd, settings,
                               {.personality = &kPersonality,
                                .descriptors = &no_descriptors,
                                .platform = &platform,
                                .native = is_kernel ? nullptr : &compat::native::Iommufd()});
  if (!host.ok()) {
    return {kUsage, std::string("run: no host can be made of this: ") + host.error().reason};
  }
  host_ = *host;
  settings.host = "/proc/" + std::to_string(getpid()) + "/fd/" + std::to_string(fd);
  return {};
}

std::string RunHost::Summary() { return compat::summary::Summarize(*host_); }

}  // namespace tools::cli
