// DMA faults of the software host.
#include <algorithm>

#include "compat/session/requests.h"
#include "compat/session/responder.h"
#include "compat/session/writer.h"
#include "ioas/soft/faults.h"
#include "ioas/soft/soft_host.h"

namespace compat::session {

using ioas::Error;
using ioas::IovaRange;
using ioas::soft::FaultRecord;

namespace {

constexpr Error kNoFaults = {EOPNOTSUPP, "the kernel tells nobody of its faults"};

}  // namespace

ioas::Status Responder::ListFaults(Writer& answer) {
  if (!host_.state().soft) return kNoFaults;
  ioas::soft::SoftHost& soft = *host_.arena().Get(host_.state().soft);
  FaultRecord records[ioas::soft::kFaultRecords];
  const size_t count = soft.faults().Copy(records);
  auto* const list = answer.Add<FaultList>();
  list->count = static_cast<uint32_t>(count);
  list->total = soft.faults().total();
  IovaRange refused[ioas::soft::kMaxRefusedRanges];
  static_assert(ioas::soft::kMaxRefusedRanges <= kMaxLimitRanges);
  list->refused_count = ListRefused(soft, refused);
  std::transform(refused, refused + list->refused_count, list->refused, [](const IovaRange& range) {
    return IovaLimits{range.first, range.last};
  });
  for (const FaultRecord& record : std::span(records, count)) {
    auto* const info = answer.Add<FaultInfo>();
    info->iova = record.iova;
    info->count = record.count;
    info->device = record.device;
    info->access = record.direction;
    static_assert(kNoPasid == ioas::soft::kNoPasid);
    info->pasid = record.pasid;
    Writer::CopyReason(info->reason, ioas::soft::Describe(record.reason));
  }
  return {};
}

ioas::Status Responder::ClearFaults(Writer& answer) {
  if (!host_.state().soft) return kNoFaults;
  ioas::soft::SoftHost& soft = *host_.arena().Get(host_.state().soft);
  auto* const list = answer.Add<FaultList>();
  list->count = static_cast<uint32_t>(soft.faults().Clear());
  list->total = soft.faults().total();
  return {};
}

ioas::Status Responder::InjectFaults(Packet packet) {
  const auto* const request = WholeBody<session::InjectFaults>(packet);
  if (request == nullptr || request->count > kMaxLimitRanges) return kNotRight;
  if (!host_.state().soft) return kNoFaults;
  if (request->dry_run > 1) return Error{EINVAL, "a dry run is 0 or 1"};
  IovaRange ranges[kMaxLimitRanges];
  for (uint32_t i = 0; i < request->count; ++i) {
    ranges[i] = {request->ranges[i].first, request->ranges[i].last};
    if (ranges[i].first > ranges[i].last) return Error{EINVAL, "a range ends before it begins"};
  }
  return ioas::soft::InjectFaults(*host_.arena().Get(host_.state().soft), {ranges, request->count},
                                  request->dry_run != 0);
}

}  // namespace compat::session
