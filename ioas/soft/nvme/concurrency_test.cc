// A driver on its own thread, which shares nothing with the controller but mapped registers and
// memory, as a program does.
#include <gtest/gtest.h>

#include <atomic>
#include <cstring>
#include <mutex>
#include <thread>

#include "ioas/soft/nvme/test_support.h"

namespace ioas::soft::nvme {
namespace {

class ConcurrencyTest : public NvmeFixture {
 protected:
  // Two threads take turns to run the controller under its lock, as two processes may.
  void PollUntilStopped(NvmeController& controller) {
    while (!stop_.load()) {
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        controller.Poll();
      }
      std::this_thread::yield();
    }
  }

  // Waits for the completion in the queue's next slot as a driver does that polls.
  uint16_t AwaitCompletion(uint32_t id) {
    DriverQueue& queue = driver_[id];
    const uint64_t slot = CompletionBase(id) + queue.head * sizeof(CompletionEntry);
    std::unique_lock<std::mutex> lock(memory_mutex_);
    while (((memory_.As<CompletionEntry>(slot).status & 1) != 0) != queue.phase) {
      lock.unlock();
      std::this_thread::yield();
      lock.lock();
    }
    queue.head = (queue.head + 1) % queue.completion_entries;
    if (queue.head == 0) queue.phase = !queue.phase;
    return memory_.As<CompletionEntry>(slot).status >> 1;
  }

  // Memory that is accessed by one side at a time; the registers are not so guarded.
  class LockedMemory : public DmaPort {
   public:
    LockedMemory(FakeMemory& memory, std::mutex& mutex) : memory_(memory), mutex_(mutex) {}
    ioas::Status Read(std::span<const DmaSegment> segments, std::byte* buffer) override {
      const std::lock_guard<std::mutex> lock(mutex_);
      return memory_.Read(segments, buffer);
    }
    ioas::Status Write(std::span<const DmaSegment> segments, const std::byte* buffer) override {
      const std::lock_guard<std::mutex> lock(mutex_);
      return memory_.Write(segments, buffer);
    }

   private:
    FakeMemory& memory_;
    std::mutex& mutex_;
  };

  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::mutex memory_mutex_;
};

TEST_F(ConcurrencyTest, DriverAndTwoRunnersShareTheRegisters) {
  EnableWithQueues(16);
  LockedMemory memory(memory_, memory_mutex_);
  NvmeController first(config_, &state_, pages_.data(), memory, interrupts_);
  NvmeController second(config_, &state_, pages_.data(), memory, interrupts_);
  std::thread first_runner([&] { PollUntilStopped(first); });
  std::thread second_runner([&] { PollUntilStopped(second); });
  for (uint32_t i = 0; i < 600; ++i) {
    const auto opcode = i % 2 == 0 ? IoOpcode::kWrite : IoOpcode::kRead;
    {
      const std::lock_guard<std::mutex> lock(memory_mutex_);
      if (i % 2 == 0) memory_.Fill(kData, 4096, static_cast<uint8_t>(i));
      if (i % 2 == 1) std::memset(memory_.At(kData), 0, 4096);
      Put(1, Io(opcode, i / 2 % 1000 * 8, 8));
    }
    Ring(1);
    if (i % 16 == 0) registers().Store(kRegisterIntmc, ~0U);
    ASSERT_EQ(AwaitCompletion(1), 0);
    Acknowledge(1);
    const std::lock_guard<std::mutex> lock(memory_mutex_);
    ASSERT_TRUE(memory_.Holds(kData, 4096, static_cast<uint8_t>(i & ~1U)));
  }
  registers().Store(kRegisterCc, 0);
  while (registers().Load(kRegisterCsts) != 0) std::this_thread::yield();
  stop_ = true;
  first_runner.join();
  second_runner.join();
}

}  // namespace
}  // namespace ioas::soft::nvme
