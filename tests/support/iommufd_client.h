// What a program that uses iommufd does first, for tests that are such programs.
#ifndef TESTS_SUPPORT_IOMMUFD_CLIENT_H_
#define TESTS_SUPPORT_IOMMUFD_CLIENT_H_

#include <cstdint>

namespace tests {

// Makes an address space, or a page table of one for the device object `device`: `for_pasids` if
// PASIDs are to be attached to it, or beside it. Each returns its number; 0, with errno, if that
// fails.
uint32_t NewIoas(int iommufd);
uint32_t NewPageTable(int iommufd, uint32_t device, uint32_t ioas, bool for_pasids = false);

// The number of the address space of legacy calls on `iommufd`; 0, with errno, if there is none.
uint32_t LegacyIoas(int iommufd);

// Binds `device`, a descriptor of /dev/vfio/devices/vfioN, to `iommufd`. Returns its number; 0,
// with errno, if that fails.
uint32_t Bind(int iommufd, int device);
// The same, and attaches it to a new address space. Returns that one's number; 0, with errno, if a
// call fails.
uint32_t AttachToNewIoas(int iommufd, int device);

// Attaches a device that is bound to address space or page table `table`, instead of what it had.
// Each returns whether it worked; if not, errno says why.
bool Attach(int device, uint32_t table);
// The same for one of the device's PASIDs, and what undoes it.
bool AttachPasid(int device, uint32_t pasid, uint32_t table);
bool DetachPasid(int device, uint32_t pasid);
// IOAS_MAP of `size` bytes at `memory`, for reading and writing.
bool MapMemory(int iommufd, uint32_t ioas, const void* memory, uint64_t iova, uint64_t size);
// IOAS_MAP_FILE of `size` bytes of `file` from `start` on, for reading and writing.
bool MapFile(int iommufd, uint32_t ioas, int file, uint64_t start, uint64_t iova, uint64_t size);
bool UnmapIoas(int iommufd, uint32_t ioas, uint64_t iova, uint64_t size);
bool ChangeProcess(int iommufd);

}  // namespace tests

#endif  // TESTS_SUPPORT_IOMMUFD_CLIENT_H_
