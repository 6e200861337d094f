// A program that has an emulated device: what it does, each held against the reference.
#ifndef FUZZ_SOFT_DEVICE_PROGRAM_H_
#define FUZZ_SOFT_DEVICE_PROGRAM_H_

#include <vector>

#include "fuzz/input.h"
#include "fuzz/soft_device_reference.h"
#include "fuzz/soft_device_world.h"

namespace fuzz {

class Program {
 public:
  explicit Program(Input& input);
  ~Program() {
    if (reference_.hole) around_.SetHole(*reference_.hole, false);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  void Step();

 private:
  static constexpr uint64_t kFirstIova = 0xfedf0000;  // the reserved range begins 16 pages on
  static constexpr uint32_t kIovaPages = 20;
  static constexpr uint32_t kReservedPage = 16;

  uint64_t TakeIova() { return kFirstIova + input_.TakeBelow(kIovaPages) * kDevicePage; }
  void StepOfOthers();
  void ReadOrWriteConfig();
  void WriteCommandRegister();
  // What the configuration space says now, to the reference.
  void LookAtConfig();
  void ReadOrWriteBar();
  void Map();
  void Unmap();
  void Dma();
  void Command();
  void ChangeInterrupts();
  void SetTrigger(ioas::soft::Irq irq, uint32_t vector);
  void SetForeignTrigger(ioas::soft::Irq irq, uint32_t vector);
  void ChangeErrors();
  void Refuse();
  void Attach();
  void Reset();
  void ToggleHole();
  void RunThread();
  void StoreInThread(std::byte* registers);
  void WaitFor(uint32_t command);
  // As a forked child finds the device.
  void Fork();
  // Another process dies with the address space's lock.
  void Die();
  void DieWithWindow();
  template <typename Call>
  void DieIn(Call last_call);
  void Join();
  // The device does what it has to do.
  void Run() { reference_.Run(memory_, around_.base()); }
  // After whatever may have let a fault freeze the group.
  void Follow();
  void RequireSame();
  void RequireSameFaults();

  Input& input_;
  Surroundings& around_ = Surroundings::Get();
  DeviceHost host_;
  DeviceReference reference_;
  std::vector<std::byte> memory_;
  uint32_t resets_ = host_.model().resets;
  int threads_ = 0;
  int deaths_ = 0;
};

}  // namespace fuzz

#endif  // FUZZ_SOFT_DEVICE_PROGRAM_H_
