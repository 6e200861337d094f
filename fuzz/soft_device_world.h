// What is around an emulated device: a host, memory that devices reach, eventfds, and another
// process that has both.
#ifndef FUZZ_SOFT_DEVICE_WORLD_H_
#define FUZZ_SOFT_DEVICE_WORLD_H_

#include <sys/types.h>

#include <array>
#include <cstddef>
#include <vector>

#include "fuzz/soft_device_reference.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/soft/soft_backend.h"
#include "ioas/soft/soft_device.h"
#include "ioas/soft/soft_host.h"

namespace fuzz {

// How long anything may take that another thread is to do.
inline constexpr int kPatience = 10000000;  // microseconds

inline constexpr uint64_t kMemoryPages = 16;
inline constexpr uint64_t kMemoryBytes = kMemoryPages * kDevicePage;
inline constexpr uint32_t kPeer = 1;  // its index in a host's table of processes; this one's is 0

// What all inputs share: memory and eventfds, that another process has as well.
class Surroundings {
 public:
  static Surroundings& Get();

  std::byte* memory() const { return memory_; }
  uint64_t base() const { return reinterpret_cast<uint64_t>(memory_); }
  int event(int number) const { return events_[number]; }
  pid_t peer() const { return peer_; }
  // Memory to zeroes, nothing missing; events taken.
  void Reset();
  // Events that came since the last time.
  uint64_t TakeEvents(int number) const;
  // Waits until somebody else has taken them.
  void WaitUntilTaken(int number) const;
  // Makes a page of this process's memory be there, or not.
  void SetHole(uint64_t user_address, bool is_hole) const;

 private:
  Surroundings();

  std::byte* memory_;
  std::array<int, ReferenceInterrupts::kEvents> events_;
  pid_t peer_;
};

// A host with one device, attached to an address space.
class DeviceHost {
 public:
  DeviceHost();
  ~DeviceHost();
  DeviceHost(const DeviceHost&) = delete;
  DeviceHost& operator=(const DeviceHost&) = delete;

  ioas::Status Map(const ioas::Mapping& mapping);
  // Unmaps what lies at `iova`, or all.
  void Unmap(uint64_t iova);
  void UnmapAll();
  void SetErrors(uint32_t bits);
  uint32_t errors() const { return host_->errors_of(device_->state()).bits; }
  // The host's table says that the other process is gone: another program has its number.
  void LosePeer();

  // The registers as a program maps them, and the end of that.
  std::byte* MapRegisters();
  static void UnmapRegisters(std::byte* registers);

  int file() const { return fd_; }
  ioas::Arena& arena() { return arena_; }
  ioas::soft::SoftHost& host() { return *host_; }
  ioas::soft::SoftDevice& device() { return *device_; }
  ioas::soft::SoftDeviceState& state() { return *arena_.Get(device_state_); }
  ioas::ArenaRef<ioas::AddressSpaceState> space() const { return space_; }
  const ioas::AddressSpaceStatistics& statistics() { return arena_.Get(space_)->statistics; }
  ModelState& model() {
    return *arena_.Get(ioas::ArenaRef<ModelState>{device_->state().model_unit});
  }

 private:
  void AddProcesses();

  int fd_;
  ioas::Arena arena_;
  ioas::soft::SoftHost* host_;
  ioas::ArenaRef<ioas::soft::SoftDeviceState> device_state_;
  ioas::ArenaRef<ioas::AddressSpaceState> space_;
  ioas::soft::SoftDevice* device_;
};

}  // namespace fuzz

#endif  // FUZZ_SOFT_DEVICE_WORLD_H_
