// The DMA engine in a program's hands: registers by calls and as memory, whatever is in them,
// copies between the address spaces of PASIDs that are only partly there. An engine by the book
// (ioas/soft/dma_engine/dma_engine.h) does the same; registers, memory and interrupts agree.
//
// An input: how many bits PASIDs have, and steps of one byte and their operands.
#include "ioas/soft/dma_engine/dma_engine.h"

#include <cerrno>
#include <memory>

#include "fuzz/dma_engine_reference.h"
#include "fuzz/input.h"

namespace fuzz {
namespace {

using ioas::soft::DmaEngine;
using ioas::soft::DmaSegment;
using ioas::soft::kDmaEngineRegisterBytes;
using ioas::soft::kNoPasid;

constexpr int kMaxSteps = 60;
constexpr uint32_t kDoorbell = 0x1000;

class Port final : public ioas::soft::DmaPort {
 public:
  explicit Port(DmaSpaces& spaces) : spaces_(spaces) {}

  ioas::Status Read(std::span<const DmaSegment> segments, std::byte* buffer) override {
    return Move(segments, [&](std::byte* memory, size_t size) {
      std::memcpy(buffer, memory, size);
      buffer += size;
    });
  }
  ioas::Status Write(std::span<const DmaSegment> segments, const std::byte* buffer) override {
    return Move(segments, [&](std::byte* memory, size_t size) {
      std::memcpy(memory, buffer, size);
      buffer += size;
    });
  }

 private:
  template <typename Copy>
  ioas::Status Move(std::span<const DmaSegment> segments, Copy copy) {
    for (const DmaSegment& segment : segments) {
      FUZZ_REQUIRE(segment.length != 0 && segment.length <= DmaEngineReference::kPieceBytes);
      std::byte* const memory = spaces_.At(segment.pasid, segment.iova, segment.length);
      if (memory == nullptr) return ioas::Error{EFAULT, "not mapped"};
      copy(memory, segment.length);
    }
    return {};
  }

  DmaSpaces& spaces_;
};

class Interrupts final : public ioas::soft::InterruptSink {
 public:
  void Signal(uint32_t vector) override {
    FUZZ_REQUIRE(vector == 0);
    ++signals;
  }
  void SetPin(bool /*asserted*/) override { FUZZ_REQUIRE(false); }
  bool message_signalled() const override { return has_messages; }

  uint64_t signals = 0;
  bool has_messages = true;
};

class Comparison {
 public:
  explicit Comparison(Input& input)
      : input_(input), pasid_bits_(static_cast<uint8_t>(input.TakeBelow(21))), port_(spaces_) {
    Reset();
  }
  ~Comparison() { RequireSame(); }
  Comparison(const Comparison&) = delete;
  Comparison& operator=(const Comparison&) = delete;

  void Step();

 private:
  void Reset() {
    engine_->Reset();
    reference_.Reset(pasid_bits_);
  }
  void WriteByCall();
  void WriteAsMemory();
  void Ask();
  void ChangeSpaces();
  bool Poll();
  uint32_t TakePasid();
  uint64_t TakePlace();
  void RequireSame();

