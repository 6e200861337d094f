// A program with page tables of its own, queues of page requests and of events, and a device.
#ifndef FUZZ_NESTED_SESSION_H_
#define FUZZ_NESTED_SESSION_H_

#include <cstdint>
#include <list>
#include <optional>
#include <vector>

#include "compat/abi/iommufd.h"
#include "compat/soft/test_host.h"
#include "fuzz/input.h"
#include "fuzz/nested_reference.h"
#include "ioas/soft/dma.h"

namespace fuzz {

class NestedSession {
 public:
  explicit NestedSession(Input input);

  // Makes steps until the input ends, at most as many as are worth it.
  void Run();

 private:
  struct OpenQueue {
    uint32_t id;
    int fd;  // below 0: it was closed
  };
  // One access, inside a page.
  struct Attempt {
    uint64_t iova;
    bool write;
    bool is_done;
    std::vector<std::byte> bytes;
    std::vector<std::byte> before;  // all memory
  };

  template <typename Command>
  long Call(uint32_t request, Command& command) {
    command.size = sizeof(command);
    return host_.Ioctl(iommufd_, request, &command);
  }
  void Map(uint64_t first_page, uint64_t end_page, bool writable);

  // Page tables (nested_dma.cc).
  void Step();
  void NewPaging();
  void NewFirstStage();
  void NewTce();
  // Has the page table be made that `command` asks for, of which `table` is told. `expected`: what
  // the call returns.
  void Make(compat::abi::iommufd::HwptAlloc& command, NestedTable table, long expected);
  // The same for one on the parent, or on the vIOMMU, with the data of its `type`.
  template <typename Data>
  void MakeNested(uint32_t type, const Data& data, const NestedTable& table, long expected);
  void DestroyTable();
  void Attach();
  void Detach();
  void WriteWay();
  void WriteEntry();
  void Invalidate();
  uint64_t TakeIova();
  NestedTable& TakeTable();
  NestedTable& Parent() { return tables_.front(); }
  void SetDirtyTracking();
  void GetDirtyBitmap();

  // Accesses (nested_accesses.cc).
  void Access();
  // Which way the access went, of those that it may have gone.
  const Way* WayTaken(const std::vector<Way>& ways, const Attempt& attempt);
  bool IsAsExpected(const Way& way, const Attempt& attempt);
  void OnDone(const Way& way, const Attempt& attempt);
  void OnFault(const Way& way, const Attempt& attempt);
  bool Transfer(std::span<const ioas::soft::DmaSegment> segments, bool write,
                std::vector<std::byte>& bytes);
  void CheckFault(const Attempt& attempt, FaultReason reason);

  // Queues (nested_queues.cc).
  void UseQueues();
  void OpenFaultQueue();
  void ReadRequests();
  void Respond();
  void OpenEventQueue();
  // Closes its descriptor, or destroys it once that is closed. `is_kept`: by something else.
  void CloseOrDestroy(std::optional<OpenQueue>& queue, bool is_kept);
  void ReadEvents();
  void ChangeVdevice();
  void CheckReadable() const;
  // What the device asked for through its table is denied.
  void DenyRequests();

  // Whatever a program may try, without comparisons (nested_hostile.cc).
  void Hostile();
  void AnyCall();
  void AnyAccess();
  int TakeDescriptor();
  uint64_t TakeNumber();

  Input input_;
  NestedMemory memory_;
  compat::soft::TestHost host_;
  int iommufd_;
  int cdev_;
  uint32_t ioas_ = 0;
  uint32_t device_ = 0;
  uint32_t viommu_ = 0;
  // The parent of the others is the first.
  std::list<NestedTable> tables_;
  NestedTable* attached_ = nullptr;
  std::optional<OpenQueue> fault_queue_;
  RequestQueue requests_;
  std::optional<OpenQueue> event_queue_;
  EventQueueReference events_{1};
  uint32_t vdevice_ = 0;  // 0: there is none
  uint64_t virtual_id_ = 0;
  // Two ways that an access may have gone differ in what is asked for.
  bool is_uncertain_ = false;
};

}  // namespace fuzz

#endif  // FUZZ_NESTED_SESSION_H_
