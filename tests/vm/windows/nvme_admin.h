// The admin queue of an NVMe controller: one command at a time, Identify Controller, by which the
// controller reads one page and writes two.
#ifndef TESTS_VM_WINDOWS_NVME_ADMIN_H_
#define TESTS_VM_WINDOWS_NVME_ADMIN_H_

#include <cstddef>
#include <cstdint>

namespace tests {

// A page that the controller reaches at `iova`.
struct DmaPage {
  volatile std::byte* memory;
  uint64_t iova;
};

class NvmeAdmin {
 public:
  // Resets the controller behind the descriptor `device` and enables it, with queues on these
  // pages, which have to be mapped from then on. Whatever fails ends the program.
  NvmeAdmin(int device, const DmaPage& submission, const DmaPage& completion);

  // Has the controller write what it is to `iova`. Returns the completion's status without its
  // phase, 0 for success. Ends the program if the controller does not answer within 30 s.
  uint16_t Identify(uint64_t iova);

 private:
  uint32_t Load(uint32_t offset) const;
  void Store(uint32_t offset, uint32_t value);
  void WaitUntilReady(bool ready) const;

  volatile std::byte* registers_;
  DmaPage submission_;
  DmaPage completion_;
  uint32_t stride_;  // bytes between doorbells
  uint32_t tail_ = 0;
  uint16_t phase_ = 1;
};

}  // namespace tests

#endif  // TESTS_VM_WINDOWS_NVME_ADMIN_H_