  Input& input_;
  uint8_t pasid_bits_;
  DmaSpaces spaces_;
  DmaSpaces expected_spaces_;
  Port port_;
  Interrupts interrupts_;
  alignas(4096) std::byte registers_[kDmaEngineRegisterBytes] = {};
  ioas::soft::DmaEngineState state_ = {};
  // Of a process: another one may go on.
  std::unique_ptr<DmaEngine> engine_ =
      std::make_unique<DmaEngine>(pasid_bits_, &state_, registers_, port_, interrupts_);
  DmaEngineReference reference_{expected_spaces_};
};

void Comparison::Step() {
  switch (input_.TakeBelow(10)) {
    case 0:
      WriteByCall();
      break;
    case 1:
      WriteAsMemory();
      break;
    case 2:
    case 3:
      Ask();
      break;
    case 4:
      Poll();
      break;
    case 5:
      while (Poll()) {
      }
      break;
    case 6:
      Reset();
      break;
    case 7:
      ChangeSpaces();
      break;
    case 8:
      interrupts_.has_messages = !interrupts_.has_messages;
      break;
    case 9:
      engine_ = std::make_unique<DmaEngine>(pasid_bits_, &state_, registers_, port_, interrupts_);
      break;
  }
  std::byte seen[kDmaEngineRegisterBytes];
  engine_->ReadBar(0, 0, seen);
  FUZZ_REQUIRE(std::memcmp(seen, reference_.registers(), sizeof(seen)) == 0);
}

void Comparison::WriteByCall() {
  const uint32_t size = 1u << input_.TakeBelow(4);
  const uint32_t offset = input_.Take<uint16_t>() % (kDmaEngineRegisterBytes + 1 - size);
  const auto value = input_.Take<uint64_t>();
  const auto bytes = std::as_bytes(std::span(&value, 1)).first(size);
  engine_->WriteBar(0, offset, bytes);
  reference_.WriteByCall(offset, bytes);
}

// Also where the program has nothing to write.
void Comparison::WriteAsMemory() {
  const uint32_t offset = input_.TakeBelow(2) == 0 ? input_.TakeBelow(12) * 4 : kDoorbell;
  const auto value = input_.Take<uint32_t>();
  std::memcpy(registers_ + offset, &value, sizeof(value));
  reference_.WriteAsMemory(offset, value);
}

uint32_t Comparison::TakePasid() {
  const uint32_t pasid = input_.TakeBelow(4);
  if (pasid == 0) return 0;
  if (pasid == 3) return input_.Take<uint32_t>();
  return ioas::soft::kDmaEnginePasidValid | pasid;
}

uint64_t Comparison::TakePlace() {
  const auto offset = input_.Take<uint16_t>();
  return offset == 0xffff ? input_.Take<uint64_t>() : DmaSpaces::kFirst + offset * uint64_t{4};
}

// What a program does that wants a copy.
void Comparison::Ask() {
  const uint64_t addresses[] = {TakePlace(), TakePlace()};
  const uint32_t others[] = {TakePasid(), TakePasid(), input_.Take<uint32_t>() % (256 * 1024)};
  std::memcpy(registers_, addresses, sizeof(addresses));
  std::memcpy(registers_ + sizeof(addresses), others, sizeof(others));
  reference_.Ask(addresses, others);
  const auto doorbell = input_.Take<uint8_t>();
  engine_->WriteBar(0, kDoorbell, std::as_bytes(std::span<const uint32_t>({doorbell})));
  reference_.WriteAsMemory(kDoorbell, doorbell);
}

void Comparison::ChangeSpaces() {
  const uint32_t choice = input_.TakeBelow(3);
  const uint32_t pasid = choice == 0 ? kNoPasid : choice;
  const uint64_t first = input_.TakeBelow(64) * uint64_t{4096};
  const uint64_t pages = input_.TakeBelow(4);
  const auto fill = static_cast<std::byte>(input_.Take<uint8_t>());
  for (DmaSpaces* const spaces : {&spaces_, &expected_spaces_}) {
    spaces->Change(pasid, first, pages, fill);
  }
}

bool Comparison::Poll() {
  const uint64_t before = interrupts_.signals;
  const bool is_done = engine_->Poll();
  const uint64_t completions = reference_.completions();
  FUZZ_REQUIRE(is_done == reference_.Poll());
  const bool is_due = interrupts_.has_messages && reference_.completions() != completions;
  FUZZ_REQUIRE(interrupts_.signals - before == (is_due ? 1 : 0));
  return is_done;
}

void Comparison::RequireSame() { FUZZ_REQUIRE(spaces_ == expected_spaces_); }

}  // namespace
}  // namespace fuzz

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  fuzz::Comparison comparison(input);
  for (int step = 0; step < fuzz::kMaxSteps && !input.empty(); ++step) comparison.Step();
  return 0;
}
