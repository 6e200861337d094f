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
  kSetTempMemoryLimit = 9,
  kMockDomainReplace = 10,
  kMockDomainFlags = 12,
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
      uint32_t limit;
    } memory_limit;
    uint8_t largest[48];
  };
  uint32_t last;
};
static_assert(sizeof(TestCommand) == 72);

}  // namespace compat::native::testing

#endif  // COMPAT_NATIVE_TESTING_TEST_COMMAND_H_
