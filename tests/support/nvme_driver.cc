// By the NVM Express base specification 1.4: registers (3.1), queue entries (4.2, 4.6), creation of
// queues (5.3, 5.4), Identify (5.15), Read and Write (6.9, 6.15).
#include "tests/support/nvme_driver.h"

#include <linux/vfio.h>
#include <sched.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>

namespace tests {

struct NvmeDriver::Submission {
  uint32_t opcode_and_id;
  uint32_t namespace_id;
  uint64_t reserved;
  uint64_t metadata;
  uint64_t prp1;
  uint64_t prp2;
  uint32_t cdw10;
  uint32_t cdw11;
  uint32_t cdw12;
  uint32_t rest[3];
};

struct NvmeDriver::Completion {
  uint32_t result;
  uint32_t reserved;
  uint32_t queue;
  uint32_t id_and_status;
};

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
constexpr uint32_t kReady = 1;
constexpr uint32_t kFatal = 2;
constexpr uint32_t kQueueEntries = 8;

constexpr uint32_t kCreateSubmissionQueue = 0x01;
constexpr uint32_t kCreateCompletionQueue = 0x05;
constexpr uint32_t kContiguous = 1;
constexpr uint32_t kIdentify = 0x06;
constexpr uint32_t kIdentifyController = 1;
constexpr uint32_t kWrite = 0x01;
constexpr uint32_t kRead = 0x02;
constexpr uint32_t kBlock = 512;

constexpr int kCommandRegister = 4;  // of the configuration space
constexpr uint16_t kMemoryAndBusMaster = 6;

std::optional<off_t> FindRegion(int device, uint32_t index) {
  vfio_region_info info = {};
  info.argsz = sizeof(info);
  info.index = index;
  if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &info) != 0) return std::nullopt;
  return static_cast<off_t>(info.offset);
}

bool SwitchOn(int device) {
  const auto config = FindRegion(device, VFIO_PCI_CONFIG_REGION_INDEX);
  const uint16_t command = kMemoryAndBusMaster;
  return config && pwrite(device, &command, sizeof(command), *config + kCommandRegister) ==
                       static_cast<ssize_t>(sizeof(command));
}

// Waits until `condition` holds. Returns whether it does.
template <typename Condition>
bool WaitFor(Condition condition) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    sched_yield();
  }
  return true;
}

}  // namespace

uint32_t NvmeDriver::Load(uint32_t offset) const {
  return *reinterpret_cast<volatile uint32_t*>(registers_ + offset);
}

void NvmeDriver::Store(uint32_t offset, uint32_t value) {
  *reinterpret_cast<volatile uint32_t*>(registers_ + offset) = value;
}

void NvmeDriver::StoreAddress(uint32_t offset, uint64_t value) {
  Store(offset, static_cast<uint32_t>(value));
  Store(offset + 4, static_cast<uint32_t>(value >> 32));
}

bool NvmeDriver::Start(int device) {
  Close();
  const auto bar = FindRegion(device, VFIO_PCI_BAR0_REGION_INDEX);
  if (!bar || !SwitchOn(device)) return false;
  void* const mapped = mmap(nullptr, kRegisters, PROT_READ | PROT_WRITE, MAP_SHARED, device, *bar);
  if (mapped == MAP_FAILED) return false;
  registers_ = static_cast<volatile std::byte*>(mapped);
  return Enable() && MakeIoQueue();
}

void NvmeDriver::Close() {
  if (registers_ != nullptr) munmap(const_cast<std::byte*>(registers_), kRegisters);
  registers_ = nullptr;
}

bool NvmeDriver::Enable() {
  stride_ = 4U << (Load(kCapHigh) & 0xf);
  Store(kConfiguration, 0);
  if (!WaitFor([this] { return (Load(kStatus) & kReady) == 0; })) return false;
  std::fill_n(memory_, kQueuePages * kPage, std::byte{0});
  admin_ = {.id = 0, .tail = 0, .phase = 1};
  io_ = {.id = 1, .tail = 0, .phase = 1};
  Store(kAdminQueueAttributes, (kQueueEntries - 1) << 16 | (kQueueEntries - 1));
  StoreAddress(kAdminSubmissionQueue, iova_);
  StoreAddress(kAdminCompletionQueue, iova_ + kPage);
  Store(kConfiguration, kEntrySizes | kEnable);
  return WaitFor([this] { return (Load(kStatus) & kReady) != 0; });
}

