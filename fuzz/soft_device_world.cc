#include "fuzz/soft_device_world.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <csignal>
#include <cstring>

#include "ioas/soft/freeze.h"

namespace fuzz {

using namespace ioas::soft;  // NOLINT(google-build-using-namespace)

constexpr PciAddress kAddress = {1, 2, 3, 4};
constexpr uint32_t kGroup = 7;
constexpr uint32_t kMappingLimit = 64;

Surroundings& Surroundings::Get() {
  static Surroundings* const surroundings = new Surroundings;
  return *surroundings;
}

Surroundings::Surroundings() {
  void* const memory =
      mmap(nullptr, kMemoryBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  FUZZ_REQUIRE(memory != MAP_FAILED);
  memory_ = static_cast<std::byte*>(memory);
  for (int& event : events_) {
    event = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    FUZZ_REQUIRE(event >= 0);
  }
  peer_ = fork();
  FUZZ_REQUIRE(peer_ >= 0);
  if (peer_ != 0) return;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  for (;;) pause();
}

void Surroundings::Reset() {
  FUZZ_REQUIRE(mprotect(memory_, kMemoryBytes, PROT_READ | PROT_WRITE) == 0);
  std::memset(memory_, 0, kMemoryBytes);
  for (size_t i = 0; i < events_.size(); ++i) (void)TakeEvents(static_cast<int>(i));
}

uint64_t Surroundings::TakeEvents(int number) const {
  uint64_t events = 0;
  const ssize_t size = read(events_[number], &events, sizeof(events));
  return size == sizeof(events) ? events : 0;
}

void Surroundings::WaitUntilTaken(int number) const {
  pollfd event = {events_[number], POLLIN, 0};
  for (int waited = 0; poll(&event, 1, 0) != 0; waited += 10) {
    FUZZ_REQUIRE(waited < kPatience);
    usleep(10);
  }
}

void Surroundings::SetHole(uint64_t user_address, bool is_hole) const {
  FUZZ_REQUIRE(mprotect(reinterpret_cast<void*>(user_address), kDevicePage,
                        is_hole ? PROT_NONE : PROT_READ | PROT_WRITE) == 0);
}

DeviceHost::DeviceHost() : fd_(memfd_create("arena", MFD_CLOEXEC)) {
  arena_ = *ioas::Arena::Map(fd_, size_t{1} << 26);
  host_ = arena_.Get(*CreateHost(arena_));
  device_state_ = *CreateDevice(
      arena_, *host_, {kAddress, kGroup, ModelKind::kTest, sizeof(ModelState), kModelRegisters});
  space_ = *ioas::AddressSpace::Create(arena_, SoftBackend::properties(), kMappingLimit);
  AddProcesses();
  device_ = *SoftDevice::Open(arena_, device_state_, &CommandModel::Make);
  // The second one who opens it here has the same.
  FUZZ_REQUIRE(*SoftDevice::Open(arena_, device_state_, &CommandModel::Make) == device_);
  device_->Close();
  device_->Reset();
  device_->Attach({space_, {}});
}

DeviceHost::~DeviceHost() {
  device_->Close();
  arena_.Unmap();
  close(fd_);
}

void DeviceHost::AddProcesses() {
  FUZZ_REQUIRE(*host_->processes().Register() == 0);
  const pid_t peer = Surroundings::Get().peer();
  ioas::ProcessEntry& entry = host_->process_table.entries[kPeer];
  entry.start_time = ioas::ProcessStartTime(peer);
  entry.pid = peer;
}

void DeviceHost::LosePeer() { ++host_->process_table.entries[kPeer].start_time; }

ioas::Status DeviceHost::Map(const ioas::Mapping& mapping) {
  SoftBackend backend(host_->processes());
  ioas::AddressSpace space(arena_, space_, &backend);
  ioas::AddressSpace::Lock lock(space);
  return space.Map(mapping);
}

void DeviceHost::Unmap(uint64_t iova) {
  SoftBackend backend(host_->processes());
  ioas::AddressSpace space(arena_, space_, &backend);
  ioas::AddressSpace::Lock lock(space);
  const auto mapping = space.mappings().FindFirstOverlapping(iova, iova);
  if (mapping) FUZZ_REQUIRE(space.Unmap(*mapping).ok());
}

void DeviceHost::UnmapAll() {
  SoftBackend backend(host_->processes());
  ioas::AddressSpace space(arena_, space_, &backend);
  ioas::AddressSpace::Lock lock(space);
  (void)space.UnmapAll();
}

void DeviceHost::SetErrors(uint32_t bits) {
  host_->errors_of(device_->state()).bits = bits;
  FollowErrorsOfGroup(arena_, *host_, FindGroup(*host_, kGroup));
}

std::byte* DeviceHost::MapRegisters() {
  void* const registers = mmap(nullptr, kModelRegisters, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                               static_cast<off_t>(device_->MappableFileOffset(0)));
  FUZZ_REQUIRE(registers != MAP_FAILED);
  return static_cast<std::byte*>(registers);
}

void DeviceHost::UnmapRegisters(std::byte* registers) {
  FUZZ_REQUIRE(munmap(registers, kModelRegisters) == 0);
}

}  // namespace fuzz
