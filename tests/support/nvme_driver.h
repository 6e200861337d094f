// A driver of an NVMe controller, as small as one that moves pages can be: commands one at a time,
// completions polled.
#ifndef TESTS_SUPPORT_NVME_DRIVER_H_
#define TESTS_SUPPORT_NVME_DRIVER_H_

#include <cstddef>
#include <cstdint>
#include <optional>

namespace tests {

inline constexpr uint64_t kPage = 4096;

class NvmeDriver {
 public:
  // Pages that the queues lie on.
  static constexpr uint64_t kQueuePages = 4;

  // The queues are to lie at `memory`, which is page aligned; devices find it at `iova`.
  NvmeDriver(std::byte* memory, uint64_t iova) : memory_(memory), iova_(iova) {}
  NvmeDriver(const NvmeDriver&) = delete;
  NvmeDriver& operator=(const NvmeDriver&) = delete;
  ~NvmeDriver() { Close(); }

  // Resets the controller behind the descriptor `device` and makes an I/O queue, on memory that is
  // mapped by now. False if it does not answer. The registers stay mapped until Close.
  bool Start(int device);
  // Gives up the registers, which keep the device open.
  void Close();

  // Has the controller write a page of the disk to `iova`, or read one from there. Returns the
  // status, 0 for success; nothing if the controller has failed, or does not answer for 30 s.
  std::optional<uint16_t> ReadDisk(uint64_t page, uint64_t iova);
  std::optional<uint16_t> WriteDisk(uint64_t page, uint64_t iova);

  // Has the controller write a page that says what it is to `iova`. Returns as ReadDisk does.
  std::optional<uint16_t> Identify(uint64_t iova);

  // The parts of ReadDisk.
  void SubmitRead(uint64_t page, uint64_t iova);
  std::optional<uint16_t> AwaitCompletion();
  // Whether the command submitted last has ended.
  bool IsCompleted() const;
  // Whether the controller could not reach its queues, or gave up otherwise.
  bool HasFailed() const;
  bool AwaitFailure() const;

 private:
  struct Submission;
  struct Completion;
  struct Queue {
    uint32_t id;
    uint32_t tail;
    uint16_t phase;
  };

  uint32_t Load(uint32_t offset) const;
  void Store(uint32_t offset, uint32_t value);
  void StoreAddress(uint32_t offset, uint64_t value);
  // Each queue has a page for submissions and one for completions behind it.
  uint64_t OffsetOf(const Queue& queue) const { return queue.id * 2 * kPage; }
  const volatile Completion& NextCompletion(const Queue& queue) const;
  void Submit(Queue& queue, const Submission& command);
  std::optional<uint16_t> Await(Queue& queue);
  bool Enable();
  bool MakeIoQueue();
  void SubmitTransfer(uint32_t opcode, uint64_t page, uint64_t iova);

  std::byte* memory_;
  uint64_t iova_;
  volatile std::byte* registers_ = nullptr;
  uint32_t stride_ = 0;  // bytes between doorbells
  Queue admin_ = {};
  Queue io_ = {};
};

}  // namespace tests

#endif  // TESTS_SUPPORT_NVME_DRIVER_H_
