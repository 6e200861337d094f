// The Identify command (5.15): what the controller and its namespace are.
#ifndef IOAS_SOFT_NVME_IDENTIFY_H_
#define IOAS_SOFT_NVME_IDENTIFY_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "ioas/soft/nvme/context.h"
#include "ioas/soft/nvme/nvme_spec.h"

namespace ioas::soft::nvme {

// What the PCI function says too.
inline constexpr uint16_t kVendorId = 0x1b36;  // Red Hat, whose emulated controllers drivers know
inline constexpr uint16_t kDeviceId = 0x0010;
inline constexpr uint16_t kSubsystemVendorId = 0x1af4;
inline constexpr uint16_t kSubsystemId = 0x1100;

inline constexpr char kModelNumber[] = "vfio-compat emulated NVMe";
inline constexpr char kFirmwareRevision[] = "1.4.0";

// Copies `text` to a field of `size` characters, filled up with spaces.
void CopyPadded(std::string_view text, char* field, size_t size);

// Carries out Identify. kInvalidField for structures that are not supported,
// kInvalidNamespaceOrFormat for namespaces that do not exist.
CommandOutcome Identify(const Context& context, const SubmissionEntry& command);

}  // namespace ioas::soft::nvme

#endif  // IOAS_SOFT_NVME_IDENTIFY_H_
