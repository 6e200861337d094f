// The data path of the software IOMMU: a device's reads and writes of memory.
#ifndef IOAS_SOFT_DMA_H_
#define IOAS_SOFT_DMA_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "ioas/backend.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"
#include "ioas/soft/device_model.h"
#include "ioas/soft/doorbell_watch.h"
#include "ioas/soft/soft_host.h"

namespace ioas::soft {

// One device's way to memory. The device's lock is held for every call.
//
// Translation and copy happen under the address space's lock, so that no byte moves through a
// mapping after the call that unmapped it has returned; long transfers let go of it in between.
// What was written is marked in the device's page table under the same hold.
class SoftDmaPort final : public DmaPort {
 public:
  // `watch`: the doorbell watch of this process's thread for the device, which is disarmed before
  // memory is touched: a copy to a watched page would wait for the very thread that makes it, and
  // so would a thread that holds the address space's lock and touches one. May be null.
  // `page_request_milliseconds`: how long the device waits for what it asks a program for.
  SoftDmaPort(Arena& arena, SoftHost& host, SoftDeviceState& device, DoorbellWatch* watch,
              uint32_t page_request_milliseconds = 1000)
      : arena_(&arena),
        host_(&host),
        device_(&device),
        watch_(watch),
        page_request_milliseconds_(page_request_milliseconds) {}

  Status Read(std::span<const DmaSegment> segments, std::byte* buffer) override {
    return Transfer(segments, buffer, kAccessRead);
  }
  Status Write(std::span<const DmaSegment> segments, const std::byte* buffer) override {
    return Transfer(segments, const_cast<std::byte*>(buffer), kAccessWrite);
  }

 private:
  // What is left of a transfer.
  struct Cursor;
  // What is copied in one go.
  struct Batch;
  // What the segments of one access have in common.
  struct Request {
    Access access;
    uint32_t pasid;
    const DmaTarget& target;
  };
  struct Fault {
    uint64_t iova;
    FaultReason reason;
    bool is_recoverable = false;  // by whoever answers page requests
  };

  Status Transfer(std::span<const DmaSegment> segments, std::byte* buffer, Access access);
  Status TransferAll(std::span<const DmaSegment> segments, std::byte*& buffer,
                     const Request& request);
  std::optional<Fault> TransferBatch(AddressSpace& space, Cursor& cursor, std::byte*& buffer,
                                     const Request& request);
  std::optional<Fault> Gather(AddressSpace& space, Cursor& cursor, const Request& request,
                              Batch& batch) const;
  uint64_t Copy(Batch& batch, std::byte* buffer, Access access) const;
  void MarkDirty(AddressSpace& space, const Request& request, const Batch& batch,
                 uint64_t copied) const;
  bool AskFor(const Fault& fault, const Request& request) const;
  void Report(const Fault& fault, const Request& request) const;
  uint64_t BytesBeforeRefused(uint64_t iova) const;
  Status Fail(const Fault& fault, const Request& request);

  Arena* arena_;
  SoftHost* host_;
  SoftDeviceState* device_;
  DoorbellWatch* watch_;
  uint32_t page_request_milliseconds_;
};

}  // namespace ioas::soft

#endif  // IOAS_SOFT_DMA_H_
