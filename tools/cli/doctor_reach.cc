#include "tools/cli/doctor_reach.h"

#include <cinttypes>
#include <cstdio>
#include <span>

#include "ioas/address_space.h"
#include "ioas/soft/iommu_profile.h"

namespace tools::cli {
namespace {

using ioas::soft::IommuProfile;

// Room for an address space.
constexpr size_t kArenaSize = size_t{1} << 20;

struct Setting {
  const char* name;
  IommuProfile profile;
};
constexpr Setting kSettings[] = {{"auto", IommuProfile::kAuto},
                                 {"x86", IommuProfile::kX86},
                                 {"power", IommuProfile::kPower},
                                 {"sign-extended", IommuProfile::kSignExtended}};
static_assert(std::size(kSettings) == ioas::soft::kIommuProfiles);

}  // namespace

Reach ReachOf(const std::string& backend, const std::string& whose,
              const ioas::IommuProperties& iommu) {
  Reach reach = {.backend = backend, .whose = whose, .page_sizes = iommu.page_sizes, .ranges = {}};
  ioas::Result<ioas::Arena> arena = ioas::Arena::CreatePrivate(kArenaSize);
  if (!arena.ok()) return reach;
  const auto state = ioas::AddressSpace::Create(*arena, iommu, /*mapping_limit=*/0);
  if (state.ok()) {
    ioas::IovaRange ranges[ioas::kMaxUsableRanges];
    const uint32_t count = ioas::AddressSpace(*arena, *state).UsableRanges(ranges);
    reach.ranges.assign(ranges, ranges + count);
  }
  arena->Unmap();
  return reach;
}

Check DescribeReach(const Reach& reach) {
  Check check = {"IOVA ranges, " + reach.backend + ", " + reach.whose, CheckStatus::kOk, "", ""};
  for (const ioas::IovaRange& range : reach.ranges) {
    char text[2 * sizeof("0x0123456789abcdef")];
    std::snprintf(text, sizeof(text), "0x%" PRIx64 "-0x%" PRIx64, range.first, range.last);
    check.finding += (check.finding.empty() ? "" : ", ") + std::string(text);
  }
  if (reach.ranges.empty()) {
    check.status = CheckStatus::kWarning;
    check.finding = "none";
  }
  return check;
}

void CheckSoftReach(Diagnosis& diagnosis) {
  for (const Setting& setting : kSettings) {
    diagnosis.reaches.push_back(ReachOf("soft", std::string("--iommu=") + setting.name,
                                        ioas::soft::PropertiesOf(setting.profile)));
    diagnosis.checks.push_back(DescribeReach(diagnosis.reaches.back()));
  }
}

}  // namespace tools::cli
