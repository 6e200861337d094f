// Programs under the library with hardly any address space, file size or descriptors to be had:
// ENOMEM and EMFILE, as the kernel answers, and the same call succeeds once there is enough.
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <vector>

#include "tests/faults/child.h"
#include "tests/faults/open_descriptors.h"
#include "tests/faults/resource_limit.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Client;
using tests::Descriptor;
using tests::ResourceLimit;

// How much address space this process has in use.
uint64_t AddressSpaceInUse() {
  unsigned long long pages = 0;
  FILE* const statm = fopen("/proc/self/statm", "r");
  if (statm == nullptr || fscanf(statm, "%llu", &pages) != 1) pages = 0;
  if (statm != nullptr) fclose(statm);
  return pages * 4096;
}

TEST(AddressSpaceTest, TheFirstOpenOfAProgramNeedsAddressSpaceAndDescriptors) {
  const std::string program = tests::Runfile("tests/faults/first_open_limited");
  for (const char* limit : {"as", "nofile", "fsize"}) {
    const tests::CommandResult result = tests::Command({program, limit}).Run();
    EXPECT_EQ(result.status, 0) << limit << ": " << result.errors;
  }
}

TEST(AddressSpaceTest, ADeviceWithoutRoomForItsThreadIsEnomem) {
  EXPECT_EQ(tests::InChild([] {
              const Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
              const int descriptors = tests::OpenDescriptors();
              const ResourceLimit limit(RLIMIT_AS);
              limit.Lower(AddressSpaceInUse() + 65536);
              const Descriptor refused = client.OpenDevice(tests::kDevice);
              const int error = errno;
              // Nothing of it holds the group in its container.
              const int unset = ioctl(client.group.get(), VFIO_GROUP_UNSET_CONTAINER);
              int container = client.container.get();
              const int set = ioctl(client.group.get(), VFIO_GROUP_SET_CONTAINER, &container);
              limit.Raise();
              if (refused.is_open() || error != ENOMEM) return 1;
              if (unset != 0 || set != 0) return 2;
              if (tests::OpenDescriptors() != descriptors) return 3;
              if (ioctl(container, VFIO_SET_IOMMU, VFIO_TYPE1v2_IOMMU) != 0) return 4;
              return client.OpenDevice(tests::kDevice).is_open() ? 0 : 5;
            }),
            0);
}

// Maps pages until that is refused, one mapping each. Returns the errno, and in `count` how many.
int MapUntilRefused(int container, const tests::Memory& memory, uint64_t& count) {
  for (;; ++count) {
    const int error = tests::MapDma(container, memory.data(), count * 8192, 4096);
    if (error != 0) return error;
  }
}

TEST(AddressSpaceTest, MappingsGoOnWhereAFileThatMayNotGrowHadStoppedThem) {
  EXPECT_EQ(tests::InChild([] {
              const Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
              const int container = client.container.get();
              const tests::Memory memory(4096);
              uint64_t count = 0;
              const ResourceLimit limit(RLIMIT_FSIZE);
              limit.Lower(1 << 20);
              if (MapUntilRefused(container, memory, count) != ENOMEM || count < 100) return 1;
              const int64_t left = tests::MappingsAvailable(container);
              if (left != 65535 - static_cast<int64_t>(count)) return 2;
              // Again, and nothing has changed.
              if (MapUntilRefused(container, memory, count) != ENOMEM) return 3;
              if (tests::MappingsAvailable(container) != left) return 4;
              limit.Raise();
              if (MapUntilRefused(container, memory, count) != ENOSPC) return 5;
              if (tests::MappingsAvailable(container) != 0) return 6;
              return tests::UnmapDma(container, 0, count * 8192) ==
                             static_cast<int64_t>(count * 4096)
                         ? 0
                         : 7;
            }),
            0);
}

TEST(AddressSpaceTest, MappingNeedsNoAddressSpaceOfTheProgram) {
  EXPECT_EQ(tests::InChild([] {
              const Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
              const tests::Memory memory(4096);
              const ResourceLimit limit(RLIMIT_AS);
              limit.Lower(AddressSpaceInUse());
              uint64_t count = 0;
              return MapUntilRefused(client.container.get(), memory, count) == ENOSPC ? 0 : 1;
            }),
            0);
}

TEST(AddressSpaceTest, CallsWithoutAFreeDescriptorAreEmfile) {
  EXPECT_EQ(tests::InChild([] {
              const Client client = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
              const Descriptor device = client.OpenDevice(tests::kDevice);
              const ResourceLimit limit(RLIMIT_NOFILE);
              limit.Lower(tests::DescriptorLimitLeaving(0));
              const auto is_refused = [](const Descriptor& descriptor) {
                return !descriptor.is_open() && errno == EMFILE;
              };
              if (!is_refused(tests::OpenContainer())) return 1;
              if (!is_refused(tests::OpenGroup(tests::kOtherGroup))) return 2;
              if (!is_refused(client.OpenDevice(tests::kDevice))) return 3;
              if (!is_refused(Descriptor(dup(client.container.get())))) return 4;
              // What needs none works.
              const tests::Memory memory(4096);
              if (tests::MapDma(client.container.get(), memory.data(), 0, 4096) != 0) return 5;
              if (tests::UnmapDma(client.container.get(), 0, 4096) != 4096) return 6;
              limit.Raise();
              if (!tests::OpenContainer().is_open()) return 7;
              if (!tests::OpenGroup(tests::kOtherGroup).is_open()) return 8;
              return client.OpenDevice(tests::kDevice).is_open() ? 0 : 9;
            }),
            0);
}

}  // namespace
