#include "tools/cli/doctor.h"

#include "tools/cli/doctor_checks.h"
#include "tools/cli/doctor_windows.h"

namespace tools::cli {

Diagnosis Diagnose(const std::string& root) {
  Diagnosis diagnosis;
  CheckKernel(root, diagnosis.checks);
  CheckIommuNode(root, diagnosis.checks);
  CheckGroups(root, diagnosis.checks, diagnosis.groups);
  // What stands below another root cannot be asked.
  if (root.empty()) CheckIommus(diagnosis);
  CheckLockedMemory(root, diagnosis.checks);
  CheckLegacyInterface(root, diagnosis.checks);
  return diagnosis;
}

}  // namespace tools::cli
