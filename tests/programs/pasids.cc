// A program that gives PASIDs of a DMA engine page tables of their own, and has it copy between
// them.
//
//   pasids NODE   a cdev of a DMA engine with PASIDs
//
// Prints what it saw; the exit status says whether all was right.
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "ioas/soft/dma_engine/dma_engine.h"
#include "tests/support/iommufd_client.h"
#include "tests/support/vfio_client.h"

namespace {

using ioas::soft::DmaEngineRegisters;
using ioas::soft::DmaEngineStatus;

constexpr size_t kSize = 300 * 1024;
// The same in all address spaces.
constexpr uint64_t kIova = 0x100000;
constexpr int kPatience = 30'000;  // milliseconds

void Require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "pasids: %s: %s\n", what, std::strerror(errno));
  std::exit(1);
}

// The engine as a program drives it: registers that are memory, interrupts that are events.
class Engine {
 public:
  explicit Engine(int device) {
    const uint16_t command = 6;  // memory and bus mastering
    vfio_region_info config = {};
    config.argsz = sizeof(config);
    config.index = VFIO_PCI_CONFIG_REGION_INDEX;
    Require(ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &config) == 0, "configuration space");
    Require(pwrite(device, &command, 2, static_cast<off_t>(config.offset + 4)) == 2, "command");
    void* const mapped = mmap(nullptr, ioas::soft::kDmaEngineRegisterBytes, PROT_READ | PROT_WRITE,
                              MAP_SHARED, device, 0);
    Require(mapped != MAP_FAILED, "registers");
    registers_ = static_cast<DmaEngineRegisters*>(mapped);
    Listen(device);
  }

  // Copies all of the PASID's memory to that of another one, and waits until it says that it is
  // over.
  DmaEngineStatus Copy(uint32_t from, uint32_t to) {
    registers_->source = kIova;
    registers_->destination = kIova;
    registers_->source_pasid = ioas::soft::kDmaEnginePasidValid | from;
    registers_->destination_pasid = ioas::soft::kDmaEnginePasidValid | to;
    registers_->length = kSize;
    const uint32_t doorbell = registers_->doorbell + 1;
    registers_->doorbell = doorbell;
    pollfd waits = {event_, POLLIN, 0};
    uint64_t count = 0;
    Require(poll(&waits, 1, kPatience) == 1 && read(event_, &count, sizeof(count)) == 8,
            "an interrupt");
    Require(count == 1 && registers_->completed == doorbell, "one completion");
    return static_cast<DmaEngineStatus>(registers_->status.load());
  }

 private:
  void Listen(int device) {
    event_ = eventfd(0, EFD_CLOEXEC);
    alignas(vfio_irq_set) char buffer[sizeof(vfio_irq_set) + sizeof(event_)] = {};
    auto* const set = reinterpret_cast<vfio_irq_set*>(buffer);
    set->argsz = sizeof(buffer);
    set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
    set->index = VFIO_PCI_MSIX_IRQ_INDEX;
    set->count = 1;
    std::memcpy(set->data, &event_, sizeof(event_));
    Require(ioctl(device, VFIO_DEVICE_SET_IRQS, set) == 0, "interrupts");
  }

  DmaEngineRegisters* registers_ = nullptr;
  int event_ = -1;
};

// Memory, and a page table that leads to it.
struct Place {
  Place(int iommufd, uint32_t device, std::byte fill) : memory(kSize) {
    std::fill_n(memory.data(), kSize, fill);
    const uint32_t ioas = tests::NewIoas(iommufd);
    Require(ioas != 0 && tests::MapMemory(iommufd, ioas, memory.data(), kIova, kSize), "IOAS_MAP");
    table = tests::NewPageTable(iommufd, device, ioas, /*for_pasids=*/true);
    Require(table != 0, "HWPT_ALLOC");
  }
  bool IsAll(std::byte value) const {
    return std::count(memory.data(), memory.data() + kSize, value) == static_cast<long>(kSize);
  }

  tests::Memory memory;
  uint32_t table = 0;
};

int Run(const char* node) {
  const tests::Descriptor iommufd(open("/dev/iommu", O_RDWR | O_CLOEXEC));
  const tests::Descriptor device(open(node, O_RDWR | O_CLOEXEC));
  const uint32_t id = tests::Bind(iommufd.get(), device.get());
  Require(id != 0, "BIND_IOMMUFD");
  Engine engine(device.get());
  const Place one(iommufd.get(), id, std::byte{1});
  const Place two(iommufd.get(), id, std::byte{2});
  const Place three(iommufd.get(), id, std::byte{3});
  Require(tests::AttachPasid(device.get(), 1, one.table), "attach PASID 1");
  Require(tests::AttachPasid(device.get(), 2, two.table), "attach PASID 2");
  Require(engine.Copy(1, 2) == DmaEngineStatus::kDone, "a copy");
  Require(two.IsAll(std::byte{1}) && three.IsAll(std::byte{3}), "what PASID 2 leads to");
  std::puts("copied from PASID 1 to PASID 2");

  Require(tests::AttachPasid(device.get(), 2, three.table), "replace PASID 2");
  std::fill_n(one.memory.data(), kSize, std::byte{4});
  Require(engine.Copy(1, 2) == DmaEngineStatus::kDone, "a copy");
  Require(two.IsAll(std::byte{1}) && three.IsAll(std::byte{4}), "what PASID 2 leads to now");
  std::puts("copied to where PASID 2 leads now");

  Require(tests::DetachPasid(device.get(), 2), "detach PASID 2");
  Require(engine.Copy(1, 2) == DmaEngineStatus::kDestinationFault, "a fault");
  Require(engine.Copy(2, 1) == DmaEngineStatus::kSourceFault, "a fault");
  Require(one.IsAll(std::byte{4}), "what PASID 1 leads to");
  std::puts("PASID 2 leads nowhere");
  return 0;
}

}  // namespace

int main(int count, char** arguments) { return count == 2 ? Run(arguments[1]) : 2; }
