#include "tools/cli/doctor.h"

#include "tools/cli/doctor_checks.h"

namespace tools::cli {

Diagnosis Diagnose(const std::string& root) {
  Diagnosis diagnosis;
  CheckKernel(root, diagnosis.checks);
  CheckIommuNode(root, diagnosis.checks);
  CheckGroups(root, diagnosis.checks, diagnosis.groups);
  CheckLockedMemory(root, diagnosis.checks);
  CheckLegacyInterface(root, diagnosis.checks);
  return diagnosis;
}

}  // namespace tools::cli
