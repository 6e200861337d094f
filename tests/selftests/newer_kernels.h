// What iommufd's tests in Debian's Linux 6.12.117 use of newer kernels: a change came to the stable
// branch without what it stands on, and the tests do not compile by themselves. `build` includes
// this before them.

#ifndef TESTS_SELFTESTS_NEWER_KERNELS_H_
#define TESTS_SELFTESTS_NEWER_KERNELS_H_

// IOMMU_GET_HW_INFO can be asked for a type there. in_data_type and out_data_type are one member.
#define in_data_type out_data_type
#define IOMMU_HW_INFO_TYPE_DEFAULT 0
#define IOMMU_HW_INFO_FLAG_INPUT_TYPE (1 << 0)

// A mock device that has PASIDs, and how many. There it is 1 << 2 and 20 bits, but 6.12 refuses
// that flag, and all tests that have such a device beside another one would end in their setup:
// here it is a device as any other.
#define MOCK_FLAGS_DEVICE_PASID 0
#define MOCK_PASID_WIDTH 0

#endif  // TESTS_SELFTESTS_NEWER_KERNELS_H_
