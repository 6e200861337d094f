#include "ioas/soft/dma_engine/dma_engine.h"

#include <cstring>
#include <map>
#include <memory>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

constexpr uint32_t kMemory = 1 << 20;

// An address space of its own for each PASID, of kMemory bytes from 0 on.
class Memory final : public DmaPort {
 public:
  Status Read(std::span<const DmaSegment> segments, std::byte* buffer) override {
    std::byte* const from = At(segments);
    if (from == nullptr) return Error{EFAULT, "nothing there"};
    std::memcpy(buffer, from, segments.front().length);
    return {};
  }
  Status Write(std::span<const DmaSegment> segments, const std::byte* buffer) override {
    std::byte* const to = At(segments);
    if (to == nullptr) return Error{EFAULT, "nothing there"};
    std::memcpy(to, buffer, segments.front().length);
    return {};
  }
  std::vector<std::byte>& Of(uint32_t pasid) {
    std::vector<std::byte>& bytes = spaces_[pasid];
    bytes.resize(kMemory);
    return bytes;
  }
  uint32_t largest = 0;

 private:
  std::byte* At(std::span<const DmaSegment> segments) {
    const DmaSegment& segment = segments.front();
    largest = std::max(largest, segment.length);
    const bool is_there = segments.size() == 1 && spaces_.count(segment.pasid) != 0 &&
                          segment.iova < kMemory && segment.length <= kMemory - segment.iova;
    return is_there ? spaces_[segment.pasid].data() + segment.iova : nullptr;
  }

  std::map<uint32_t, std::vector<std::byte>> spaces_;
};

class Interrupts final : public InterruptSink {
 public:
  void Signal(uint32_t vector) override { ++signalled[vector]; }
  void SetPin(bool) override { ADD_FAILURE() << "it has no pin"; }
  bool message_signalled() const override { return has_messages; }
  std::map<uint32_t, int> signalled;
  bool has_messages = true;
};

class DmaEngineTest : public testing::Test {
 protected:
  DmaEngineTest() { engine().Reset(); }

  // A view of its own for each call, as processes have them.
  DmaEngine& engine() {
    engine_ = std::make_unique<DmaEngine>(uint8_t{4}, &state_, page_, memory_, interrupts_);
    return *engine_;
  }
  DmaEngineRegisters& registers() { return *reinterpret_cast<DmaEngineRegisters*>(page_); }
  static uint32_t Pasid(uint32_t pasid) { return kDmaEnginePasidValid | pasid; }

  void Ask(uint64_t source, uint32_t source_pasid, uint64_t destination, uint32_t pasid,
           uint32_t length) {
    registers().source = source;
    registers().source_pasid = source_pasid;
    registers().destination = destination;
    registers().destination_pasid = pasid;
    registers().length = length;
    ++registers().doorbell;
  }
  DmaEngineStatus Finish() {
    for (int i = 0; i < 100 && engine().Poll(); ++i) {
    }
    EXPECT_EQ(registers().completed, registers().doorbell);
    return static_cast<DmaEngineStatus>(registers().status.load());
  }

  alignas(4096) std::byte page_[kDmaEngineRegisterBytes] = {};
  DmaEngineState state_ = {};
  Memory memory_;
  Interrupts interrupts_;
  std::unique_ptr<DmaEngine> engine_;
};

TEST_F(DmaEngineTest, CopiesFromOnePasidToAnother) {
  EXPECT_EQ(registers().pasid_bits, 4u);
  EXPECT_FALSE(engine().Poll());
  memory_.Of(3)[100] = std::byte{1};
  memory_.Of(kNoPasid)[100] = std::byte{2};
  memory_.Of(15);
  Ask(100, Pasid(3), 200, Pasid(15), 1);
  EXPECT_EQ(Finish(), DmaEngineStatus::kDone);
  EXPECT_EQ(memory_.Of(15)[200], std::byte{1});
  EXPECT_EQ(registers().copied, 1u);
  EXPECT_EQ(interrupts_.signalled[0], 1);
  Ask(100, 0, 201, Pasid(15), 1);
  EXPECT_EQ(Finish(), DmaEngineStatus::kDone);
  EXPECT_EQ(memory_.Of(15)[201], std::byte{2});
}

TEST_F(DmaEngineTest, LongCopiesGoPieceByPieceInAnyProcess) {
  std::vector<std::byte>& from = memory_.Of(1);
  for (size_t i = 0; i < from.size(); ++i) from[i] = static_cast<std::byte>(i / 999);
  memory_.Of(2);
  Ask(5, Pasid(1), 7, Pasid(2), kMemory - 8);
  EXPECT_TRUE(engine().Poll());
  EXPECT_TRUE(engine().Poll());
  EXPECT_EQ(registers().status, static_cast<uint32_t>(DmaEngineStatus::kBusy));
  EXPECT_EQ(registers().copied, 64u * 1024);
  // What is written meanwhile is for the next one.
  registers().length = 1;
  EXPECT_EQ(Finish(), DmaEngineStatus::kDone);
  EXPECT_EQ(memory_.largest, 64u * 1024);
  EXPECT_EQ(registers().copied, kMemory - 8);
  EXPECT_EQ(std::memcmp(from.data() + 5, memory_.Of(2).data() + 7, kMemory - 8), 0);
  EXPECT_EQ(interrupts_.signalled[0], 1);
}

