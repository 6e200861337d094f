// Page tables of the program's own, on top of one that an address space has (nesting). Internal to
// this folder.
#ifndef COMPAT_NATIVE_NESTED_TABLES_H_
#define COMPAT_NATIVE_NESTED_TABLES_H_

#include <cstdint>

#include "compat/native/context.h"
#include "compat/native/user_data.h"
#include "ioas/base/result.h"

namespace compat::native {

// Makes a page table on `parent`, the number of an address space's or of a vIOMMU, for `device`.
// Returns its number. EINVAL if the parent was not made for it, or for another IOMMU, EOPNOTSUPP
// for data of a type that the device's IOMMU does not have, EINVAL or EFAULT for wrong data, ENOMEM
// (iommufd_hwpt_nested_alloc, intel_iommu_domain_alloc_nested in drivers/iommu/intel/nested.c).
ioas::Result<uint32_t> NewNestedTable(Context& context, uint32_t parent, const DeviceObject& device,
                                      const UserData& data);

// Frees what belongs to the page table `nested`, which is no object any more.
void DeleteNestedTable(Context& context, const NestedState& nested);

}  // namespace compat::native

#endif  // COMPAT_NATIVE_NESTED_TABLES_H_
