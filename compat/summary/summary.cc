#include "compat/summary/summary.h"

#include <algorithm>
#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <vector>

#include "compat/decode/call.h"
#include "compat/vfio/host_state.h"
#include "ioas/group_errors.h"
#include "ioas/soft/faults.h"
#include "ioas/soft/soft_host.h"

namespace compat::summary {
namespace {

using ioas::soft::FaultRecord;
using vfio::ContainerRecord;

// Appends a line of at most 255 bytes.
__attribute__((format(printf, 2, 3))) void AppendLine(std::string& text, const char* format, ...) {
  char line[256];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof(line), format, arguments);
  va_end(arguments);
  text += line;
  text += '\n';
}

// All containers that had an IOMMU, in the order they were opened in.
std::vector<ContainerRecord> Containers(vfio::Host& host) {
  std::vector<ContainerRecord> containers;
  const vfio::HostState& state = host.state();
  vfio::Host::Lock lock(host);
  host.EndLostFiles();
  const uint32_t ended = std::min(state.records_made, vfio::kMaxContainerRecords);
  containers.assign(state.records, state.records + ended);
  for (auto ref = state.containers; ref;) {
    const vfio::ContainerState* container = host.arena().Get(ref);
    if (container->type != decode::ContainerType::kNone) {
      containers.push_back(host.RecordOf(*container));
    }
    ref = container->next;
  }
  std::stable_sort(containers.begin(), containers.end(),
                   [](const auto& a, const auto& b) { return a.number < b.number; });
  return containers;
}

// What a number is elsewhere, for those who look for the call that was not understood.
const char* NameOfUnknown(uint32_t request) {
  const auto rows = decode::CallsNumbered(request);
  return rows.empty() ? "no call that is known" : rows.front().name;
}

void AppendContainer(std::string& text, const ContainerRecord& container, bool sees_dma) {
  const ioas::AddressSpaceStatistics& statistics = container.statistics;
  AppendLine(text, "container %u: %s, opened by process %u", container.number,
             decode::Name(container.type), container.opener);
  AppendLine(text, "  mappings: %" PRIu64 " made, %" PRIu64 " live, %" PRIu64 " bytes live",
             statistics.maps, container.live_mappings, statistics.bytes_mapped);
  if (sees_dma) {
    AppendLine(text, "  DMA: %" PRIu64 " bytes read, %" PRIu64 " bytes written, %" PRIu64 " faults",
               statistics.dma_read, statistics.dma_written, statistics.faults);
  }
  if (container.unknown_calls == 0) {
    AppendLine(text, "  unknown calls: 0");
  } else {
    AppendLine(text, "  unknown calls: %u, the last was 0x%x (%s)", container.unknown_calls,
               container.last_unknown_request, NameOfUnknown(container.last_unknown_request));
  }
}

void AppendFault(std::string& text, const FaultRecord& fault) {
  const auto address = ioas::soft::PciAddress::FromNumber(fault.device);
  char pasid[sizeof(", PASID 4294967295")] = "";
  if (fault.pasid != ioas::soft::kNoPasid) {
    std::snprintf(pasid, sizeof(pasid), ", PASID %u", fault.pasid);
  }
  AppendLine(text, "  %04x:%02x:%02x.%x%s, IOVA 0x%" PRIx64 ", %s, %" PRIu64 " %s: %s",
             address.domain, address.bus, address.device, address.function, pasid, fault.iova,
             fault.direction == ioas::kAccessRead ? "read" : "write", fault.count,
             fault.count == 1 ? "time" : "times", Describe(fault.reason));
}

void AppendFaults(std::string& text, const ioas::soft::FaultLog& log) {
  std::vector<FaultRecord> faults(ioas::soft::kFaultRecords);
  faults.resize(log.Copy(faults));
  uint64_t shown = 0;
  for (const FaultRecord& fault : faults) shown += fault.count;
  const uint64_t total = log.total();
  AppendLine(text, "DMA faults: %" PRIu64, total);
  if (shown < total) {
    AppendLine(text, "  (%" PRIu64 " earlier ones are not recorded any more)", total - shown);
  }
  for (const FaultRecord& fault : faults) AppendFault(text, fault);
}

void AppendFrozenGroups(std::string& text, vfio::Host& host) {
  vfio::Host::Lock lock(host);
  const vfio::HostState& state = host.state();
  for (uint32_t i = 0; i < state.group_count; ++i) {
    const ioas::GroupErrors& errors = host.platform().ErrorsOf(i);
    if (errors.freezes == 0) continue;
    AppendLine(text, "group %u: frozen by an error %u %s%s", state.groups[i].number,
               errors.freezes.load(), errors.freezes == 1 ? "time" : "times",
               errors.has(ioas::kFrozen) ? ", and still is" : "");
  }
}

}  // namespace

std::string Summarize(vfio::Host& host) {
  std::string text;
  AppendLine(text, "vfio-compat: summary");
  const std::vector<ContainerRecord> containers = Containers(host);
  // Real devices' DMA passes by; the kernel reports their faults in its own log.
  const bool sees_dma = static_cast<bool>(host.state().soft);
  for (const ContainerRecord& container : containers) AppendContainer(text, container, sees_dma);
  if (containers.empty()) AppendLine(text, "no container had an IOMMU");
  AppendFrozenGroups(text, host);
  if (sees_dma) AppendFaults(text, host.arena().Get(host.state().soft)->faults());
  return text;
}

}  // namespace compat::summary
