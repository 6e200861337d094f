#include "ioas/soft/nvme/test_support.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>

namespace ioas::soft::nvme {

bool FakeMemory::IsMapped(const DmaSegment& segment) const {
  const uint64_t last = segment.iova + (segment.length - 1);
  if (segment.length == 0 || last < segment.iova) return false;
  if (segment.iova < kFirst || last >= kFirst + kSize) return false;
  return std::none_of(unmapped_.begin(), unmapped_.end(), [&](const auto& range) {
    return segment.iova <= range.second && range.first <= last;
  });
}

ioas::Status FakeMemory::Read(std::span<const DmaSegment> segments, std::byte* buffer) {
  uint64_t total = 0;
  for (const DmaSegment& segment : segments) {
    if (!IsMapped(segment)) {
      ++faults;
      return Error{EFAULT, "not mapped"};
    }
    std::memcpy(buffer + total, At(segment.iova), segment.length);
    total += segment.length;
  }
  largest_transfer = std::max(largest_transfer, total);
  return {};
}

ioas::Status FakeMemory::Write(std::span<const DmaSegment> segments, const std::byte* buffer) {
  uint64_t total = 0;
  for (const DmaSegment& segment : segments) {
    if (!IsMapped(segment)) {
      ++faults;
      return Error{EFAULT, "not mapped"};
    }
    std::memcpy(At(segment.iova), buffer + total, segment.length);
    total += segment.length;
  }
  largest_transfer = std::max(largest_transfer, total);
  return {};
}

namespace {

std::byte PatternAt(size_t index, uint8_t first) {
  return static_cast<std::byte>(first + index * 7 + index / 509);
}

}  // namespace

void FakeMemory::Fill(uint64_t iova, size_t length, uint8_t first) {
  for (size_t i = 0; i < length; ++i) At(iova)[i] = PatternAt(i, first);
}

testing::AssertionResult FakeMemory::Holds(uint64_t iova, size_t length, uint8_t first) {
  for (size_t i = 0; i < length; ++i) {
    if (At(iova)[i] == PatternAt(i, first)) continue;
    return testing::AssertionFailure() << "byte " << i << " differs";
  }
  return testing::AssertionSuccess();
}

std::string MemoryDirectory() {
  return access("/dev/shm", W_OK) == 0 ? "/dev/shm/" : testing::TempDir();
}

TemporaryImage::TemporaryImage(uint64_t size, const std::string& directory)
    : path_(directory + "nvme_image_XXXXXX") {
  const int fd = mkstemp(path_.data());
  EXPECT_GE(fd, 0);
  EXPECT_EQ(ftruncate(fd, static_cast<off_t>(size)), 0);
  close(fd);
}

TemporaryImage::~TemporaryImage() { unlink(path()); }

void TemporaryImage::Resize(uint64_t size) const {
  EXPECT_EQ(truncate(path(), static_cast<off_t>(size)), 0);
}

std::vector<std::byte> TemporaryImage::Contents(uint64_t offset, size_t length) const {
  std::vector<std::byte> contents(length);
  const int fd = open(path(), O_RDONLY | O_CLOEXEC);
  EXPECT_EQ(pread(fd, contents.data(), length, static_cast<off_t>(offset)),
            static_cast<ssize_t>(length));
  close(fd);
  return contents;
}

void NvmeFixture::MakeController(uint32_t block_size) {
  config_ = {.image_path = image_.path(), .serial_number = "test-1", .block_size = block_size};
  state_ = {};
  pages_ = {};
  driver_ = {};
  controller_ = MakeView();
  controller_->Reset();
}

std::unique_ptr<NvmeController> NvmeFixture::MakeView() {
  return std::make_unique<NvmeController>(config_, &state_, pages_.data(), memory_, interrupts_);
}

void NvmeFixture::Run() {
  for (int i = 0; controller_->Poll(); ++i) ASSERT_LT(i, 1000000);
}

void NvmeFixture::Enable(uint32_t cc_extra) {
  registers().Store(kRegisterAqa, (kAdminEntries - 1) << 16 | (kAdminEntries - 1));
  registers().Store(kRegisterAsq, static_cast<uint32_t>(SubmissionBase(0)));
  registers().Store(kRegisterAsq + 4, 0);
  registers().Store(kRegisterAcq, static_cast<uint32_t>(CompletionBase(0)));
  registers().Store(kRegisterAcq + 4, 0);
  std::memset(memory_.At(SubmissionBase(0)), 0, 0x10000);
  driver_[0] = {.entries = kAdminEntries, .completion_entries = kAdminEntries};
  registers().Store(kRegisterCc, kCcEnable | kIoConfiguration | cc_extra);
  Run();
  ASSERT_EQ(registers().Load(kRegisterCsts), kCstsReady);
}

void NvmeFixture::MakeQueues(uint32_t id, uint32_t entries) {
  std::memset(memory_.At(SubmissionBase(id)), 0, 0x10000);
  ASSERT_EQ(StatusOf(0, Admin(AdminOpcode::kCreateCompletionQueue, (entries - 1) << 16 | id,
                              id << 16 | 3, CompletionBase(id))),
            CommandStatus::kSuccess);
  ASSERT_EQ(StatusOf(0, Admin(AdminOpcode::kCreateSubmissionQueue, (entries - 1) << 16 | id,
                              id << 16 | 1, SubmissionBase(id))),
            CommandStatus::kSuccess);
  driver_[id] = {.entries = entries, .completion_entries = entries};
}

void NvmeFixture::Put(uint32_t id, const SubmissionEntry& command) {
  DriverQueue& queue = driver_[id];
  memory_.As<SubmissionEntry>(SubmissionBase(id) + queue.tail * sizeof(command)) = command;
  queue.tail = (queue.tail + 1) % queue.entries;
}

void NvmeFixture::Ring(uint32_t id) { registers().Store(TailDoorbell(id), driver_[id].tail); }

bool NvmeFixture::Take(uint32_t id, Reply* reply) {
  DriverQueue& queue = driver_[id];
  const auto& entry =
      memory_.As<CompletionEntry>(CompletionBase(id) + queue.head * sizeof(CompletionEntry));
  if (((entry.status & 1) != 0) != queue.phase) return false;
  *reply = {static_cast<CommandStatus>(entry.status >> 1), entry.result, entry.command_id,
            entry.submission_head};
  queue.head = (queue.head + 1) % queue.completion_entries;
  if (queue.head == 0) queue.phase = !queue.phase;
  return true;
}

void NvmeFixture::Acknowledge(uint32_t id) {
  registers().Store(HeadDoorbell(id), driver_[id].head);
}

Reply NvmeFixture::Do(uint32_t id, const SubmissionEntry& command) {
  Reply reply;
  Put(id, command);
  Ring(id);
  Run();
  EXPECT_TRUE(Take(id, &reply)) << "no completion";
  EXPECT_EQ(reply.command_id, command.command_id);
  Acknowledge(id);
  return reply;
}

SubmissionEntry NvmeFixture::Admin(AdminOpcode opcode, uint32_t cdw10, uint32_t cdw11,
                                   uint64_t prp1, uint32_t namespace_id) {
  SubmissionEntry command{};
  command.opcode = static_cast<uint8_t>(opcode);
  command.command_id = 0x1234;
  command.namespace_id = namespace_id;
  command.prp1 = prp1;
  command.cdw10 = cdw10;
  command.cdw11 = cdw11;
  return command;
}

SubmissionEntry NvmeFixture::Io(IoOpcode opcode, uint64_t block, uint32_t blocks, uint64_t prp1,
                                uint64_t prp2) {
  SubmissionEntry command{};
  command.opcode = static_cast<uint8_t>(opcode);
  command.command_id = 0x4321;
  command.namespace_id = kNamespaceId;
  command.prp1 = prp1;
  command.prp2 = prp2;
  command.cdw10 = static_cast<uint32_t>(block);
  command.cdw11 = static_cast<uint32_t>(block >> 32);
  command.cdw12 = blocks - 1;
  return command;
}

SubmissionEntry NvmeFixture::LongIo(IoOpcode opcode, uint64_t block, uint32_t blocks) {
  const uint32_t pages = blocks * 512 / 4096;
  for (uint32_t i = 1; i < pages; ++i) {
    memory_.As<uint64_t>(kLists + (i - 1) * 8) = kData + i * 4096;
  }
  return Io(opcode, block, blocks, kData, pages > 2 ? kLists : kData + 4096);
}

}  // namespace ioas::soft::nvme
