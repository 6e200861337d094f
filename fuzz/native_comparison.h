// What the target `native_iommufd` makes of an input: calls on a host beside the reference.
#ifndef FUZZ_NATIVE_COMPARISON_H_
#define FUZZ_NATIVE_COMPARISON_H_

#include <cstddef>
#include <cstdint>
#include <utility>

#include "compat/soft/test_host.h"
#include "fuzz/input.h"
#include "fuzz/native_reference.h"

namespace fuzz {

class NativeComparison {
 public:
  // Mappings are of memory in `memory`, or of what is not there.
  NativeComparison(Input input, const ReferenceRange& memory);

  // Makes steps until the input ends, at most as many as are worth it.
  void Run();

 private:
  template <typename Command>
  long Call(uint32_t request, Command& command) {
    command.size = sizeof(command);
    if (std::exchange(dies_, false)) return CallAndDie(request, &command, sizeof(command));
    return host_.Ioctl(iommufd_, request, &command);
  }
  uint32_t TakeId() { return input_.TakeBelow(10); }
  uint64_t TakeAddress() {
    const uint8_t choice = input_.Take<uint8_t>();
    if (choice >= 250) return choice;  // nothing is there
    const uint64_t offset = choice >= 240 ? choice : choice % 24 * kPage;
    return memory_.first + offset;
  }
  uint32_t TakeDrive() { return input_.TakeBelow(NativeReference::kDrives); }
  uint32_t TakeDevice() { return input_.TakeBelow(NativeReference::kDevices); }
  uint32_t TakePasid();

  // Address spaces (native_iommufd.cc).
  void Step();
  void TablesOfDevices();
  void MakeTables();
  void NewIoas();
  void Destroy();
  void Map();
  void MapFile();
  void Unmap();
  void Copy();
  void Allow();
  void Anything();
  void CheckSpaces();

  // Devices and page tables (native_devices.cc).
  void OpenOrClose(uint32_t device);
  void Bind(uint32_t device);
  void Attach(uint32_t device);
  void Detach(uint32_t device);
  void AttachPasid();
  void DetachPasid();
  void WithPasids(uint32_t step);
  void NewHwpt(uint32_t flags);
  void SetDirtyTracking();
  void GetDirtyBitmap();
  void GetHwInfo();
  void NewNested(uint32_t flags);
  void NewViommu();
  void NewVdevice();

  // Another process makes an object, and dies as soon as it is made (native_death.cc).
  void Die();
  // Another process makes the call, and dies where it writes to the structure. Returns what the
  // call did, or would have; the structure is written.
  long CallAndDie(uint32_t request, void* structure, size_t size);

  Input input_;
  ReferenceRange memory_;
  NativeReference reference_;
  compat::soft::TestHost host_;
  int iommufd_;
  int cdevs_[NativeReference::kDevices];
  bool dies_ = false;  // who makes the next call
  int deaths_ = 0;
};

}  // namespace fuzz

#endif  // FUZZ_NATIVE_COMPARISON_H_
