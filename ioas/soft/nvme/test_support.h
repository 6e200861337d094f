// For tests: memory, interrupts and an image around a controller, and a small driver.
#ifndef IOAS_SOFT_NVME_TEST_SUPPORT_H_
#define IOAS_SOFT_NVME_TEST_SUPPORT_H_

#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "ioas/soft/nvme/controller.h"

namespace ioas::soft::nvme {

// Memory at IOVAs from kFirst on; everything else, and what Unmap takes away, is a fault.
class FakeMemory : public DmaPort {
 public:
  static constexpr uint64_t kFirst = 0x100000;
  static constexpr size_t kSize = 8 << 20;

  FakeMemory() : bytes_(kSize) {}

  ioas::Status Read(std::span<const DmaSegment> segments, std::byte* buffer) override;
  ioas::Status Write(std::span<const DmaSegment> segments, const std::byte* buffer) override;

  std::byte* At(uint64_t iova) { return bytes_.data() + (iova - kFirst); }
  template <typename T>
  T& As(uint64_t iova) {
    return *reinterpret_cast<T*>(At(iova));
  }
  void Fill(uint64_t iova, size_t length, uint8_t first);
  // Whether memory holds what Fill made.
  testing::AssertionResult Holds(uint64_t iova, size_t length, uint8_t first);

  void Unmap(uint64_t first, uint64_t last) { unmapped_.emplace_back(first, last); }
  void MapAll() { unmapped_.clear(); }

  uint64_t faults = 0;
  uint64_t largest_transfer = 0;

 private:
  bool IsMapped(const DmaSegment& segment) const;

  std::vector<std::byte> bytes_;
  std::vector<std::pair<uint64_t, uint64_t>> unmapped_;
};

class FakeInterrupts : public InterruptSink {
 public:
  void Signal(uint32_t vector) override { ++signalled.at(vector); }
  void SetPin(bool asserted) override { pin = asserted; }
  bool message_signalled() const override { return messages; }

  std::array<int, kInterruptVectors> signalled{};
  bool pin = false;
  bool messages = true;
};

// Where flushing costs nothing, if there is such a place.
std::string MemoryDirectory();

// A file of `size` bytes that is gone with the object.
class TemporaryImage {
 public:
  explicit TemporaryImage(uint64_t size, const std::string& directory = testing::TempDir());
  ~TemporaryImage();
  const char* path() const { return path_.c_str(); }
  void Resize(uint64_t size) const;
  std::vector<std::byte> Contents(uint64_t offset, size_t length) const;

 private:
  std::string path_;
};

// What tests use of a completion.
struct Reply {
  CommandStatus status = CommandStatus::kSuccess;
  uint32_t result = 0;
  uint16_t command_id = 0;
  uint16_t submission_head = 0;
};

// A controller with all around it, and a driver that uses mapped registers. Queue `id` lies at
// SubmissionBase(id), CompletionBase(id); data may lie from kData on.
class NvmeFixture : public testing::Test {
 protected:
  static constexpr uint64_t kImageSize = 16 << 20;
  static constexpr uint64_t kData = FakeMemory::kFirst + (2 << 20);
  static constexpr uint32_t kAdminEntries = 16;
  static constexpr uint32_t kIoConfiguration = 6 << 16 | 4 << 20;  // CC: entry sizes

  NvmeFixture() { MakeController(512); }

  // A fresh controller, reset, on the same image.
  void MakeController(uint32_t block_size);
  // Another process's view of the same controller.
  std::unique_ptr<NvmeController> MakeView();

  static uint64_t SubmissionBase(uint32_t id) { return FakeMemory::kFirst + id * 0x10000; }
  static uint64_t CompletionBase(uint32_t id) { return SubmissionBase(id) + 0x8000; }

  void Run();  // polls until there is nothing to do
  void Enable(uint32_t cc_extra = 0);
  // Makes I/O queue pair `id` of `entries`, with interrupts to vector `id`.
  void MakeQueues(uint32_t id, uint32_t entries);
  void EnableWithQueues(uint32_t entries = 64) {
    Enable();
    MakeQueues(1, entries);
  }

  // Puts `command` into queue `id` without ringing; Ring tells of all so put.
  void Put(uint32_t id, const SubmissionEntry& command);
  void Ring(uint32_t id);
  // Takes the next completion, if there is one; the head doorbell follows in Acknowledge.
  bool Take(uint32_t id, Reply* reply);
  void Acknowledge(uint32_t id);
  // Submits, runs, takes and acknowledges.
  Reply Do(uint32_t id, const SubmissionEntry& command);
  CommandStatus StatusOf(uint32_t id, const SubmissionEntry& command) {
    return Do(id, command).status;
  }

  static SubmissionEntry Admin(AdminOpcode opcode, uint32_t cdw10 = 0, uint32_t cdw11 = 0,
                               uint64_t prp1 = kData, uint32_t namespace_id = 0);
  static SubmissionEntry Io(IoOpcode opcode, uint64_t block, uint32_t blocks, uint64_t prp1 = kData,
                            uint64_t prp2 = 0);
  // A transfer of `blocks` of 512 bytes between kData and the image; its list lies at kLists.
  SubmissionEntry LongIo(IoOpcode opcode, uint64_t block, uint32_t blocks);
  static constexpr uint64_t kLists = FakeMemory::kFirst + (1 << 20);

  RegisterPages registers() { return RegisterPages(pages_.data()); }
  template <typename T>
  T& Data() {
    return memory_.As<T>(kData);
  }

  struct DriverQueue {
    uint32_t entries = 0;
    uint32_t tail = 0;
    uint32_t completion_entries = 0;
    uint32_t head = 0;
    bool phase = true;
  };

  TemporaryImage image_{kImageSize, MemoryDirectory()};
  NvmeConfig config_{};
  NvmeState state_{};
  alignas(4096) std::array<std::byte, kRegisterPagesSize> pages_{};
  FakeMemory memory_;
  FakeInterrupts interrupts_;
  std::unique_ptr<NvmeController> controller_;
  std::array<DriverQueue, kMaximumIoQueues + 1> driver_{};
};

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_TEST_SUPPORT_H_
