// Whatever a program puts into queues, lists and registers, the controller answers and goes on.
#include <gtest/gtest.h>

#include <cstring>
#include <random>

#include "ioas/soft/nvme/test_support.h"

namespace ioas::soft::nvme {
namespace {

class HostileTest : public NvmeFixture {
 protected:
  static constexpr uint32_t kEntries = 64;

  uint32_t Random(uint32_t bound) { return static_cast<uint32_t>(random_() % bound); }

  // An address that is mapped, or nearly, or anything.
  uint64_t RandomAddress() {
    switch (Random(4)) {
      case 0:
        return random_();
      case 1:
        return FakeMemory::kFirst + FakeMemory::kSize - Random(3) * 4096;
      default:
        return kData + Random(1024) * 4096 + (Random(4) == 0 ? Random(4096) : 0);
    }
  }

  SubmissionEntry RandomCommand(bool admin) {
    SubmissionEntry command;
    for (size_t i = 0; i < sizeof(command); i += 4) {
      const auto word = static_cast<uint32_t>(random_());
      std::memcpy(reinterpret_cast<std::byte*>(&command) + i, &word, 4);
    }
    if (Random(8) == 0) return command;
    command.opcode = static_cast<uint8_t>(Random(admin ? 0x10 : 0x0a));
    command.flags = Random(16) == 0 ? command.flags : 0;
    command.namespace_id = Random(8) == 0 ? command.namespace_id : Random(2);
    command.prp1 = RandomAddress();
    command.prp2 = RandomAddress();
    command.cdw10 &= admin ? 0x00ff00ff : 0x3fff;
    command.cdw11 &= Random(4) == 0 ? ~0U : (admin ? 0x00010003 : 0);
    command.cdw12 &= Random(4) == 0 ? ~0U : 0x7ff;
    return command;
  }

  // Brings the queues back after a command deleted one of them or a fault was fatal.
  void Recover() {
    registers().Store(kRegisterCc, 0);
    Run();
    ASSERT_EQ(registers().Load(kRegisterCsts), 0U);
    Enable();
    MakeQueues(1, kEntries);
  }

  // Lists that name pages, each other, and nonsense.
  void ScatterLists() {
    for (uint32_t i = 0; i < 4 * 512; ++i) {
      memory_.As<uint64_t>(kData + i * 8) = Random(3) == 0 ? RandomAddress() : kData + i * 4096;
    }
  }

  std::mt19937_64 random_{20240501};
};

TEST_F(HostileTest, RandomIoCommandsAreEachAnsweredOnce) {
  EnableWithQueues(kEntries);
  for (uint32_t round = 0; round < 4000; ++round) {
    if (round % 64 == 0) ScatterLists();
    const uint32_t count = 1 + Random(kEntries - 2);
    for (uint32_t i = 0; i < count; ++i) {
      SubmissionEntry command = RandomCommand(false);
      command.command_id = static_cast<uint16_t>(i);
      Put(1, command);
    }
    Ring(1);
    Run();
    ASSERT_EQ(registers().Load(kRegisterCsts), kCstsReady);
    Reply reply;
    for (uint32_t i = 0; i < count; ++i) {
      ASSERT_TRUE(Take(1, &reply));
      ASSERT_EQ(reply.command_id, i);
    }
    ASSERT_FALSE(Take(1, &reply));
    Acknowledge(1);
  }
}

TEST_F(HostileTest, RandomAdminCommandsLeaveAControllerThatCanBeReset) {
  Enable();
  for (uint32_t i = 0; i < 20000; ++i) {
    Put(0, RandomCommand(true));
    Ring(0);
    Run();
    Reply reply;
    while (Take(0, &reply)) {
    }
    Acknowledge(0);
    if ((registers().Load(kRegisterCsts) & kCstsFatal) != 0 || i % 1000 == 0) Recover();
  }
  Recover();
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 8)), CommandStatus::kSuccess);
}

TEST_F(HostileTest, RandomRegisterWritesLeaveAControllerThatCanBeReset) {
  Enable();
  for (uint32_t i = 0; i < 20000; ++i) {
    const uint32_t offset = Random(4) == 0 ? Random(0x3f00) : Random(0x40);
    const uint64_t value = Random(2) == 0 ? random_() : Random(64);
    const auto bytes = std::as_bytes(std::span(&value, 1)).first(1 + Random(8));
    if (Random(2) == 0) {
      controller_->WriteBar(0, offset, bytes);
    } else {
      registers().Store(offset % kRegisterPagesSize & ~3U, static_cast<uint32_t>(value));
    }
    for (int polls = 0; polls < 20; ++polls) controller_->Poll();
  }
  registers().Store(kRegisterIntmc, ~0U);
  Recover();
  EXPECT_EQ(registers().Load64(kRegisterCap), kCapabilities);
  EXPECT_EQ(StatusOf(1, Io(IoOpcode::kRead, 0, 8)), CommandStatus::kSuccess);
}

}  // namespace
}  // namespace ioas::soft::nvme
