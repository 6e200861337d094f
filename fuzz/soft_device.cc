// An emulated device in the hands of a program: configuration space, BARs by calls and as memory,
// interrupts, DMA to memory of two processes, faults, errors that freeze it, its thread. After each
// step registers, memory, events, faults and statistics are what a device of plain bytes has
// (soft_device_reference.h).
//
// An input: steps of one byte and their operands.
#include <linux/pci_regs.h>

#include "fuzz/input.h"
#include "fuzz/soft_device_program.h"
#include "ioas/soft/soft_backend.h"

namespace fuzz {

using ioas::soft::Irq;

namespace {

constexpr int kMaxSteps = 60;

uint64_t faults_seen = 0;

}  // namespace

Program::Program(Input& input) : input_(input) {
  around_.Reset();
  memory_.resize(kMemoryBytes);
  // As drivers do first.
  const uint16_t command = PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER;
  host_.device().WriteConfig(PCI_COMMAND, std::as_bytes(std::span(&command, 1)));
  LookAtConfig();
  faults_seen = 0;
  ioas::soft::SetFaultObserver([](const ioas::soft::FaultRecord&) { ++faults_seen; });
  RequireSame();
}

void Program::ReadOrWriteConfig() {
  const uint32_t length = 1 + input_.TakeBelow(8);
  const uint32_t offset = input_.Take<uint16_t>() % (input_.TakeBelow(4) == 0 ? 4096 : 256);
  const uint32_t size = std::min(length, 4096 - offset);
  std::vector<std::byte> data(size);
  const bool is_closed = (reference_.errors & (ioas::kIoFrozen | ioas::kInReset)) != 0;
  if (input_.TakeBelow(2) != 0) {
    host_.device().ReadConfig(offset, data);
    const bool all = std::all_of(data.begin(), data.end(),
                                 [](std::byte byte) { return byte == std::byte{0xff}; });
    FUZZ_REQUIRE(!is_closed || all);
    return;
  }
  const auto value = input_.Take<uint64_t>();
  std::memcpy(data.data(), &value, size);
  host_.device().WriteConfig(offset, data);
  if (!is_closed) LookAtConfig();
}

void Program::WriteCommandRegister() {
  const auto bits = static_cast<uint16_t>(input_.TakeBelow(8) << 1 | input_.TakeBelow(2) << 10);
  host_.device().WriteConfig(PCI_COMMAND, std::as_bytes(std::span(&bits, 1)));
  if ((reference_.errors & (ioas::kIoFrozen | ioas::kInReset)) == 0) LookAtConfig();
}

void Program::LookAtConfig() {
  const ioas::soft::PciConfig config(&host_.state().config);
  reference_.is_bus_master = config.bus_master();
  reference_.has_memory = config.memory_enabled();
  reference_.interrupts.SetDisabled(config.intx_disabled());
  if (host_.model().resets == resets_) return;
  // A function level reset, by PCI Express's control register.
  resets_ = host_.model().resets;
  reference_.ResetModel();
}

void Program::ReadOrWriteBar() {
  const bool is_second = input_.TakeBelow(8) == 7;
  const uint8_t bar = is_second ? 2 : 0;
  const uint32_t end = is_second ? 0x1000 : kModelBar;
  FUZZ_REQUIRE(host_.device().bar(bar).size == end);
  FUZZ_REQUIRE(host_.device().bar(1).size == 0);
  // Mostly at the registers' ends and those of the MSI-X table.
  const uint32_t near = input_.TakeBelow(5) * 0x1000 + 0x10000 + input_.TakeBelow(256) - 0x90;
  const uint32_t offset = near % end;
  const uint32_t size = std::min(1 + input_.TakeBelow(160), end - offset);
  std::vector<std::byte> data(size);
  ioas::Status status;
  if (input_.TakeBelow(2) == 0) {
    status = host_.device().ReadBar(bar, offset, data);
    std::vector<std::byte> expected(size);
    reference_.ReadBar(bar, offset, expected);
    FUZZ_REQUIRE(!status.ok() || data == expected);
  } else {
    for (std::byte& byte : data) byte = input_.Take<std::byte>();
    status = host_.device().WriteBar(bar, offset, data);
    if (reference_.has_memory) {
      reference_.WriteBar(bar, offset, data);
      if (!reference_.io_frozen()) Run();
    }
  }
  FUZZ_REQUIRE(status.ok() == reference_.has_memory);
  FUZZ_REQUIRE(status.ok() || status.error().code == EIO);
}

void Program::Map() {
  const uint64_t iova = TakeIova();
  const uint64_t pages = 1 + input_.TakeBelow(4);
  const uint64_t page = input_.TakeBelow(kMemoryPages - 3);
  const uint32_t access = input_.TakeBelow(4);
  const uint32_t owner = input_.TakeBelow(4) == 3 ? kPeer : 0;
  const uint64_t address = around_.base() + page * kDevicePage;
  const uint64_t last = iova + pages * kDevicePage - 1;
  int expected = owner == kPeer && reference_.peer_is_gone ? EFAULT : 0;
  const uint64_t reserved = kFirstIova + kReservedPage * kDevicePage;
  for (uint64_t i = 0; i < pages; ++i) {
    if (owner == 0 && reference_.hole == address + i * kDevicePage) expected = EFAULT;
  }
  if (last >= reserved) expected = EINVAL;
  for (uint64_t i = 0; i < pages; ++i) {
    if (reference_.pages.contains(iova + i * kDevicePage)) expected = EEXIST;
  }
  const ioas::Status mapped = host_.Map({iova, last, address, owner, access, 0});
  FUZZ_REQUIRE((mapped.ok() ? 0 : mapped.error().code) == expected);
  for (uint64_t i = 0; mapped.ok() && i < pages; ++i) {
    reference_.pages[iova + i * kDevicePage] = {address + i * kDevicePage, access, owner, iova};
  }
}

void Program::Unmap() {
  if (input_.TakeBelow(4) == 0) {
    host_.UnmapAll();
    reference_.pages.clear();
    return;
  }
  const uint64_t iova = TakeIova();
  host_.Unmap(iova);
  const auto page = reference_.pages.find(iova);
  if (page == reference_.pages.end()) return;
  const uint64_t first = page->second.first;
  std::erase_if(reference_.pages, [&](const auto& each) { return each.second.first == first; });
}

void Program::Dma() {
  const ioas::Access access = input_.TakeBelow(2) == 0 ? ioas::kAccessRead : ioas::kAccessWrite;
  // More than are copied at once, sometimes.
  const uint32_t count = input_.TakeBelow(8) == 7 ? 90 : input_.TakeBelow(5);
  const uint32_t longest = count == 90 ? 64 : 3 * kDevicePage;
  Segments segments(count);
  size_t length = 0;
  for (ioas::soft::DmaSegment& segment : segments) {
    const uint64_t offset = input_.TakeBelow(2) != 0 ? input_.TakeBelow(kDevicePage) : 0;
    segment = {TakeIova() + offset, 1 + input_.Take<uint16_t>() % longest};
    length += segment.length;
  }
  std::vector<std::byte> buffer(length);
  for (size_t i = 0; i < length; ++i) buffer[i] = static_cast<std::byte>(i * 7 + segments.size());
  std::vector<std::byte> expected = buffer;
  ioas::soft::SoftDmaPort port(host_.arena(), host_.host(), host_.state(), nullptr);
  const ioas::Status status = access == ioas::kAccessRead ? port.Read(segments, buffer.data())
                                                          : port.Write(segments, buffer.data());
  const bool is_ok = reference_.Transfer(segments, expected, access, memory_, around_.base());
  FUZZ_REQUIRE(status.ok() == is_ok && buffer == expected);
  Follow();
}

void Program::Follow() {
  FUZZ_REQUIRE(host_.errors() == reference_.errors);
  host_.SetErrors(reference_.errors);
}

void Program::Command() {
  ModelRegisters registers = reference_.registers;
  registers.source = TakeIova() + input_.TakeBelow(64);
  registers.destination = TakeIova() + input_.TakeBelow(64);
  registers.length = input_.TakeBelow(kModelLengthMask + 1);
  const uint32_t vector = input_.TakeBelow(16);
  registers.command = (reference_.done ^ 0x80000000) & ~uint32_t{0x1ff03};
  registers.command |= vector << 8 | input_.TakeBelow(4);
  const auto* bytes = reinterpret_cast<const std::byte*>(&registers);
  for (const uint32_t offset : {uint32_t{0}, uint32_t{0x1000}}) {
    const std::span<const std::byte> data(bytes + offset, offset == 0 ? 20 : 4);
    const ioas::Status status = host_.device().WriteBar(0, offset, data);
    FUZZ_REQUIRE(status.ok() == reference_.has_memory);
    if (!status.ok()) return;
    reference_.WriteBar(0, offset, data);
    if (!reference_.io_frozen()) Run();
  }
}

void Program::RequireSameFaults() {
  FUZZ_REQUIRE(host_.host().faults().total() == reference_.faults);
  FUZZ_REQUIRE(faults_seen == reference_.faults);
  FUZZ_REQUIRE(host_.statistics().faults == reference_.space_faults);
  FUZZ_REQUIRE(host_.statistics().dma_read == reference_.read);
  FUZZ_REQUIRE(host_.statistics().dma_written == reference_.written);
  ioas::soft::FaultRecord records[ioas::soft::kFaultRecords];
  const size_t count = host_.host().faults().Copy(records);
  FUZZ_REQUIRE((count != 0) == reference_.last_fault.has_value());
  if (count == 0) return;
  const ReferenceFault& last = *reference_.last_fault;
  FUZZ_REQUIRE(std::any_of(records, records + count, [&](const auto& record) {
    return record.iova == last.iova && record.direction == last.access &&
           record.reason == last.reason &&
           ioas::soft::PciAddress::FromNumber(record.device) == host_.state().address;
  }));
}

void Program::RequireSame() {
  FUZZ_REQUIRE(host_.errors() == reference_.errors);
  RequireSameFaults();
  FUZZ_REQUIRE(host_.model().done == reference_.done);
  const std::byte* const registers =
      host_.arena().Get(ioas::ArenaRef<std::byte>{host_.state().registers_unit});
  for (uint32_t i = 0; i < kModelRegisters; ++i) {
    FUZZ_REQUIRE(registers[i] ==
                 (reference_.io_frozen() ? std::byte{0xff} : reference_.bytes()[i]));
  }
  const auto sent = reference_.interrupts.TakeSent();
  for (int event = 0; event < ReferenceInterrupts::kUnmaskEvent; ++event) {
    FUZZ_REQUIRE(around_.TakeEvents(event) == sent[event]);
  }
  for (const Irq irq : {Irq::kIntx, Irq::kMsi, Irq::kMsix, Irq::kError, Irq::kRequest}) {
    FUZZ_REQUIRE(host_.device().irq_enabled(irq) == reference_.interrupts.enabled(irq));
  }
  for (uint64_t page = 0; page < kMemoryPages; ++page) {
    const std::byte* const there = around_.memory() + page * kDevicePage;
    if (reference_.hole == reinterpret_cast<uint64_t>(there)) continue;
    FUZZ_REQUIRE(std::memcmp(there, memory_.data() + page * kDevicePage, kDevicePage) == 0);
  }
}

void Program::StepOfOthers() {
  switch (input_.TakeBelow(8)) {
    case 0:
      return Fork();
    case 1:
      return Die();
    case 2:
      return Join();
    default:
      return RunThread();
  }
}

void Program::Step() {
  switch (input_.TakeBelow(16)) {
    case 0:
      ReadOrWriteConfig();
      break;
    case 1:
      WriteCommandRegister();
      break;
    case 2:
    case 3:
      ReadOrWriteBar();
      break;
    case 4:
    case 5:
      Map();
      break;
    case 6:
      Unmap();
      break;
    case 7:
    case 8:
      Dma();
      break;
    case 9:
      Command();
      break;
    case 10:
    case 11:
      ChangeInterrupts();
      break;
    case 12:
      ChangeErrors();
      break;
    case 13:
      if (input_.TakeBelow(2) == 0)
        Refuse();
      else
        Attach();
      break;
    case 14:
      if (input_.TakeBelow(2) == 0)
        Reset();
      else
        ToggleHole();
      break;
    default:
      StepOfOthers();
  }
  RequireSame();
}

}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  fuzz::Program program(input);
  for (int step = 0; step < fuzz::kMaxSteps && !input.empty(); ++step) program.Step();
  return 0;
}
