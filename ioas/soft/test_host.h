// A host with one echo device and one address space, for tests.
#ifndef IOAS_SOFT_TEST_HOST_H_
#define IOAS_SOFT_TEST_HOST_H_

#include <poll.h>
#include <sched.h>
#include <sys/mman.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>

#include "gtest/gtest.h"
#include "ioas/address_space.h"
#include "ioas/base/arena.h"
#include "ioas/soft/echo_model.h"
#include "ioas/soft/soft_backend.h"
#include "ioas/soft/soft_device.h"
#include "ioas/soft/soft_host.h"

namespace ioas::soft {

inline constexpr PciAddress kEchoAddress = {0, 0, 5, 0};
inline constexpr uint32_t kEchoPage = 4096;

class TestHost : public testing::Test {
 protected:
  void SetUp() override {
    fd_ = memfd_create("arena", MFD_CLOEXEC);
    const Result<Arena> arena = Arena::Map(fd_, size_t{1} << 30);
    ASSERT_TRUE(arena.ok()) << arena.error().reason;
    arena_ = *arena;
    const Result<ArenaRef<SoftHost>> host = CreateHost(arena_);
    ASSERT_TRUE(host.ok());
    host_ = arena_.Get(*host);
    const auto device = CreateDevice(
        arena_, *host_, {kEchoAddress, 7, ModelKind::kTest, sizeof(EchoState), kEchoRegisterBytes});
    ASSERT_TRUE(device.ok());
    device_state_ = *device;
    const auto space = AddressSpace::Create(arena_, backend().properties(), 1000);
    ASSERT_TRUE(space.ok());
    space_ = *space;
    const auto opened = SoftDevice::Open(arena_, device_state_, &EchoModel::Make);
    ASSERT_TRUE(opened.ok());
    device_ = *opened;
    device_->Reset();
    device_->Attach({space_, {}});
    SetCommand(0x6);
    memory_ = static_cast<std::byte*>(
        mmap(nullptr, 16 * kEchoPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }

  void TearDown() override {
    UnmapRegisters();
    if (device_ != nullptr) device_->Close();
    munmap(memory_, 16 * kEchoPage);
    arena_.Unmap();
    close(fd_);
  }

  SoftBackend backend() { return SoftBackend(host_->processes()); }

  void SetCommand(uint16_t command) {
    device_->WriteConfig(4, std::as_bytes(std::span(&command, 1)));
  }

  Status Map(uint64_t iova, void* address, uint64_t size, uint32_t access) {
    SoftBackend iommu = backend();
    AddressSpace space(arena_, space_, &iommu);
    AddressSpace::Lock lock(space);
    const uint32_t self = *host_->processes().Register();
    return space.Map({iova, iova + size - 1, reinterpret_cast<uint64_t>(address), self, access, 0});
  }
  void UnmapAll() {
    SoftBackend iommu = backend();
    AddressSpace space(arena_, space_, &iommu);
    AddressSpace::Lock lock(space);
    space.UnmapAll();
  }

  // Maps the registers as a program does.
  EchoRegisters* MapRegisters() {
    void* address = mmap(nullptr, kEchoRegisterBytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd_,
                         static_cast<off_t>(device_->MappableFileOffset(0)));
    EXPECT_NE(address, MAP_FAILED);
    device_->OnMap(address, kEchoRegisterBytes);
    registers_ = static_cast<EchoRegisters*>(address);
    return registers_;
  }
  void UnmapRegisters() {
    if (registers_ == nullptr) return;
    device_->OnUnmap(registers_, kEchoRegisterBytes);
    munmap(registers_, kEchoRegisterBytes);
    registers_ = nullptr;
  }

  // Waits until the doorbell `value` is served. Returns false after some seconds.
  static bool WaitFor(const EchoRegisters* registers, uint32_t value) {
    const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(10);
    while (registers->completed != value) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      sched_yield();
    }
    return true;
  }
  // Waits for an event. Returns how many there were, 0 if none came within `milliseconds`.
  static uint64_t TakeEvents(int eventfd, int milliseconds) {
    pollfd wait = {eventfd, POLLIN, 0};
    uint64_t events = 0;
    if (poll(&wait, 1, milliseconds) != 1) return 0;
    EXPECT_EQ(read(eventfd, &events, sizeof(events)), 8);
    return events;
  }

  int fd_ = -1;
  Arena arena_;
  SoftHost* host_ = nullptr;
  ArenaRef<SoftDeviceState> device_state_;
  ArenaRef<AddressSpaceState> space_;
  SoftDevice* device_ = nullptr;
  std::byte* memory_ = nullptr;  // 16 pages
  EchoRegisters* registers_ = nullptr;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_TEST_HOST_H_
