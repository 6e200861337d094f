// A live update in miniature, as QEMU's cpr-exec makes it: a program that has a device and memory
// for it replaces itself, while the device goes on.
//
//   live_update legacy GROUP ADDRESS        begins, and becomes
//   live_update native NODE
//   live_update legacy|native FD FD FD FD   its successor: memory, container or context, device,
//                                           the child's steps
//
// A child, which keeps running, drives the device throughout and counts. Prints what it counted
// before and after; the exit status says whether all was right.
#include <fcntl.h>
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <string>

#include "tests/support/iommufd_client.h"
#include "tests/support/nvme_driver.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::NvmeDriver;

using tests::kPage;

constexpr size_t kQueues = NvmeDriver::kQueuePages * kPage;
constexpr size_t kReached = kQueues + kPage;
constexpr uint64_t kIova = 0x100000;
constexpr uint64_t kDataIova = kIova + kQueues;

// What the disk begins with.
constexpr std::byte kOnDisk{42};

// What is mapped at once: the queues, and the data.
struct Part {
  size_t offset;
  size_t size;
};
constexpr Part kParts[] = {{0, kQueues}, {kQueues, kPage}};

// How many commands are a step of the child's.
constexpr uint64_t kStep = 200;
// Numbers of objects begin with 1, which the device has.
constexpr uint32_t kFirstIoas = 2;

// Behind what the device reaches.
struct Counts {
  std::atomic<uint64_t> commands;
  std::atomic<uint64_t> failures;
  std::atomic<bool> stops;
};

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "live_update: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

void Require(bool holds, const char* what) {
  if (!holds) Die(what);
}

std::byte* MapShared(int memory) {
  void* const mapped =
      mmap(nullptr, kReached + kPage, PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  Require(mapped != MAP_FAILED, "mmap");
  return static_cast<std::byte*>(mapped);
}

Counts& CountsIn(std::byte* memory) { return *reinterpret_cast<Counts*>(memory + kReached); }

// What the child does.
int Drive(NvmeDriver& driver, std::byte* memory, int steps) {
  Counts& counts = CountsIn(memory);
  volatile std::byte& data = memory[kQueues];
  while (!counts.stops) {
    data = std::byte{0};
    if (driver.ReadDisk(0, kDataIova) != 0 || data != kOnDisk) ++counts.failures;
    if (++counts.commands % kStep == 0 && write(steps, "", 1) != 1) return 1;
  }
  return 0;
}

// Waits until the child has made all commands of a step that begins from now on.
void AwaitStep(int steps) {
  int done = 0;
  Require(ioctl(steps, FIONREAD, &done) == 0, "FIONREAD");
  char byte;
  for (int i = 0; i < done + 2; ++i) Require(read(steps, &byte, 1) == 1, "the child's steps");
}

// A container or context, and a device that reaches the memory.
struct Device {
  int context;
  int device;
};

Device OpenLegacy(const char* group, const char* address, const std::byte* memory) {
  tests::Client client = tests::MakeClient(std::strtoul(group, nullptr, 10), VFIO_TYPE1v2_IOMMU);
  Require(client.container.is_open(), "container");
  const int device = client.OpenDevice(address).Release();
  Require(device >= 0, "device");
  const int may_update = ioctl(client.container.get(), VFIO_CHECK_EXTENSION, VFIO_UPDATE_VADDR);
  Require(may_update == 1, "CHECK_EXTENSION");
  for (const Part& part : kParts) {
    const bool is_mapped = tests::MapDma(client.container.get(), memory + part.offset,
                                         kIova + part.offset, part.size) == 0;
    Require(is_mapped, "MAP_DMA");
  }
  // Stay open in the successor as well.
  const int container = client.container.Release();
  Require(fcntl(container, F_SETFD, 0) == 0, "container");
  Require(fcntl(client.group.Release(), F_SETFD, 0) == 0, "group");
  return {container, device};
}

Device OpenNative(const char* node, int memory) {
  const int context = open("/dev/iommu", O_RDWR);
  const int device = open(node, O_RDWR);
  Require(context >= 0 && device >= 0, "open");
  const uint32_t ioas = tests::AttachToNewIoas(context, device);
  Require(ioas == kFirstIoas, "attach");
  for (const Part& part : kParts) {
    const bool is_mapped =
        tests::MapFile(context, ioas, memory, part.offset, kIova + part.offset, part.size);
    Require(is_mapped, "MAP_FILE");
  }
  return {context, device};
}

// Gives up addresses, as far as that is to be said.
void LetGo(bool is_legacy, int context) {
  if (!is_legacy) return;
  vfio_iommu_type1_dma_unmap unmap = {};
  unmap.argsz = sizeof(unmap);
  unmap.flags = VFIO_DMA_UNMAP_FLAG_VADDR | VFIO_DMA_UNMAP_FLAG_ALL;
  Require(ioctl(context, VFIO_IOMMU_UNMAP_DMA, &unmap) == 0, "UNMAP_DMA with VADDR");
}

void TakeOver(bool is_legacy, int context, const std::byte* memory) {
  if (!is_legacy) return Require(tests::ChangeProcess(context), "CHANGE_PROCESS");
  for (const Part& part : kParts) {
    vfio_iommu_type1_dma_map map = {};
    map.argsz = sizeof(map);
    map.flags = VFIO_DMA_MAP_FLAG_VADDR;
    map.vaddr = reinterpret_cast<uint64_t>(memory) + part.offset;
    map.iova = kIova + part.offset;
    map.size = part.size;
    Require(ioctl(context, VFIO_IOMMU_MAP_DMA, &map) == 0, "MAP_DMA with VADDR");
  }
}

// Locked memory that this process is charged for, in KiB.
uint64_t Charged() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmLck:", 0) == 0) return std::strtoull(line.c_str() + 6, nullptr, 10);
  }
  return 0;
}

