// What the driver does that keeps to the rules, but for reads and writes.
#include <algorithm>
#include <cstring>
#include <iterator>

#include "fuzz/nvme_driver.h"

namespace fuzz {
namespace {

constexpr AdminOpcode kOpcodes[] = {
    AdminOpcode::kDeleteSubmissionQueue,
    AdminOpcode::kDeleteCompletionQueue,
    AdminOpcode::kCreateCompletionQueue,
    AdminOpcode::kGetLogPage,
    AdminOpcode::kIdentify,
    AdminOpcode::kAbort,
    AdminOpcode::kSetFeatures,
    AdminOpcode::kSetFeatures,
    AdminOpcode::kGetFeatures,
    AdminOpcode::kAsyncEventRequest,
};
// Features, log pages and what can be identified have small numbers, but for one.
constexpr uint32_t kMaxNumber = 0x14;

struct DatasetRange {
  uint32_t attributes;
  uint32_t blocks;
  uint64_t first_block;
};

bool Is(const SubmissionEntry& command, AdminOpcode opcode) {
  return command.opcode == static_cast<uint8_t>(opcode);
}

uint64_t PageAddress(uint32_t number) {
  return NvmeMemory::kFirst + (kFirstFreePage + number) * kNvmePage;
}

}  // namespace

SubmissionEntry Driver::TakeAdminCommand() {
  SubmissionEntry command{};
  command.opcode = static_cast<uint8_t>(kOpcodes[input_.TakeBelow(std::size(kOpcodes))]);
  constexpr uint32_t kNamespaces[] = {0, kNamespaceId, kAllNamespaces};
  command.namespace_id = kNamespaces[input_.TakeBelow(3)];
  constexpr uint32_t kPages = NvmeMemory::kPages - kFirstFreePage;
  command.prp1 = PageAddress(input_.TakeBelow(kPages));
  if (input_.TakeBelow(2) != 0) command.prp1 += 4 * input_.TakeBelow(256);
  command.prp2 = PageAddress(input_.TakeBelow(kPages));
  const uint32_t number = input_.TakeBelow(kMaxNumber + 1);
  command.cdw10 = number == kMaxNumber ? static_cast<uint32_t>(Feature::kHostIdentifier) : number;
  // The number of words of a log page, which of a feature's values, the size of a queue.
  const uint32_t more = input_.TakeBelow(8);
  if (Is(command, AdminOpcode::kGetFeatures)) {
    command.cdw10 |= more << 8;
  } else {
    command.cdw10 |= more * 0x91 << 16;
  }
  command.cdw11 = input_.TakeBelow(2) == 0 ? input_.TakeBelow(256) : input_.Take<uint32_t>();
  command.cdw12 = 4 * input_.TakeBelow(4);
  return command;
}

bool Driver::TakeCompletion(const SubmissionEntry& command) {
  Queue& queue = queues_[0];
  bool is_answered = false;
  for (;;) {
    const auto entry =
        memory_.Load<CompletionEntry>(CompletionBase(0) + queue.head * sizeof(CompletionEntry));
    if (((entry.status & 1) != 0) != queue.phase) break;
    FUZZ_REQUIRE(interrupts_.has_messages || interrupts_.pin);
    if (entry.command_id == command.command_id) {
      FUZZ_REQUIRE(!is_answered);
      is_answered = true;
      if (entry.status >> 1 == 0) last_result_ = entry.result;
    } else {
      FUZZ_REQUIRE(std::erase(event_requests_, entry.command_id) == 1);
    }
    queue.head = (queue.head + 1) % kEntries;
    if (queue.head == 0) queue.phase = !queue.phase;
  }
  registers().Store(HeadDoorbell(0), queue.head);
  Run();
  // Everything is taken.
  FUZZ_REQUIRE(interrupts_.has_messages || !interrupts_.pin);
  return is_answered;
}

void Driver::Exchange(SubmissionEntry command) {
  Queue& queue = queues_[0];
  command.command_id = ++last_id_;
  std::memcpy(memory_.At(SubmissionBase(0) + queue.tail * sizeof(command)), &command,
              sizeof(command));
  queue.tail = (queue.tail + 1) % kEntries;
  const std::vector<std::byte> before = memory_.bytes();
  last_result_.reset();
  registers().Store(TailDoorbell(0), queue.tail);
  Run();
  const bool is_answered = TakeCompletion(command);
  FUZZ_REQUIRE(is_answered || Is(command, AdminOpcode::kAsyncEventRequest));
  if (!is_answered) event_requests_.push_back(command.command_id);
  // Data went where it was to go, and nowhere else.
  for (uint64_t page = kFirstFreePage; page < NvmeMemory::kPages; ++page) {
    const uint64_t iova = NvmeMemory::kFirst + page * kNvmePage;
    if (iova == (command.prp1 & ~(kNvmePage - 1)) || iova == command.prp2) continue;
    const size_t offset = page * kNvmePage;
    FUZZ_REQUIRE(std::memcmp(before.data() + offset, memory_.bytes().data() + offset, kNvmePage) ==
                 0);
  }
}

void Driver::SetAndGet(SubmissionEntry command) {
  Exchange(command);
  if (!last_result_) return;
  const auto feature = static_cast<Feature>(command.cdw10 & 0xff);
  const uint32_t value = command.cdw11;
  command.opcode = static_cast<uint8_t>(AdminOpcode::kGetFeatures);
  command.cdw10 &= 0xff;
  // All sensors are one.
  if (feature == Feature::kTemperatureThreshold) command.cdw11 &= ~uint32_t{0xf0000};
  Exchange(command);
  FUZZ_REQUIRE(last_result_);
  switch (feature) {
    case Feature::kArbitration:
      FUZZ_REQUIRE(*last_result_ == value);
      break;
    case Feature::kTemperatureThreshold:
    case Feature::kErrorRecovery:
    case Feature::kInterruptCoalescing:
      FUZZ_REQUIRE(*last_result_ == (value & 0xffff));
      break;
    case Feature::kVolatileWriteCache:
    case Feature::kWriteAtomicity:
      FUZZ_REQUIRE(*last_result_ == (value & 1));
      break;
    case Feature::kAsyncEventConfiguration:
      FUZZ_REQUIRE(*last_result_ == (value & 0xff));
      break;
    case Feature::kInterruptVectorConfiguration:
      FUZZ_REQUIRE(*last_result_ == (value & 0x1ffff));
      break;
    default:
      break;
  }
}

void Driver::Session() {
  Start();
  event_requests_.clear();
  interrupts_.has_messages = input_.TakeBelow(2) == 0;
  for (uint32_t commands = 1 + input_.TakeBelow(8); commands != 0; --commands) {
    const SubmissionEntry command = TakeAdminCommand();
    if (Is(command, AdminOpcode::kSetFeatures)) {
      SetAndGet(command);
    } else {
      Exchange(command);
    }
  }
  interrupts_.has_messages = true;
  is_started_ = false;
}

// Blocks are made to read as zeroes, or given back, which has them read so too.
void Driver::Zero() {
  Start();
  SubmissionEntry command{};
  command.namespace_id = kNamespaceId;
  const bool is_dataset = input_.TakeBelow(2) != 0;
  const uint32_t count = is_dataset ? 1 + input_.TakeBelow(4) : 1;
  std::vector<DatasetRange> ranges(count);
  for (DatasetRange& range : ranges) {
    range = {0, 1 + input_.TakeBelow(100), input_.TakeBelow(kBlocks + 6)};
  }
  if (is_dataset) {
    command.opcode = static_cast<uint8_t>(IoOpcode::kDatasetManagement);
    command.prp1 = PageAddress(0);
    command.cdw10 = count - 1;
    command.cdw11 = 1 << 2;
    std::memcpy(memory_.At(command.prp1), ranges.data(), count * sizeof(DatasetRange));
  } else {
    command.opcode = static_cast<uint8_t>(IoOpcode::kWriteZeroes);
    command.cdw10 = static_cast<uint32_t>(ranges[0].first_block);
    // Given back, or written through the cache.
    command.cdw12 = (ranges[0].blocks - 1) | input_.TakeBelow(2) << 25 | input_.TakeBelow(2) << 30;
  }
  std::vector<std::byte> disk = is_damaged_ ? std::vector<std::byte>() : image_.Contents();
  memory_.MakeHole(0, 0);
  const auto completion = Do(1, command);
  FUZZ_REQUIRE(completion);
  if (is_damaged_) return;
  const bool is_inside = std::all_of(ranges.begin(), ranges.end(), [](const DatasetRange& range) {
    return (range.first_block + range.blocks) * kBlock <= kImageSize;
  });
  const auto status = static_cast<CommandStatus>(completion->status >> 1);
  FUZZ_REQUIRE(status == (is_inside ? CommandStatus::kSuccess : CommandStatus::kLbaOutOfRange));
  for (const DatasetRange& range : ranges) {
    if (!is_inside) break;
    std::fill_n(disk.begin() + static_cast<ptrdiff_t>(range.first_block * kBlock),
                range.blocks * kBlock, std::byte{0});
  }
  FUZZ_REQUIRE(disk == image_.Contents());
}

uint32_t Driver::CountCompletions() {
  Queue queue = queues_[1];
  uint32_t count = 0;
  for (; count < kEntries; ++count) {
    const auto entry =
        memory_.Load<CompletionEntry>(CompletionBase(1) + queue.head * sizeof(CompletionEntry));
    if (((entry.status & 1) != 0) != queue.phase) break;
    FUZZ_REQUIRE(entry.submission_queue == 1 && entry.status >> 1 == 0);
    queue.head = (queue.head + 1) % kEntries;
    if (queue.head == 0) queue.phase = !queue.phase;
  }
  return count;
}

// More commands than there are places for completions, which are not taken until later.
void Driver::Crowd() {
  Start();
  uint32_t submitted = 0;
  for (int round = 0; round < 2; ++round) {
    const uint32_t count = input_.TakeBelow(kEntries);
    for (uint32_t i = 0; i < count; ++i) {
      SubmissionEntry command{};
      // It is no error, and changes nothing, where only hints are given.
      command.opcode = static_cast<uint8_t>(IoOpcode::kDatasetManagement);
      command.namespace_id = kNamespaceId;
      command.command_id = ++last_id_;
      std::memcpy(memory_.At(SubmissionBase(1) + queues_[1].tail * sizeof(command)), &command,
                  sizeof(command));
      queues_[1].tail = (queues_[1].tail + 1) % kEntries;
    }
    submitted += count;
    registers().Store(TailDoorbell(1), queues_[1].tail);
    Run();
    // A full queue would look like an empty one: a place stays free.
    FUZZ_REQUIRE(CountCompletions() == std::min(submitted, kEntries - 1));
  }
  while (submitted != 0) {
    const uint32_t count = CountCompletions();
    FUZZ_REQUIRE(count == std::min(submitted, kEntries - 1));
    submitted -= count;
    Queue& queue = queues_[1];
    if (queue.head + count >= kEntries) queue.phase = !queue.phase;
    queue.head = (queue.head + count) % kEntries;
    registers().Store(HeadDoorbell(1), queue.head);
    Run();
  }
  FUZZ_REQUIRE(CountCompletions() == 0);
}

void Driver::Damage() {
  if (is_damaged_ || input_.TakeBelow(4) != 0) return;
  is_damaged_ = true;
  if (input_.TakeBelow(2) == 0) {
    image_.Seal();
  } else {
    image_.Shorten();
  }
}

}  // namespace fuzz
