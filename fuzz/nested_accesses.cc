// The device of a NestedSession, and what it makes of memory.
#include <algorithm>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/abi/vfio_device.h"
#include "compat/abi/vfio_numbers.h"
#include "compat/vfio/regions.h"
#include "fuzz/nested_session.h"
#include "ioas/soft/soft_host.h"

namespace fuzz {

namespace iommufd = compat::abi::iommufd;

NestedSession::NestedSession(Input input)
    : input_(input), iommufd_(host_.OpenIommufd()), cdev_(host_.OpenCdev(0)) {
  FUZZ_REQUIRE(iommufd_ >= 0 && cdev_ >= 0);
  iommufd::IoasAlloc space = {};
  FUZZ_REQUIRE(Call(iommufd::kIoasAlloc, space) == 0);
  ioas_ = space.out_ioas_id;
  const uint64_t hole = input_.TakeBelow(NestedMemory::kWritable + 1);
  memory_.MakeHole(hole < NestedMemory::kWritable ? hole : NestedMemory::kPages);
  Map(0, std::min(hole, NestedMemory::kWritable), true);
  if (hole < NestedMemory::kWritable) Map(hole + 1, NestedMemory::kWritable, true);
  Map(NestedMemory::kWritable, NestedMemory::kMapped, false);
  compat::abi::DeviceBindIommufd bind = {sizeof(bind), 0, iommufd_, 0};
  FUZZ_REQUIRE(host_.Ioctl(cdev_, compat::abi::kDeviceBindIommufd, &bind) == 0);
  device_ = bind.out_devid;
  const uint16_t bus_master = 6;
  const uint64_t command_register =
      compat::vfio::RegionOffset(compat::abi::kPciConfigRegionIndex) + 4;
  FUZZ_REQUIRE(host_.Write(cdev_, &bus_master, sizeof(bus_master), command_register) == 2);
  iommufd::HwptAlloc parent = {};
  parent.flags = iommufd::kHwptAllocNestParent | iommufd::kHwptAllocDirtyTracking;
  parent.pt_id = ioas_;
  Make(parent, {}, 0);
  iommufd::ViommuAlloc viommu = {};
  viommu.type = iommufd::kViommuTypeSoft;
  viommu.dev_id = device_;
  viommu.hwpt_id = Parent().id;
  FUZZ_REQUIRE(Call(iommufd::kViommuAlloc, viommu) == 0);
  viommu_ = viommu.out_viommu_id;
}

bool NestedSession::Transfer(std::span<const ioas::soft::DmaSegment> segments, bool write,
                             std::vector<std::byte>& bytes) {
  ioas::Arena arena = host_.host().arena();
  ioas::soft::SoftDeviceState& device = *arena.Get(host_.host().state().devices[0].soft);
  const ioas::soft::DeviceLock lock(device);
  // Nobody answers meanwhile.
  ioas::soft::SoftDmaPort port(arena, host_.platform().soft(), device, nullptr,
                               /*page_request_milliseconds=*/0);
  return write ? port.Write(segments, bytes.data()).ok() : port.Read(segments, bytes.data()).ok();
}

void NestedSession::Access() {
  Attempt attempt = {};
  attempt.iova = TakeIova();
  attempt.iova += input_.TakeBelow(8);
  attempt.write = input_.TakeBelow(2) != 0;
  const auto rest = static_cast<uint32_t>(kPage - attempt.iova % kPage);
  const uint32_t length = 1 + input_.TakeBelow(4096) % rest;
  attempt.bytes.assign(length, static_cast<std::byte>(input_.Take<uint8_t>()));
  attempt.before = memory_.Copy();
  std::vector<Way> ways = {{FaultReason::kBlocked}};
  if (attached_ != nullptr) {
    ways = WaysOf(memory_, *attached_, attempt.iova, attempt.write);
    Remember(memory_, *attached_, attempt.iova, attempt.write);
  }
  const uint64_t faults = host_.platform().soft().faults().total();
  const ioas::soft::DmaSegment segment = {attempt.iova, length};
  attempt.is_done = Transfer({&segment, 1}, attempt.write, attempt.bytes);
  const Way* const way = WayTaken(ways, attempt);
  FUZZ_REQUIRE(way != nullptr);
  FUZZ_REQUIRE(host_.platform().soft().faults().total() == faults + (attempt.is_done ? 0 : 1));
  if (attempt.is_done) {
    OnDone(*way, attempt);
  } else {
    OnFault(*way, attempt);
  }
}

bool NestedSession::IsAsExpected(const Way& way, const Attempt& attempt) {
  if (attempt.is_done == way.reason.has_value()) return false;
  std::vector<std::byte> expected = attempt.before;
  const auto at = expected.begin() + static_cast<ptrdiff_t>(way.reason ? 0 : way.target);
  if (attempt.is_done && !attempt.write) {
    return std::equal(attempt.bytes.begin(), attempt.bytes.end(), at);
  }
  if (attempt.is_done) std::copy(attempt.bytes.begin(), attempt.bytes.end(), at);
  return expected == memory_.Copy();
}

const Way* NestedSession::WayTaken(const std::vector<Way>& ways, const Attempt& attempt) {
  const Way* taken = nullptr;
  for (const Way& way : ways) {
    if (!IsAsExpected(way, attempt)) continue;
    if (taken == nullptr) taken = &way;
    is_uncertain_ |= way.reason != taken->reason || way.is_recoverable != taken->is_recoverable ||
                     (attempt.write && way.target / kPage != taken->target / kPage);
  }
  return taken;
}

void NestedSession::OnDone(const Way& way, const Attempt& attempt) {
  NestedTable& table = attached_->kind == TableKind::kPaging ? *attached_ : Parent();
  if (attempt.write && table.dirty) table.dirty->insert(way.target / kPage);
}

void NestedSession::CheckFault(const Attempt& attempt, FaultReason reason) {
  ioas::soft::FaultRecord records[ioas::soft::kFaultRecords];
  const size_t count = host_.platform().soft().faults().Copy(records);
  FUZZ_REQUIRE(std::any_of(records, records + count, [&](const auto& record) {
    return record.iova == attempt.iova && record.reason == reason &&
           (record.direction == ioas::kAccessWrite) == attempt.write;
  }));
}

void NestedSession::OnFault(const Way& way, const Attempt& attempt) {
  if (is_uncertain_) return;
  CheckFault(attempt, *way.reason);
  if (attached_ == nullptr) return;
  if (way.is_recoverable && attached_->asks) requests_.Add(attempt.iova, attempt.write);
  if (attached_->is_on_viommu && vdevice_ != 0 && event_queue_) {
    events_.Add(virtual_id_, attempt.iova, attempt.write, *way.reason);
  }
}

}  // namespace fuzz
