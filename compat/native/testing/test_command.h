// The structure of IOMMU_TEST_CMD. Source: drivers/iommu/iommufd/iommufd_test.h.
#ifndef COMPAT_NATIVE_TESTING_TEST_COMMAND_H_
#define COMPAT_NATIVE_TESTING_TEST_COMMAND_H_

#include <cstdint>

namespace compat::native::testing {

enum class Operation : uint32_t {
  kAddReserved = 1,
  kMockDomain = 2,
  kMdCheckMap = 3,
  kMdCheckRefs = 4,
  kCreateAccess = 5,
  kDestroyAccessPages = 6,
  kAccessPages = 7,
  kAccessRw = 8,
  kSetTempMemoryLimit = 9,
  kMockDomainReplace = 10,
  kAccessReplaceIoas = 11,
  kMockDomainFlags = 12,
  kDirty = 13,
  kMdCheckIotlb = 14,
  kTriggerIopf = 15,
};

struct TestCommand {
  uint32_t size;
  Operation operation;
  uint32_t id;
  uint32_t reserved;
  union {
    struct {
      uint64_t start;
      uint64_t length;
    } add_reserved;
    struct {
      uint32_t out_stdev_id;
      uint32_t out_hwpt_id;
      uint32_t out_idev_id;
      uint32_t dev_flags;  // kMockDomainFlags
    } mock_domain;
    struct {
      uint32_t pt_id;
    } mock_domain_replace;
    struct {
      uint64_t iova;
      uint64_t length;
      uint64_t uptr;
    } check_map;
    struct {
      uint64_t length;
      uint64_t uptr;
      uint32_t refs;
    } check_refs;
    struct {
      uint32_t out_access_fd;
      uint32_t flags;
    } create_access;
    struct {
      uint32_t access_pages_id;
    } destroy_access_pages;
    struct {
      uint32_t flags;
      uint32_t out_access_pages_id;
      uint64_t iova;
      uint64_t length;
      uint64_t uptr;
    } access_pages;
    struct {
      uint64_t iova;
      uint64_t length;
      uint64_t uptr;
      uint32_t flags;
    } access_rw;
    struct {
      uint32_t limit;
    } memory_limit;
    struct {
      uint32_t ioas_id;
    } access_replace_ioas;
    struct {
      uint32_t flags;
      uint64_t iova;
      uint64_t length;
      uint64_t page_size;
      uint64_t uptr;
      uint64_t out_nr_dirty;
    } dirty;
    struct {
      uint32_t id;
      uint32_t iotlb;
    } check_iotlb;
    struct {
      uint32_t dev_id;
      uint32_t pasid;
      uint32_t grpid;
      uint32_t perm;
      uint64_t addr;
    } trigger_iopf;
    uint8_t largest[48];
  };
  uint32_t last;
};
static_assert(sizeof(TestCommand) == 72);

}  // namespace compat::native::testing

#endif  // COMPAT_NATIVE_TESTING_TEST_COMMAND_H_
