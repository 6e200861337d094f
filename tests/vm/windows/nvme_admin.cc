// By the NVM Express base specification 1.4: registers (3.1), queue entries (4.2, 4.6), Identify
// (5.15).
#include "tests/vm/windows/nvme_admin.h"

#include <linux/vfio.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>

#include "tests/vm/windows/container.h"

namespace tests {
namespace {

constexpr uint32_t kCapHigh = 0x04;
constexpr uint32_t kConfiguration = 0x14;
constexpr uint32_t kStatus = 0x1c;
constexpr uint32_t kAdminQueueAttributes = 0x24;
constexpr uint32_t kAdminSubmissionQueue = 0x28;
constexpr uint32_t kAdminCompletionQueue = 0x30;
constexpr uint32_t kDoorbells = 0x1000;
constexpr uint64_t kRegisters = 0x2000;

constexpr uint32_t kEnable = 1;
constexpr uint32_t kEntrySizes = 6 << 16 | 4 << 20;  // 64 bytes, and 16
constexpr uint32_t kQueueEntries = 32;
constexpr uint32_t kIdentify = 0x06;
constexpr uint32_t kIdentifyController = 1;

constexpr int kCommandRegister = 4;  // of the configuration space
constexpr uint16_t kMemoryAndBusMaster = 6;

struct Submission {
  uint32_t opcode_and_id;
  uint32_t namespace_id;
  uint64_t reserved;
  uint64_t metadata;
  uint64_t prp1;
  uint64_t prp2;
  uint32_t cdw10;
  uint32_t rest[5];
};
static_assert(sizeof(Submission) == 64);

struct Completion {
  uint32_t result;
  uint32_t reserved;
  uint32_t queue;
  uint32_t id_and_status;
};
static_assert(sizeof(Completion) == 16);

uint64_t OffsetOf(int device, uint32_t region) {
  vfio_region_info info = {};
  info.argsz = sizeof(info);
  info.index = region;
  if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) != 0) Die("GET_REGION_INFO");
  return info.offset;
}

void SwitchOn(int device) {
  const uint64_t config = OffsetOf(device, VFIO_PCI_CONFIG_REGION_INDEX);
  const uint16_t command = kMemoryAndBusMaster;
  if (pwrite(device, &command, sizeof(command), static_cast<off_t>(config + kCommandRegister)) !=
      sizeof(command)) {
    Die("the command register");
  }
}

// Waits until `condition` holds; ends the program if it does not.
template <typename Condition>
void WaitFor(const char* what, Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) Die(what);
    sched_yield();
  }
}

}  // namespace

NvmeAdmin::NvmeAdmin(int device, const DmaPage& submission, const DmaPage& completion)
    : submission_(submission), completion_(completion) {
  SwitchOn(device);
  void* const registers = mmap(nullptr, kRegisters, PROT_READ | PROT_WRITE, MAP_SHARED, device,
                               static_cast<off_t>(OffsetOf(device, VFIO_PCI_BAR0_REGION_INDEX)));
  if (registers == MAP_FAILED) Die("the registers");
  registers_ = static_cast<volatile std::byte*>(registers);
  stride_ = 4U << (Load(kCapHigh) & 0xf);
  Store(kConfiguration, 0);
  WaitUntilReady(false);
  Store(kAdminQueueAttributes, (kQueueEntries - 1) << 16 | (kQueueEntries - 1));
  Store(kAdminSubmissionQueue, static_cast<uint32_t>(submission.iova));
  Store(kAdminSubmissionQueue + 4, static_cast<uint32_t>(submission.iova >> 32));
  Store(kAdminCompletionQueue, static_cast<uint32_t>(completion.iova));
  Store(kAdminCompletionQueue + 4, static_cast<uint32_t>(completion.iova >> 32));
  Store(kConfiguration, kEntrySizes | kEnable);
  WaitUntilReady(true);
}

uint32_t NvmeAdmin::Load(uint32_t offset) const {
  return *reinterpret_cast<volatile uint32_t*>(registers_ + offset);
}

void NvmeAdmin::Store(uint32_t offset, uint32_t value) {
  *reinterpret_cast<volatile uint32_t*>(registers_ + offset) = value;
}

void NvmeAdmin::WaitUntilReady(bool ready) const {
  WaitFor("the controller's status", [&] { return ((Load(kStatus) & 1) != 0) == ready; });
}

uint16_t NvmeAdmin::Identify(uint64_t iova) {
  auto* const submission = reinterpret_cast<volatile Submission*>(submission_.memory) + tail_;
  submission->opcode_and_id = kIdentify | tail_ << 16;
  submission->prp1 = iova;
  submission->cdw10 = kIdentifyController;
  auto* const completion = reinterpret_cast<volatile Completion*>(completion_.memory) + tail_;
  tail_ = (tail_ + 1) % kQueueEntries;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Store(kDoorbells, tail_);
  WaitFor("a completion", [&] { return (completion->id_and_status >> 16 & 1) == phase_; });
  const auto status = static_cast<uint16_t>(completion->id_and_status >> 17);
  if (tail_ == 0) phase_ ^= 1;
  Store(kDoorbells + stride_, tail_);
  return status;
}

}  // namespace tests
