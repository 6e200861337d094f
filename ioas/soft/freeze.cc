#include "ioas/soft/freeze.h"

#include <cstddef>
#include <cstring>

namespace ioas::soft {
namespace {

std::byte* Registers(const Arena& arena, const SoftDeviceState& device) {
  return arena.Get(ArenaRef<std::byte>{device.registers_unit});
}

std::byte* HiddenRegisters(const Arena& arena, const SoftDeviceState& device) {
  return arena.Get(ArenaRef<std::byte>{device.hidden_registers_unit});
}

}  // namespace

void HideRegisters(const Arena& arena, SoftDeviceState& device) {
  std::byte* const registers = Registers(arena, device);
  // In this order a holder of the lock may die anywhere: the next one goes on.
  if (!device.hides_registers) {
    std::memcpy(HiddenRegisters(arena, device), registers, device.registers_bytes);
    device.hides_registers = true;
  }
  std::memset(registers, 0xff, device.registers_bytes);
}

void ShowRegisters(const Arena& arena, SoftDeviceState& device) {
  if (!device.hides_registers) return;
  std::memcpy(Registers(arena, device), HiddenRegisters(arena, device), device.registers_bytes);
  device.hides_registers = false;
}

bool FollowErrors(const Arena& arena, SoftDeviceState& device) {
  const GroupErrors& errors = arena.Get(device.host)->errors_of(device);
  device.is_held = errors.has(kHeld);
  if (errors.has(kIoFrozen)) {
    HideRegisters(arena, device);
    return false;
  }
  ShowRegisters(arena, device);
  return !device.is_held;
}

void FollowErrorsOfGroup(const Arena& arena, SoftHost& host, uint32_t group) {
  const uint32_t count = host.device_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    SoftDeviceState& device = *arena.Get(host.devices[i]);
    if (device.group_index != group) continue;
    DeviceLock lock(device);
    FollowErrors(arena, device);
  }
}

}  // namespace ioas::soft