TEST_F(DmaEngineTest, SaysWhichSideFaulted) {
  memory_.Of(1);
  Ask(0, Pasid(2), 0, Pasid(1), 10);
  EXPECT_EQ(Finish(), DmaEngineStatus::kSourceFault);
  Ask(0, Pasid(1), 0, 0, 10);
  EXPECT_EQ(Finish(), DmaEngineStatus::kDestinationFault);
  Ask(0, Pasid(1), kMemory - 70000, Pasid(1), 70001);
  EXPECT_EQ(Finish(), DmaEngineStatus::kDestinationFault);
  EXPECT_EQ(registers().copied, 65536u);
  Ask(0, Pasid(1), 0, Pasid(1), 0);
  EXPECT_EQ(Finish(), DmaEngineStatus::kDone);
  EXPECT_EQ(interrupts_.signalled[0], 4);
}

TEST_F(DmaEngineTest, RefusesWhatItCannotSay) {
  memory_.Of(1);
  memory_.Of(kNoPasid);
  for (const uint32_t wrong : {Pasid(16), 1u, Pasid(1) | 1u << 20, ~0u, 1u << 30}) {
    Ask(0, wrong, 0, 0, 1);
    EXPECT_EQ(Finish(), DmaEngineStatus::kInvalid) << wrong;
    Ask(0, 0, 0, wrong, 1);
    EXPECT_EQ(Finish(), DmaEngineStatus::kInvalid) << wrong;
  }
  Ask(UINT64_MAX, 0, 0, 0, 2);
  EXPECT_EQ(Finish(), DmaEngineStatus::kInvalid);
  Ask(0, 0, UINT64_MAX - 1, 0, UINT32_MAX);
  EXPECT_EQ(Finish(), DmaEngineStatus::kInvalid);
  Ask(UINT64_MAX, 0, 0, 0, 1);
  EXPECT_EQ(Finish(), DmaEngineStatus::kSourceFault);
}

TEST_F(DmaEngineTest, WithoutPasidsItSaysNone) {
  DmaEngine plain(0, &state_, page_, memory_, interrupts_);
  plain.Reset();
  EXPECT_EQ(registers().pasid_bits, 0u);
  memory_.Of(0);
  Ask(0, Pasid(0), 0, Pasid(0), 1);
  EXPECT_TRUE(plain.Poll());
  EXPECT_EQ(registers().status, static_cast<uint32_t>(DmaEngineStatus::kInvalid));
}

TEST_F(DmaEngineTest, WritesReachOnlyWhatIsTheProgramsToWrite) {
  const uint64_t value = 0x1122334455667788;
  const auto bytes = std::as_bytes(std::span(&value, 1));
  DmaEngine& written = engine();
  written.WriteBar(0, 8, bytes);
  written.WriteBar(0, 0x18, bytes);
  written.WriteBar(0, 0x18, bytes.first(4));
  written.WriteBar(0, 0x28, bytes);
  written.WriteBar(0, 0x1008, bytes);
  written.WriteBar(0, 0x3ff8, bytes);
  EXPECT_EQ(registers().destination, value);
  EXPECT_EQ(registers().length, 0x55667788u);
  EXPECT_EQ(registers().pasid_bits, 4u);
  EXPECT_EQ(registers().status, 0u);
  EXPECT_EQ(registers().doorbell, 0u);
  written.WriteBar(0, 0x1000, bytes.first(2));
  EXPECT_EQ(registers().doorbell, 0u);
  written.WriteBar(0, 0x1000, bytes);
  EXPECT_EQ(registers().doorbell, 0x55667788u);
  uint64_t read = 1;
  written.ReadBar(0, 0x3ff8, std::as_writable_bytes(std::span(&read, 1)));
  EXPECT_EQ(read, 0u);
  written.ReadBar(0, 8, std::as_writable_bytes(std::span(&read, 1)));
  EXPECT_EQ(read, value);
}

TEST_F(DmaEngineTest, ResetForgetsACopyUnderWay) {
  memory_.Of(1);
  Ask(0, Pasid(1), 0, Pasid(1), kMemory);
  EXPECT_TRUE(engine().Poll());
  engine().Reset();
  EXPECT_FALSE(engine().Poll());
  EXPECT_EQ(registers().status, 0u);
  EXPECT_EQ(registers().pasid_bits, 4u);
}

}  // namespace
}  // namespace ioas::soft
