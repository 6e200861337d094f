#include "ioas/soft/devices.h"

#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <string>

#include "gtest/gtest.h"
#include "ioas/soft/dma_engine/dma_engine.h"
#include "ioas/soft/soft_backend.h"

namespace ioas::soft {
namespace {

constexpr PciAddress kAddress = {0, 0, 5, 0};
constexpr uint64_t kPage = 4096;
constexpr uint32_t kImageSize = 1 << 20;
// Where things lie in the memory that is mapped at IOVA 0.
constexpr uint64_t kAdminSubmission = 0 * kPage;
constexpr uint64_t kAdminCompletion = 1 * kPage;
constexpr uint64_t kIoSubmission = 2 * kPage;
constexpr uint64_t kIoCompletion = 3 * kPage;
constexpr uint64_t kData = 4 * kPage;
constexpr uint64_t kMemorySize = 8 * kPage;
constexpr uint32_t kQueueEntries = 16;
// Registers (NVM Express 1.4, 3.1).
constexpr uint32_t kCc = 0x14;
constexpr uint32_t kCsts = 0x1c;
constexpr uint32_t kAqa = 0x24;
constexpr uint32_t kAsq = 0x28;
constexpr uint32_t kAcq = 0x30;

struct Command {
  uint8_t opcode;
  uint8_t flags;
  uint16_t id;
  uint32_t namespace_id;
  uint64_t reserved[2];
  uint64_t prp[2];
  uint32_t words[6];
};
static_assert(sizeof(Command) == 64);

// A small driver, as a program in user space has it: registers mapped, memory mapped for DMA.
class NvmeTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = testing::TempDir() + "/devices_test.XXXXXX";
    const int image = mkstemp(path_.data());
    ASSERT_GE(image, 0);
    ASSERT_EQ(ftruncate(image, kImageSize), 0);
    close(image);
    fd_ = memfd_create("arena", MFD_CLOEXEC);
    arena_ = *Arena::Map(fd_, size_t{1} << 30);
    host_ = arena_.Get(*CreateHost(arena_));
    const auto created = CreateNvme(arena_, *host_, {kAddress, 7, path_, "serial", 512});
    ASSERT_TRUE(created.ok()) << created.error().reason;
    const auto opened = OpenDevice(arena_, *created);
    ASSERT_TRUE(opened.ok());
    device_ = *opened;
    SoftBackend backend(host_->processes());
    const auto space = AddressSpace::Create(arena_, backend.properties(), 10);
    device_->Attach({*space, {}});
    memory_ = static_cast<std::byte*>(
        mmap(nullptr, kMemorySize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    AddressSpace view(arena_, *space, &backend);
    {
      AddressSpace::Lock lock(view);
      ASSERT_TRUE(view.Map({0, kMemorySize - 1, reinterpret_cast<uint64_t>(memory_),
                            *host_->processes().Register(), kAccessRead | kAccessWrite, 0})
                      .ok());
    }
    const uint16_t command = 0x6;
    device_->WriteConfig(4, std::as_bytes(std::span(&command, 1)));
    ASSERT_TRUE(device_->Start().ok());
    bar_size_ = device_->bar(0).mappable_size;
    registers_ =
        static_cast<std::byte*>(mmap(nullptr, bar_size_, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                                     static_cast<off_t>(device_->MappableFileOffset(0))));
    device_->OnMap(registers_, bar_size_);
    event_ = eventfd(0, EFD_CLOEXEC);
    ASSERT_TRUE(device_->EnableIrq(Irq::kMsix, 1).ok());
    ASSERT_TRUE(device_->SetTrigger(Irq::kMsix, 0, event_).ok());
  }

  void TearDown() override {
    device_->OnUnmap(registers_, bar_size_);
    munmap(registers_, bar_size_);
    device_->Close();
    munmap(memory_, kMemorySize);
    arena_.Unmap();
    close(fd_);
    close(event_);
    unlink(path_.c_str());
  }

  std::atomic_ref<uint32_t> Register(uint32_t offset) {
    return std::atomic_ref<uint32_t>(*reinterpret_cast<uint32_t*>(registers_ + offset));
  }

  void EnableController() {
    Register(kAqa) = (kQueueEntries - 1) << 16 | (kQueueEntries - 1);
    Register(kAsq) = kAdminSubmission;
    Register(kAcq) = kAdminCompletion;
    Register(kCc) = 1 | 6 << 16 | 4 << 20;
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while ((Register(kCsts) & 1) == 0 && std::chrono::steady_clock::now() < deadline) {
    }
    ASSERT_EQ(Register(kCsts) & 1, 1u);
  }

  // Submits a command to queue 0 or 1, waits for its interrupt, and returns its status field.
  uint16_t Run(uint32_t queue, const Command& command) {
    const uint64_t submission = queue == 0 ? kAdminSubmission : kIoSubmission;
    const uint64_t completion = queue == 0 ? kAdminCompletion : kIoCompletion;
    uint32_t& index = index_[queue];
    std::memcpy(memory_ + submission + sizeof(command) * index, &command, sizeof(command));
    const auto* entry = reinterpret_cast<const uint32_t*>(memory_ + completion + 16 * index);
    index = (index + 1) % kQueueEntries;
    Register(0x1000 + 8 * queue) = index;
    uint64_t events = 0;
    EXPECT_EQ(read(event_, &events, sizeof(events)), 8);
    Register(0x1004 + 8 * queue) = index;
    return static_cast<uint16_t>(entry[3] >> 17);
  }

  std::string path_;
  int fd_ = -1;
  int event_ = -1;
  Arena arena_;
  SoftHost* host_ = nullptr;
  SoftDevice* device_ = nullptr;
  std::byte* memory_ = nullptr;
  std::byte* registers_ = nullptr;
  size_t bar_size_ = 0;
  uint32_t index_[2] = {};
};

TEST_F(NvmeTest, ADriverWritesAndReadsBlocks) {
  EnableController();
  Command create_completion = {};
  create_completion.opcode = 0x05;
  create_completion.prp[0] = kIoCompletion;
  create_completion.words[0] = (kQueueEntries - 1) << 16 | 1;
  create_completion.words[1] = 3;  // contiguous, interrupts on, vector 0
  ASSERT_EQ(Run(0, create_completion), 0);
  Command create_submission = {};
  create_submission.opcode = 0x01;
  create_submission.prp[0] = kIoSubmission;
  create_submission.words[0] = (kQueueEntries - 1) << 16 | 1;
  create_submission.words[1] = 1 << 16 | 1;
  ASSERT_EQ(Run(0, create_submission), 0);

  std::memset(memory_ + kData, 0x5a, kPage);
  Command io = {};
  io.opcode = 0x01;  // write
  io.namespace_id = 1;
  io.prp[0] = kData;
  io.words[0] = 3;
  io.words[2] = 7;  // eight blocks
  ASSERT_EQ(Run(1, io), 0);
  io.opcode = 0x02;  // read
  io.prp[0] = kData + kPage;
  ASSERT_EQ(Run(1, io), 0);
  EXPECT_EQ(std::memcmp(memory_ + kData, memory_ + kData + kPage, kPage), 0);
  io.opcode = 0x02;
  io.prp[0] = kMemorySize;  // not mapped
  EXPECT_NE(Run(1, io), 0);
  FaultRecord fault;
  ASSERT_EQ(host_->faults().Copy({&fault, 1}), 1u);
  EXPECT_EQ(fault.device, kAddress.number());
  EXPECT_EQ(fault.iova, kMemorySize);
  EXPECT_EQ(fault.direction, kAccessWrite);
}

TEST_F(NvmeTest, ItsConfigurationSpaceSaysNvme) {
  uint32_t word = 0;
  device_->ReadConfig(8, std::as_writable_bytes(std::span(&word, 1)));
  EXPECT_EQ(word >> 8, 0x010802u);
}

TEST_F(NvmeTest, ADmaEngineIsADeviceToo) {
  const PciAddress address = {0, 0, 7, 0};
  EXPECT_EQ(CreateDmaEngine(arena_, *host_, {kAddress, 1, 0}).error().code, EEXIST);
  EXPECT_EQ(CreateDmaEngine(arena_, *host_, {address, 1, 21}).error().code, EINVAL);
  const auto made = CreateDmaEngine(arena_, *host_, {address, 1, 20});
  ASSERT_TRUE(made.ok());
  EXPECT_EQ(arena_.Get(*made)->pasid_bits, 20);
  const auto opened = OpenDevice(arena_, *made);
  ASSERT_TRUE(opened.ok());
  uint32_t word = 0;
  (*opened)->ReadConfig(0, std::as_writable_bytes(std::span(&word, 1)));
  EXPECT_EQ(word, uint32_t{kDmaEngineDevice} << 16 | kDmaEngineVendor);
  const uint16_t command = 6;
  (*opened)->WriteConfig(4, std::as_bytes(std::span(&command, 1)));
  ASSERT_TRUE((*opened)->ReadBar(0, 0x1c, std::as_writable_bytes(std::span(&word, 1))).ok());
  EXPECT_EQ(word, 20u);
  EXPECT_EQ((*opened)->bar(0).mappable_size, kDmaEngineRegisterBytes);
  (*opened)->Close();
}

TEST_F(NvmeTest, WhatItCannotBeIsRefused) {
  EXPECT_EQ(CreateNvme(arena_, *host_, {kAddress, 1, path_, "x", 512}).error().code, EEXIST);
  EXPECT_EQ(CreateNvme(arena_, *host_, {{0, 0, 6, 0}, 1, path_, "x", 1024}).error().code, EINVAL);
  EXPECT_EQ(
      CreateNvme(arena_, *host_, {{0, 0, 6, 0}, 1, path_, std::string(21, 'x'), 512}).error().code,
      EINVAL);
  EXPECT_EQ(
      CreateNvme(arena_, *host_, {{0, 0, 6, 0}, 1, std::string(4096, '/'), "x", 512}).error().code,
      ENAMETOOLONG);
}

}  // namespace
}  // namespace ioas::soft
