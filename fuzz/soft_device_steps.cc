// What befalls a device, and its thread.
#include <unistd.h>

#include "fuzz/soft_device_program.h"
#include "ioas/group_errors.h"
#include "ioas/soft/soft_backend.h"

namespace fuzz {

using ioas::soft::Irq;

namespace {

// What takes a thread, and so time.
constexpr int kMaxThreads = 2;

}  // namespace

void Program::ChangeInterrupts() {
  const Irq irq{input_.TakeBelow(6)};
  const uint32_t number = input_.TakeBelow(ReferenceInterrupts::CountOf(irq) + 2);
  ReferenceInterrupts& interrupts = reference_.interrupts;
  FUZZ_REQUIRE(host_.device().irq_count(irq) == ReferenceInterrupts::CountOf(irq));
  switch (input_.TakeBelow(8)) {
    case 0:
    case 1: {
      const ioas::Status status = host_.device().EnableIrq(irq, number);
      const int expected = interrupts.Enable(irq, number);
      FUZZ_REQUIRE((status.ok() ? 0 : status.error().code) == expected);
      if (expected == 0 && ReferenceInterrupts::IsVectors(irq)) Run();
      return;
    }
    case 2:
      host_.device().MaskIntx();
      return interrupts.Mask();
    case 3:
      host_.device().UnmaskIntx();
      return interrupts.Unmask();
    case 4:
      if (irq > Irq::kRequest) return;
      host_.device().Fire(irq, number);
      return interrupts.Fire(irq, number);
    case 5: {
      const int event = input_.TakeBelow(2) == 0 ? ReferenceInterrupts::kNoEvent
                                                 : ReferenceInterrupts::kUnmaskEvent;
      const ioas::Status status = host_.device().SetUnmaskTrigger(
          event == ReferenceInterrupts::kNoEvent ? -1 : around_.event(event));
      FUZZ_REQUIRE((status.ok() ? 0 : status.error().code) == interrupts.SetUnmask(event));
      return;
    }
    default:
      if (irq <= Irq::kRequest) SetTrigger(irq, number);
  }
}

void Program::SetTrigger(Irq irq, uint32_t vector) {
  const uint32_t choice = input_.TakeBelow(8);
  if (choice == 7) return SetForeignTrigger(irq, vector);
  int event = static_cast<int>(choice);
  int fd = -1;
  int refused = 0;
  if (choice == 4) {
    event = ReferenceInterrupts::kNoEvent;
  } else if (choice == 5) {
    fd = 1 << 20;
    refused = EBADF;
  } else if (choice == 6) {
    fd = STDERR_FILENO;
    refused = EINVAL;
  } else {
    fd = around_.event(event);
  }
  const ioas::Status status = host_.device().SetTrigger(irq, vector, fd);
  const uint32_t vectors =
      ReferenceInterrupts::IsVectors(irq) ? reference_.interrupts.enabled(irq) : 1;
  const int expected = vector >= vectors ? EINVAL
                       : refused != 0    ? refused
                                         : reference_.interrupts.SetTrigger(irq, vector, event);
  FUZZ_REQUIRE((status.ok() ? 0 : status.error().code) == expected);
}

void Program::SetForeignTrigger(Irq irq, uint32_t vector) {
  if (irq == Irq::kIntx || !ReferenceInterrupts::IsVectors(irq) ||
      vector >= reference_.interrupts.enabled(irq)) {
    return;
  }
  constexpr int kEvent = 0;
  ioas::soft::InterruptState& state = host_.state().interrupts;
  state.triggers[vector] = {++state.last_serial, kPeer, around_.event(kEvent)};
  reference_.interrupts.SetForeign(
      vector, reference_.peer_is_gone ? ReferenceInterrupts::kNoEvent : kEvent);
  host_.device().Fire(irq, vector);
  reference_.interrupts.Fire(irq, vector);
}

void Program::ChangeErrors() {
  const uint32_t bits = input_.TakeBelow(3) == 0 ? input_.TakeBelow(64) : 0;
  host_.SetErrors(bits);
  reference_.errors = bits;
  host_.device().Resume();
  Run();
}

void Program::Refuse() {
  std::vector<ioas::IovaRange> ranges(input_.TakeBelow(8) == 7 ? 17 : input_.TakeBelow(4));
  for (ioas::IovaRange& range : ranges) {
    range.first = TakeIova() + input_.TakeBelow(kDevicePage);
    range.last = range.first + input_.TakeBelow(2 * kDevicePage);
  }
  const bool is_dry_run = input_.TakeBelow(4) == 0;
  const ioas::Status status = ioas::soft::InjectFaults(host_.host(), ranges, is_dry_run);
  FUZZ_REQUIRE(status.ok() == (ranges.size() <= ioas::soft::kMaxRefusedRanges));
  if (status.ok() && !is_dry_run) reference_.refused = ranges;
}

void Program::Attach() {
  reference_.is_attached = input_.TakeBelow(3) != 0;
  if (reference_.is_attached) {
    host_.device().Attach({host_.space(), {}});
  } else {
    host_.device().Block();
  }
}

void Program::Reset() {
  if (input_.TakeBelow(2) != 0) {
    host_.device().ResetFunction();
    reference_.ResetModel();
  } else {
    host_.device().Reset();
    reference_.interrupts.Reset();
    reference_.ResetModel();
    reference_.interrupts.SetDisabled(false);
  }
  LookAtConfig();
}

void Program::ToggleHole() {
  if (reference_.hole) {
    around_.SetHole(*reference_.hole, false);
    reference_.hole.reset();
    return;
  }
  reference_.hole = around_.base() + input_.TakeBelow(kMemoryPages) * kDevicePage;
  around_.SetHole(*reference_.hole, true);
  // What older kernels need finds the same.
  const uint64_t first = around_.base() + input_.TakeBelow(kMemoryPages) * kDevicePage;
  const uint64_t size = around_.base() + kMemoryBytes - first;
  for (const bool is_write : {false, true}) {
    FUZZ_REQUIRE(ioas::soft::PopulatePageByPage(first, size, is_write).ok() ==
                 (*reference_.hole < first));
  }
}

void Program::WaitFor(uint32_t command) {
  for (int waited = 0; host_.model().done != command; waited += 10) {
    FUZZ_REQUIRE(waited < kPatience);
    usleep(10);
  }
}

void Program::StoreInThread(std::byte* registers) {
  if (!reference_.may_go_on()) return;
  // Long enough for the thread to sleep, sometimes.
  if (input_.TakeBelow(2) != 0) usleep(400);
  if (input_.TakeBelow(4) == 0) ioas::soft::SoftDevice::AfterForkInParent();
  const uint32_t command = ((reference_.done ^ 0x40000000) & ~uint32_t{3}) | input_.TakeBelow(4);
  std::atomic_ref(*reinterpret_cast<uint32_t*>(registers + 0x1000)).store(command);
  reference_.registers.command = command;
  Run();
  WaitFor(command);
}

void Program::RunThread() {
  if (++threads_ > kMaxThreads) return;
  std::byte* const registers = host_.MapRegisters();
  const bool is_known_before = input_.TakeBelow(2) != 0;
  if (is_known_before) host_.device().OnMap(registers, kModelRegisters);
  FUZZ_REQUIRE(host_.device().Start().ok() && host_.device().Start().ok());
  if (!is_known_before) host_.device().OnMap(registers, kModelRegisters);
  Run();
  if (reference_.may_go_on()) WaitFor(reference_.done);
  for (uint32_t stores = input_.TakeBelow(4); stores != 0; --stores) StoreInThread(registers);
  if (reference_.interrupts.has_unmask_event()) {
    const uint64_t one = 1;
    FUZZ_REQUIRE(write(around_.event(ReferenceInterrupts::kUnmaskEvent), &one, 8) == 8);
    around_.WaitUntilTaken(ReferenceInterrupts::kUnmaskEvent);
    reference_.interrupts.Unmask();
  }
  host_.device().OnUnmap(registers, kDevicePage);
  host_.device().Stop();
  host_.device().OnUnmap(registers, kModelRegisters);
  DeviceHost::UnmapRegisters(registers);
  Follow();
}

void Program::Fork() {
  ioas::soft::SoftDevice::AfterForkInChild();
  FUZZ_REQUIRE(*host_.host().processes().Register() == 0);
  if (input_.TakeBelow(2) == 0) return;
  host_.LosePeer();
  reference_.peer_is_gone = true;
}

}  // namespace fuzz
