#include "ioas/soft/soft_host.h"

namespace ioas::soft {
namespace {

// A device and the memory that belongs to it.
Result<ArenaRef<SoftDeviceState>> Allocate(Arena& arena, const DeviceSpec& spec) {
  const Result<ArenaRef<SoftDeviceState>> ref = arena.New<SoftDeviceState>();
  if (!ref.ok()) return ref;
  const Result<uint32_t> model = arena.Allocate(spec.model_bytes);
  const Result<uint32_t> registers = arena.Allocate(spec.registers_bytes, kArenaPage);
  const Result<uint32_t> hidden = arena.Allocate(spec.registers_bytes);
  if (!model.ok() || !registers.ok() || !hidden.ok()) {
    if (model.ok()) arena.Free(*model, spec.model_bytes);
    if (registers.ok()) arena.Free(*registers, spec.registers_bytes);
    if (hidden.ok()) arena.Free(*hidden, spec.registers_bytes);
    arena.Delete(*ref);
    return Error{ENOMEM, "no room for a device"};
  }
  SoftDeviceState* device = arena.Get(*ref);
  device->model_unit = *model;
  device->model_bytes = spec.model_bytes;
  device->registers_unit = *registers;
  device->registers_bytes = spec.registers_bytes;
  device->hidden_registers_unit = *hidden;
  return ref;
}

}  // namespace

Result<ArenaRef<SoftHost>> CreateHost(Arena& arena) {
  Result<ArenaRef<SoftHost>> ref = arena.New<SoftHost>();
  if (!ref.ok()) return ref;
  SoftHost* host = arena.Get(*ref);
  host->mutex.Initialize();
  host->processes().Initialize();
  host->faults().Initialize();
  return ref;
}

Status RefuseRange(SoftHost& host, const IovaRange& range) {
  RobustLock lock(host.mutex);
  if (host.refused_count == kMaxRefusedRanges) return Error{ENOSPC, "too many refused ranges"};
  host.refused[host.refused_count++] = range;
  return {};
}

Status InjectFaults(SoftHost& host, std::span<const IovaRange> ranges, bool dry_run) {
  const RobustLock lock(host.mutex);
  if (ranges.size() > kMaxRefusedRanges - host.refused_count) {
    return Error{ENOSPC, "the host refuses as many ranges as it can"};
  }
  if (dry_run) return {};
  const uint32_t next = 1 - host.injected_in_force;
  RefusedRanges& injected = host.injected[next];
  injected.count = 0;
  for (size_t i = 0; i < ranges.size(); ++i) {
    injected.first[i] = ranges[i].first;
    injected.last[i] = ranges[i].last;
  }
  injected.count = static_cast<uint32_t>(ranges.size());
  host.injected_in_force = next;
  return {};
}

uint32_t ListRefused(const SoftHost& host, std::span<IovaRange> ranges) {
  uint32_t count = 0;
  for (uint32_t i = 0; i < host.refused_count; ++i) ranges[count++] = host.refused[i];
  const RefusedRanges& injected = host.injected[host.injected_in_force];
  const uint32_t more = injected.count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < more; ++i) ranges[count++] = {injected.first[i], injected.last[i]};
  return count;
}

uint32_t FindGroup(const SoftHost& host, uint32_t number) {
  uint32_t i = 0;
  while (i < host.group_count && host.groups[i].number != number) ++i;
  return i;
}

Result<ArenaRef<SoftDeviceState>> CreateDevice(Arena& arena, SoftHost& host,
                                               const DeviceSpec& spec) {
  RobustLock lock(host.mutex);
  if (FindDevice(arena, host, spec.address)) return Error{EEXIST, "two devices have one address"};
  if (host.device_count == kMaxDevices) return Error{ENOSPC, "too many devices"};
  const Result<ArenaRef<SoftDeviceState>> ref = Allocate(arena, spec);
  if (!ref.ok()) return ref;
  SoftDeviceState* device = arena.Get(*ref);
  device->host = arena.RefOf(&host);
  device->address = spec.address;
  device->group = spec.group;
  device->kind = spec.kind;
  device->pasid_bits = spec.pasid_bits;
  device->group_index = FindGroup(host, spec.group);
  if (device->group_index == host.group_count) host.groups[host.group_count++].number = spec.group;
  device->mutex.Initialize();
  host.devices[host.device_count] = *ref;
  // Readers take no lock: the device is there when it is counted.
  host.device_count.fetch_add(1, std::memory_order_release);
  return *ref;
}

ArenaRef<SoftDeviceState> FindDevice(const Arena& arena, const SoftHost& host,
                                     const PciAddress& address) {
  const uint32_t count = host.device_count.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < count; ++i) {
    if (arena.Get(host.devices[i])->address == address) return host.devices[i];
  }
  return {};
}

}  // namespace ioas::soft
