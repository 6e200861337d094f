// The product: a host in this process, which a program's calls are made on as the preload library
// makes them.
#ifndef FUZZ_SEQUENCE_PRODUCT_H_
#define FUZZ_SEQUENCE_PRODUCT_H_

#include <array>
#include <cstdint>
#include <map>

#include "compat/settings/settings.h"
#include "compat/soft/soft_platform.h"
#include "compat/vfio/host.h"
#include "fuzz/sequence/request.h"
#include "fuzz/sequence/step.h"
#include "ppc/container_personality.h"

namespace fuzz::sequence {

// The devices by number, and their groups' numbers.
inline constexpr const char* kDeviceNames[] = {"0000:00:05.0", "0000:00:06.0", "0000:01:00.0",
                                               "0000:ff:00.0"};
inline constexpr uint32_t kGroupNumbers[] = {7, 8, 99};

class Product : private compat::vfio::Descriptors {
 public:
  // A fresh host: one device in group 7; with Kind::kMixed two more in group 8.
  explicit Product(Kind kind);
  ~Product();
  Product(const Product&) = delete;
  Product& operator=(const Product&) = delete;

  // Makes a step's call. Returns what the system call does, or a negated errno; descriptors are 0.
  // A step that is an ioctl has its `request`, which becomes what the call makes of it.
  long Make(const Step& step, Request& request);

  // The descriptors of all names are closed.
  void CloseAll();

  compat::vfio::Host& host() const { return *host_; }
  // The file slot that a name stands for; 0: none.
  uint32_t SlotOfName(Slot name) const;

 private:
  ioas::Result<uint32_t> SlotOf(int fd) override;
  int DescriptorOf(uint32_t slot) override;
  void OnNew(int fd, uint32_t slot) override { slots_[fd] = slot; }

  int& FdOf(Slot name) { return fds_[static_cast<size_t>(name)]; }
  long Name(Slot name, long result);
  long Close(Slot name);
  long Duplicate(Slot name, Slot copy);
  long Ioctl(Slot name, uint32_t number, uint64_t argument);
  // With bytes for an argument, which become what the call makes of them.
  long IoctlBytes(Slot name, uint32_t number, std::span<std::byte> bytes);
  long Plain(const Step& step, Request& request);

  compat::settings::Settings settings_;
  ppc::ContainerPersonality personality_;
  std::map<int, uint32_t> slots_;
  std::array<int, kSlots> fds_;
  compat::soft::SoftPlatform* platform_;
  compat::vfio::Host* host_;
};

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_PRODUCT_H_