[[noreturn]] void Begin(char** arguments, bool is_legacy) {
  const int memory = memfd_create("guest", 0);
  Require(memory >= 0 && ftruncate(memory, kReached + kPage) == 0, "memfd");
  std::byte* const bytes = MapShared(memory);
  const Device device =
      is_legacy ? OpenLegacy(arguments[2], arguments[3], bytes) : OpenNative(arguments[2], memory);
  Require(fcntl(device.device, F_SETFD, 0) == 0, "fcntl");
  Counts& counts = *new (bytes + kReached) Counts();
  NvmeDriver driver(bytes, kIova);
  bytes[kQueues] = kOnDisk;
  Require(driver.Start(device.device) && driver.WriteDisk(0, kDataIova) == 0, "the controller");
  int steps[2];
  Require(pipe(steps) == 0, "pipe");
  if (fork() == 0) std::_Exit(Drive(driver, bytes, steps[1]));
  close(steps[1]);
  AwaitStep(steps[0]);
  LetGo(is_legacy, device.context);
  AwaitStep(steps[0]);
  std::printf("before: %lu commands, %lu failures\n", counts.commands.load(),
              counts.failures.load());
  std::fflush(stdout);
  const std::string numbers[] = {std::to_string(memory), std::to_string(device.context),
                                 std::to_string(device.device), std::to_string(steps[0])};
  execl("/proc/self/exe", arguments[0], arguments[1], numbers[0].c_str(), numbers[1].c_str(),
        numbers[2].c_str(), numbers[3].c_str(), nullptr);
  Die("exec");
}

int Continue(char** arguments, bool is_legacy) {
  const int memory = std::atoi(arguments[2]);
  const int context = std::atoi(arguments[3]);
  const int device = std::atoi(arguments[4]);
  const int steps = std::atoi(arguments[5]);
  std::byte* const bytes = MapShared(memory);
  Counts& counts = CountsIn(bytes);
  AwaitStep(steps);
  TakeOver(is_legacy, context, bytes);
  AwaitStep(steps);
  counts.stops = true;
  int status = 1;
  Require(wait(&status) > 0 && status == 0, "the child");
  std::printf("after: %lu failures\ncharged: %lu KiB\n", counts.failures.load(), Charged());
  // What was reached all the time was that mapping.
  NvmeDriver driver(bytes, kIova);
  Require(driver.Start(device) && driver.ReadDisk(0, kDataIova) == 0, "the controller");
  Require(is_legacy ? tests::UnmapDma(context, kDataIova, kPage) == kPage
                    : tests::UnmapIoas(context, kFirstIoas, kDataIova, kPage),
          "unmap");
  // QEMU's controller takes a write to nowhere for a success.
  bytes[kQueues] = std::byte{0};
  (void)driver.ReadDisk(0, kDataIova);
  const bool is_refused = bytes[kQueues] != kOnDisk;
  std::printf("unmapped: %s\n", is_refused ? "refused" : "still there");
  return counts.failures == 0 && is_refused ? 0 : 1;
}

}  // namespace

int main(int count, char** arguments) {
  const bool is_legacy = count > 1 && std::strcmp(arguments[1], "legacy") == 0;
  if (count != 6 && count != (is_legacy ? 4 : 3)) return 2;
  if (count == 6) return Continue(arguments, is_legacy);
  Begin(arguments, is_legacy);
}
