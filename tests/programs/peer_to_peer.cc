// Has one device read and write another one's memory (P2P): a disk's pages go into a BAR and out of
// it.
//
//   peer_to_peer GROUP DISK OTHER_GROUP OTHER REGION
//
// DISK is an NVMe controller, OTHER a device of whose BAR the region REGION is, which can be
// mapped. Prints what MAP_DMA of the BAR answered and whether the bytes arrived; the exit status
// says whether all was right, a refusal included.
#include <linux/vfio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "tests/support/nvme_driver.h"
#include "tests/support/vfio_client.h"

namespace {

using tests::Client;
using tests::Descriptor;
using tests::kPage;
using tests::NvmeDriver;

constexpr uint64_t kIova = 0x100000;
constexpr uint64_t kDataIova = kIova + NvmeDriver::kQueuePages * kPage;
constexpr uint64_t kBarIova = 0x40000000;

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

// A page of another device's memory.
volatile uint64_t* MapBar(int device, uint32_t index) {
  vfio_region_info region = {};
  region.argsz = sizeof(region);
  region.index = index;
  if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region) != 0) Die("GET_REGION_INFO");
  void* const bar = mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_SHARED, device,
                         static_cast<off_t>(region.offset));
  if (bar == MAP_FAILED) Die("mmap of the BAR");
  return static_cast<volatile uint64_t*>(bar);
}

class Peers {
 public:
  Peers(Client& client, int disk, volatile uint64_t* bar)
      : container_(client.container.get()), bar_(bar), driver_(memory_.data(), kIova) {
    if (tests::MapDma(container_, memory_.data(), kIova, memory_.size()) != 0) Die("MAP_DMA");
    if (!driver_.Start(disk)) Die("the controller");
  }

  // The errno of MAP_DMA.
  int Map() const {
    return tests::MapDma(container_, const_cast<const uint64_t*>(bar_), kBarIova, kPage);
  }
  // The disk's first page, with `seed` in it, into the BAR.
  bool ArrivesInBar(uint64_t seed) {
    Fill(seed);
    return driver_.WriteDisk(0, kDataIova) == 0 && driver_.ReadDisk(0, kBarIova) == 0 &&
           std::equal(data(), data() + kWords, bar_);
  }
  // What is in the BAR onto the disk.
  bool LeavesBar(uint64_t seed) {
    Fill(seed);
    for (size_t i = 0; i < kWords; ++i) bar_[i] = data()[i];
    if (driver_.WriteDisk(1, kBarIova) != 0) return false;
    std::memset(data(), 0, kPage);
    return driver_.ReadDisk(1, kDataIova) == 0 && std::equal(data(), data() + kWords, bar_) &&
           data()[0] == seed;
  }
  bool Unmap() const { return tests::UnmapDma(container_, kBarIova, kPage) == kPage; }

 private:
  static constexpr size_t kWords = kPage / sizeof(uint64_t);

  uint64_t* data() {
    return reinterpret_cast<uint64_t*>(memory_.data() + NvmeDriver::kQueuePages * kPage);
  }
  void Fill(uint64_t seed) {
    for (size_t i = 0; i < kWords; ++i) data()[i] = seed * (i + 1);
  }

  int container_;
  volatile uint64_t* bar_;
  tests::Memory memory_{(NvmeDriver::kQueuePages + 1) * kPage};
  NvmeDriver driver_;
};

}  // namespace

int main(int count, char** arguments) {
  if (count != 6) return 2;
  const auto number = [&](int i) {
    return static_cast<uint32_t>(std::strtoul(arguments[i], nullptr, 10));
  };
  Client client = tests::MakeClient(number(1), VFIO_TYPE1v2_IOMMU);
  if (!client.container.is_open()) Die("container");
  Client other = {};
  other.group = tests::OpenGroup(number(3));
  const int container = client.container.get();
  if (ioctl(other.group.get(), VFIO_GROUP_SET_CONTAINER, &container) != 0) Die("SET_CONTAINER");
  const Descriptor disk = client.OpenDevice(arguments[2]);
  const Descriptor memory = other.OpenDevice(arguments[4]);
  if (!disk.is_open() || !memory.is_open()) Die("GET_DEVICE_FD");
  Peers peers(client, disk.get(), MapBar(memory.get(), number(5)));
  if (const int error = peers.Map(); error != 0) {
    std::printf("the BAR: %s\n", strerrorname_np(error));
    return 0;
  }
  std::printf("the BAR: mapped\n");
  const bool arrives = peers.ArrivesInBar(0x1234567);
  const bool leaves = peers.LeavesBar(0x7654321);
  std::printf("into it: %s\nout of it: %s\n", arrives ? "right" : "wrong",
              leaves ? "right" : "wrong");
  const bool is_unmapped = peers.Unmap();
  std::printf("unmapped: %s\n", is_unmapped ? "yes" : "no");
  return arrives && leaves && is_unmapped ? 0 : 1;
}