bool NvmeDriver::MakeIoQueue() {
  const uint64_t submissions = iova_ + OffsetOf(io_);
  Submission create = {};
  create.opcode_and_id = kCreateCompletionQueue;
  create.prp1 = submissions + kPage;
  create.cdw10 = (kQueueEntries - 1) << 16 | io_.id;
  create.cdw11 = kContiguous;
  Submit(admin_, create);
  if (Await(admin_) != 0) return false;
  create.opcode_and_id = kCreateSubmissionQueue;
  create.prp1 = submissions;
  create.cdw11 = io_.id << 16 | kContiguous;
  Submit(admin_, create);
  return Await(admin_) == 0;
}

const volatile NvmeDriver::Completion& NvmeDriver::NextCompletion(const Queue& queue) const {
  const uint32_t index = (queue.tail + kQueueEntries - 1) % kQueueEntries;
  return reinterpret_cast<volatile Completion*>(memory_ + OffsetOf(queue) + kPage)[index];
}

void NvmeDriver::Submit(Queue& queue, const Submission& command) {
  Submission numbered = command;
  numbered.opcode_and_id |= queue.tail << 16;
  reinterpret_cast<Submission*>(memory_ + OffsetOf(queue))[queue.tail] = numbered;
  queue.tail = (queue.tail + 1) % kQueueEntries;
  std::atomic_thread_fence(std::memory_order_seq_cst);
  Store(kDoorbells + 2 * queue.id * stride_, queue.tail);
}

std::optional<uint16_t> NvmeDriver::Await(Queue& queue) {
  const volatile Completion& next = NextCompletion(queue);
  const auto has_completed = [&] { return (next.id_and_status >> 16 & 1) == queue.phase; };
  if (!WaitFor([&] { return has_completed() || HasFailed(); }) || !has_completed()) {
    return std::nullopt;
  }
  std::atomic_thread_fence(std::memory_order_seq_cst);
  const auto status = static_cast<uint16_t>(next.id_and_status >> 17);
  if (queue.tail == 0) queue.phase ^= 1;
  Store(kDoorbells + (2 * queue.id + 1) * stride_, queue.tail);
  return status;
}

void NvmeDriver::SubmitTransfer(uint32_t opcode, uint64_t page, uint64_t iova) {
  constexpr uint32_t kBlocks = kPage / kBlock;
  Submission transfer = {};
  transfer.opcode_and_id = opcode;
  transfer.namespace_id = 1;
  transfer.prp1 = iova;
  transfer.cdw10 = static_cast<uint32_t>(page * kBlocks);
  transfer.cdw12 = kBlocks - 1;
  Submit(io_, transfer);
}

void NvmeDriver::SubmitRead(uint64_t page, uint64_t iova) { SubmitTransfer(kRead, page, iova); }

std::optional<uint16_t> NvmeDriver::AwaitCompletion() { return Await(io_); }

bool NvmeDriver::IsCompleted() const {
  return (NextCompletion(io_).id_and_status >> 16 & 1) == io_.phase;
}

std::optional<uint16_t> NvmeDriver::ReadDisk(uint64_t page, uint64_t iova) {
  SubmitTransfer(kRead, page, iova);
  return Await(io_);
}

std::optional<uint16_t> NvmeDriver::WriteDisk(uint64_t page, uint64_t iova) {
  SubmitTransfer(kWrite, page, iova);
  return Await(io_);
}

std::optional<uint16_t> NvmeDriver::Identify(uint64_t iova) {
  Submission identify = {};
  identify.opcode_and_id = kIdentify;
  identify.prp1 = iova;
  identify.cdw10 = kIdentifyController;
  Submit(admin_, identify);
  return Await(admin_);
}

bool NvmeDriver::HasFailed() const { return (Load(kStatus) & kFatal) != 0; }

bool NvmeDriver::AwaitFailure() const {
  return WaitFor([this] { return HasFailed(); });
}

}  // namespace tests
