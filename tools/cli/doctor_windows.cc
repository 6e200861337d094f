#include "tools/cli/doctor_windows.h"

#include <cinttypes>
#include <cstdio>
#include <cstring>
#include <optional>

#include "ioas/address_space.h"
#include "ioas/kernel/iommu_probe.h"
#include "ioas/soft/soft_backend.h"
#include "tools/cli/doctor_reach.h"

namespace tools::cli {
namespace {

using compat::settings::PowerPlatform;
using compat::sysfs::GroupDevice;

constexpr char kKernel[] = "kernel";
constexpr char kSoft[] = "soft";

std::string CheckName(const std::string& backend) { return "SPAPR windows, " + backend; }

// A power of two, at least 1024.
std::string Size(uint64_t bytes) {
  const char* unit = "KMGTPE";
  for (bytes >>= 10; bytes >= 1024; bytes >>= 10) ++unit;
  return std::to_string(bytes) + " " + *unit + "iB";
}

std::string Hex(uint64_t number) {
  char text[sizeof("0x") + 16];
  std::snprintf(text, sizeof(text), "0x%" PRIx64, number);
  return text;
}

Check CheckIommuOf(const std::string& backend, const ioas::IommuProperties& iommu,
                   const std::string& reach) {
  const ppc::PlatformProfile platform = ppc::ProfileOf(PowerPlatform::kPowerNv, std::nullopt);
  const auto survey = ppc::SurveyWindows(platform, iommu);
  if (survey.ok()) return DescribeWindows(backend, *survey, reach);
  return {CheckName(backend), CheckStatus::kWarning, std::strerror(survey.error().code), ""};
}

// Whatever is found of the kernel's IOMMU.
void CheckKernelIommu(Diagnosis& diagnosis) {
  std::string why = "no device can be asked";
  for (const GroupFinding& finding : diagnosis.groups) {
    for (size_t index = 0; finding.group.is_viable && index < finding.nodes.size(); ++index) {
      const GroupDevice& device = finding.group.devices[index];
      if (!device.has_cdev || !finding.nodes[index].is_usable) continue;
      ioas::IovaRange apertures[ioas::kMaxApertures];
      const auto iommu =
          ioas::kernel::ProbeIommu(ioas::kernel::RealSystemCalls(), device.cdev, apertures);
      if (iommu.ok()) {
        diagnosis.reaches.push_back(ReachOf(kKernel, device.name, *iommu));
        diagnosis.checks.push_back(DescribeReach(diagnosis.reaches.back()));
        diagnosis.checks.push_back(CheckIommuOf(kKernel, *iommu, device.name));
        return;
      }
      why = std::string(device.name) + " cannot be asked: " + std::strerror(iommu.error().code);
    }
  }
  for (const std::string& name : {std::string("IOVA ranges, ") + kKernel, CheckName(kKernel)}) {
    diagnosis.checks.push_back({name, CheckStatus::kOk, "not known: " + why, ""});
  }
}

}  // namespace

Check DescribeWindows(const std::string& backend, const ppc::WindowSurvey& survey,
                      const std::string& reach) {
  const bool has_both = survey.default_size != 0 && survey.largest_size != 0;
  Check check = {CheckName(backend), has_both ? CheckStatus::kOk : CheckStatus::kWarning, "", ""};
  check.finding = survey.default_size != 0 ? Size(survey.default_size) + " at 0" : "none at 0";
  check.finding += survey.largest_size != 0 ? ", up to " + Size(survey.largest_size) + " at " +
                                                  Hex(survey.largest_start) + " beside it"
                                            : ", none beside it";
  if (!reach.empty()) check.finding += ", in reach of " + reach;
  if (survey.largest_size != 0 && survey.largest_start != survey.planned_start) {
    const std::string start = Hex(survey.largest_start);
    check.remedy = "--tce64-start=" + start + " for programs that expect a fixed place (QEMU: " +
                   "-global spapr-pci-host-bridge.dma64_win_addr=" + start + ")";
  }
  return check;
}

void CheckIommus(Diagnosis& diagnosis) {
  CheckKernelIommu(diagnosis);
  CheckSoftReach(diagnosis);
  diagnosis.checks.push_back(
      CheckIommuOf(kSoft, ioas::soft::SoftBackend::properties(), /*reach=*/""));
}

}  // namespace tools::cli
