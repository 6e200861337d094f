// A driver of the NVMe controller that is right at one time and hostile at another: any register,
// any command, lists of pages that lead anywhere, memory that is not there. Work comes to an end. A
// driver that keeps to the rules gets one completion for each command, in its queue, with the right
// phase; and what it reads and writes is what a disk of bytes and a walk through the lists by the
// book say (nvme_memory.h).
//
// An input: steps of one byte and their operands.
#include "fuzz/input.h"
#include "fuzz/nvme_driver.h"
#include "fuzz/nvme_memory.h"
#include "fuzz/pci_config_space.h"

namespace fuzz {
namespace {

constexpr int kMaxSteps = 40;

}  // namespace

void Driver::Run() {
  for (int polls = 0; controller_->Poll(); ++polls) FUZZ_REQUIRE(polls < kMaxPolls);
}

void Driver::Start() {
  if (is_started_) return;
  memory_.MakeHole(0, 0);
  registers().Store(kRegisterCc, 0);
  Run();
  // A shutdown of what was not enabled is over at once, and stays so until it is enabled.
  FUZZ_REQUIRE((registers().Load(kRegisterCsts) & ~kCstsShutdownMask) == 0);
  FUZZ_REQUIRE(registers().Load64(kRegisterCap) == kCapabilities);
  std::memset(memory_.At(NvmeMemory::kFirst), 0, kFirstFreePage * kNvmePage);
  registers().Store(kRegisterIntmc, ~uint32_t{0});
  registers().Store(kRegisterAqa, (kEntries - 1) << 16 | (kEntries - 1));
  registers().Store(kRegisterAsq, static_cast<uint32_t>(SubmissionBase(0)));
  registers().Store(kRegisterAsq + 4, 0);
  registers().Store(kRegisterAcq, static_cast<uint32_t>(CompletionBase(0)));
  registers().Store(kRegisterAcq + 4, 0);
  registers().Store(kRegisterCc, kConfiguration);
  Run();
  FUZZ_REQUIRE(registers().Load(kRegisterCsts) == kCstsReady);
  queues_[0] = {};
  queues_[1] = {};
  is_started_ = true;
  for (const AdminOpcode opcode :
       {AdminOpcode::kCreateCompletionQueue, AdminOpcode::kCreateSubmissionQueue}) {
    const bool is_completion = opcode == AdminOpcode::kCreateCompletionQueue;
    SubmissionEntry command{};
    command.opcode = static_cast<uint8_t>(opcode);
    command.prp1 = is_completion ? CompletionBase(1) : SubmissionBase(1);
    command.cdw10 = (kEntries - 1) << 16 | 1;
    command.cdw11 = 1 << 16 | (is_completion ? 3 : 1);
    const auto completion = Do(0, command);
    FUZZ_REQUIRE(completion && completion->status >> 1 == 0);
  }
}

std::optional<CompletionEntry> Driver::Do(uint32_t id, SubmissionEntry command) {
  Queue& queue = queues_[id];
  command.command_id = ++last_id_;
  std::memcpy(memory_.At(SubmissionBase(id) + queue.tail * sizeof(command)), &command,
              sizeof(command));
  queue.tail = (queue.tail + 1) % kEntries;
  registers().Store(TailDoorbell(id), queue.tail);
  Run();
  const auto entry =
      memory_.Load<CompletionEntry>(CompletionBase(id) + queue.head * sizeof(CompletionEntry));
  if (((entry.status & 1) != 0) != queue.phase) return std::nullopt;
  FUZZ_REQUIRE(entry.command_id == command.command_id && entry.submission_queue == id);
  FUZZ_REQUIRE(entry.submission_head == queue.tail);
  queue.head = (queue.head + 1) % kEntries;
  if (queue.head == 0) queue.phase = !queue.phase;
  registers().Store(HeadDoorbell(id), queue.head);
  return entry;
}

uint64_t Driver::TakeAddress() {
  const uint32_t choice = input_.TakeBelow(8);
  const uint64_t page = input_.TakeBelow(NvmeMemory::kPages + 1);
  switch (choice) {
    case 0:
      return input_.Take<uint64_t>();
    case 1:
      return NvmeMemory::kFirst + page * kNvmePage + input_.TakeBelow(4096);
    case 2:
      // Near the end of a page, where lists lead on.
      return NvmeMemory::kFirst + page * kNvmePage + kNvmePage - 8 * (1 + input_.TakeBelow(8));
    default:
      return NvmeMemory::kFirst + page * kNvmePage;
  }
}

SubmissionEntry Driver::TakeCommand() {
  SubmissionEntry command{};
  command.opcode = input_.Take<uint8_t>();
  command.flags = input_.TakeBelow(16) == 15 ? input_.Take<uint8_t>() : 0;
  command.namespace_id = input_.TakeBelow(16) == 15 ? input_.Take<uint32_t>() : kNamespaceId;
  command.prp1 = TakeAddress();
  command.prp2 = TakeAddress();
  command.cdw10 = input_.Take<uint32_t>();
  command.cdw11 = input_.Take<uint32_t>();
  command.cdw12 = input_.Take<uint32_t>();
  return command;
}

bool Driver::IsHarmless(const NvmeTransfer& transfer, bool is_read) {
  for (const NvmePiece& piece : transfer.pieces) {
    if (piece.iova < NvmeMemory::kFirst + kFirstFreePage * kNvmePage) return false;
    for (const NvmePiece& list : transfer.lists) {
      // A list that is overwritten while it is read may be read before or after that.
      if (is_read && list.iova < piece.iova + piece.length && piece.iova < list.iova + 8)
        return false;
    }
  }
  return true;
}

// Puts a list into the last two pages of memory that all transfers can do with, however long, of
// entries that lead to other pages. It begins anywhere in the first one, at whose end it goes on in
// the second one. Returns where.
uint64_t Driver::PutList() {
  constexpr uint64_t kPerPage = kNvmePage / sizeof(uint64_t);
  constexpr uint64_t kFirstPage = NvmeMemory::kPages - 2;
  const uint64_t skipped = input_.TakeBelow(kPerPage);
  auto* const list =
      reinterpret_cast<uint64_t*>(memory_.At(NvmeMemory::kFirst + kFirstPage * kNvmePage));
  for (uint64_t i = skipped; i < 2 * kPerPage; ++i) {
    const uint64_t page = kFirstFreePage + i % (kFirstPage - kFirstFreePage);
    list[i] = NvmeMemory::kFirst + (i == kPerPage - 1 ? kFirstPage + 1 : page) * kNvmePage;
  }
  return NvmeMemory::kFirst + kFirstPage * kNvmePage + skipped * sizeof(uint64_t);
}

// Reads and writes, of which everything is known.
void Driver::Transfer() {
  Start();
  const bool is_read = input_.TakeBelow(2) != 0;
  SubmissionEntry command{};
  command.opcode = static_cast<uint8_t>(is_read ? IoOpcode::kRead : IoOpcode::kWrite);
  command.namespace_id = kNamespaceId;
  command.prp1 = TakeAddress();
  command.prp2 = TakeAddress();
  command.cdw10 = input_.TakeBelow(kBlocks + 6);
  const uint32_t blocks = 1 + input_.TakeBelow(kMaximumTransfer / kBlock + 12);
  command.cdw12 = blocks - 1;
  if (input_.TakeBelow(4) == 0) command.prp2 = PutList();
  const NvmeTransfer transfer = TransferOf(memory_, command.prp1, command.prp2, blocks * kBlock);
  if (!IsHarmless(transfer, is_read)) return;
  if (is_damaged_) {
    FUZZ_REQUIRE(Do(1, command));
    return;
  }
  std::vector<std::byte> memory = memory_.bytes();
  std::vector<std::byte> disk = image_.Contents();
  const auto completion = Do(1, command);
  FUZZ_REQUIRE(completion);
  CheckTransfer(command, transfer, std::move(memory), std::move(disk),
                static_cast<CommandStatus>(completion->status >> 1));
}

// `memory` and `disk` as they were before.
void Driver::CheckTransfer(const SubmissionEntry& command, const NvmeTransfer& transfer,
                           std::vector<std::byte> memory, std::vector<std::byte> disk,
                           CommandStatus status) {
  const uint64_t offset = command.cdw10 * kBlock;
  const uint64_t length = (command.cdw12 + 1) * kBlock;
  if (offset + length > kImageSize) {
    FUZZ_REQUIRE(status == CommandStatus::kLbaOutOfRange && disk == image_.Contents());
    return;
  }
  if (length > kMaximumTransfer) {
    FUZZ_REQUIRE(status == CommandStatus::kInvalidField && disk == image_.Contents());
    return;
  }
  if (!transfer.is_whole) {
    FUZZ_REQUIRE(status == CommandStatus::kPrpOffsetInvalid ||
                 status == CommandStatus::kDataTransferError);
    return;
  }
  FUZZ_REQUIRE(status == CommandStatus::kSuccess);
  const bool is_read = command.opcode == static_cast<uint8_t>(IoOpcode::kRead);
  std::byte* at = disk.data() + offset;
  for (const NvmePiece& piece : transfer.pieces) {
    std::byte* const there = memory.data() + (piece.iova - NvmeMemory::kFirst);
    std::memcpy(is_read ? there : at, is_read ? at : there, piece.length);
    at += piece.length;
  }
  FUZZ_REQUIRE(disk == image_.Contents());
  // But for the queues.
  const size_t free = kFirstFreePage * kNvmePage;
  FUZZ_REQUIRE(std::equal(memory.begin() + free, memory.end(), memory_.bytes().begin() + free));
}

void Driver::AnyCommand() {
  Start();
  const uint32_t queue = input_.TakeBelow(2);
  const SubmissionEntry command = TakeCommand();
  const uint64_t signals = interrupts_.signals;
  const auto completion = Do(queue, command);
  if (queue == 1) {
    // Each is answered, unless its own data fell into the queue.
    if (completion) FUZZ_REQUIRE(interrupts_.signals >= signals);
    FUZZ_REQUIRE((registers().Load(kRegisterCsts) & kCstsFatal) == 0);
  }
  // A command may have deleted a queue, or written into one.
  is_started_ = false;
}

// Puts entries that lists have into memory: any, or pages one after the other.
void Driver::FillMemory() {
  uint64_t place = TakeAddress() & ~uint64_t{7};
  const bool is_regular = input_.TakeBelow(2) != 0;
  const uint32_t count = input_.TakeBelow(is_regular ? 200 : 20);
  for (uint32_t i = 0; i < count; ++i, place += 8) {
    const uint64_t page = kFirstFreePage + i % (NvmeMemory::kPages - kFirstFreePage);
    const uint64_t entry = is_regular ? NvmeMemory::kFirst + page * kNvmePage : TakeAddress();
    const bool is_free = place >= NvmeMemory::kFirst + kFirstFreePage * kNvmePage;
    if (is_free && memory_.Holds(place, 8)) std::memcpy(memory_.At(place), &entry, 8);
  }
}

void Driver::AccessRegisters() {
  const uint32_t size = 1 + input_.TakeBelow(8);
  const uint32_t offset = input_.Take<uint16_t>() % 0x3f00;
  if (input_.TakeBelow(2) != 0) {
    std::vector<std::byte> read(size);
    controller_->ReadBar(0, offset, read);
    return;
  }
  is_started_ = false;
  const auto value = input_.Take<uint64_t>();
  if (input_.TakeBelow(2) != 0) {
    // As a program that has mapped the BAR.
    registers().Store(offset % kRegisterPagesSize & ~uint32_t{3}, static_cast<uint32_t>(value));
  } else {
    controller_->WriteBar(0, offset, std::as_bytes(std::span(&value, 1)).first(size));
  }
  Run();
}

void Driver::Step() {
  switch (input_.TakeBelow(16)) {
    case 0:
      return AccessRegisters();
    case 1:
    case 2:
      return FillMemory();
    case 3: {
      const uint64_t first = kFirstFreePage + input_.TakeBelow(NvmeMemory::kPages - kFirstFreePage);
      return memory_.MakeHole(first, input_.TakeBelow(4));
    }
    case 4:
    case 5:
      return AnyCommand();
    case 6:
      controller_->Reset();
      is_started_ = false;
      return;
    case 7:
      return FuzzConfigSpace(input_, controller_->identity(), controller_->bars());
    case 8:
    case 9:
    case 10:
      return Session();
    case 11:
      return Zero();
    case 12:
      return input_.TakeBelow(2) == 0 ? Damage() : Crowd();
    default:
      return Transfer();
  }
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  fuzz::Driver driver(input);
  for (int step = 0; step < fuzz::kMaxSteps && !input.empty(); ++step) driver.Step();
  return 0;
}
