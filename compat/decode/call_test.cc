#include "compat/decode/call.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

namespace compat::decode {
namespace {

using enum DescriptorKind;

// What the kernel's handlers check, as its sources say: minsz, the structure's size, flags.
struct Expectation {
  const char* name;
  DescriptorKind kind;
  int minimal_size;
  int full_size;
  uint32_t flags;
  ContainerType type = ContainerType::kType1v2;
};

constexpr Expectation kLegacy[] = {
    {"VFIO_GROUP_GET_STATUS", kGroup, 8, 8, kAnyFlags},
    {"VFIO_DEVICE_GET_INFO", kDevice, 16, 24, kAnyFlags},
    {"VFIO_DEVICE_GET_REGION_INFO", kDevice, 32, 32, kAnyFlags},
    {"VFIO_DEVICE_GET_IRQ_INFO", kDevice, 16, 16, kAnyFlags},
    {"VFIO_DEVICE_SET_IRQS", kDevice, 20, 20, 0x3f},
    {"VFIO_IOMMU_GET_INFO", kContainer, 16, 24, kAnyFlags},
    {"VFIO_IOMMU_GET_INFO", kIommufd, 16, 24, kAnyFlags},
    {"VFIO_IOMMU_SPAPR_TCE_GET_INFO", kContainer, 16, 32, kAnyFlags, ContainerType::kSpaprV2},
    {"VFIO_DEVICE_GET_PCI_HOT_RESET_INFO", kDevice, 12, 12, kAnyFlags},
    {"VFIO_IOMMU_MAP_DMA", kContainer, 32, 32, 0x7},
    {"VFIO_IOMMU_MAP_DMA", kContainer, 32, 32, 0x3, ContainerType::kSpaprV1},
    {"VFIO_IOMMU_MAP_DMA", kIommufd, 32, 32, 0x3},
    {"VFIO_DEVICE_PCI_HOT_RESET", kDevice, 12, 12, 0},
    {"VFIO_IOMMU_UNMAP_DMA", kContainer, 24, 24, 0x7},
    {"VFIO_IOMMU_UNMAP_DMA", kContainer, 24, 24, 0, ContainerType::kSpaprV2},
    {"VFIO_IOMMU_UNMAP_DMA", kIommufd, 24, 24, 0x2},
    {"VFIO_DEVICE_QUERY_GFX_PLANE", kDevice, 60, 64, kAnyFlags},
    {"VFIO_DEVICE_IOEVENTFD", kDevice, 28, 32, 0xf},
    {"VFIO_IOMMU_DIRTY_PAGES", kContainer, 8, 8, 0x7},
    {"VFIO_IOMMU_SPAPR_REGISTER_MEMORY", kContainer, 24, 24, 0, ContainerType::kSpaprV2},
    {"VFIO_DEVICE_FEATURE", kDevice, 8, 8, 0x7ffff},
    {"VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", kContainer, 24, 24, 0, ContainerType::kSpaprV2},
    {"VFIO_DEVICE_BIND_IOMMUFD", kCdev, 16, 16, 0},
    {"VFIO_IOMMU_SPAPR_TCE_CREATE", kContainer, 40, 40, 0, ContainerType::kSpaprV2},
    {"VFIO_DEVICE_ATTACH_IOMMUFD_PT", kCdev, 12, 16, 0x1},
    {"VFIO_IOMMU_SPAPR_TCE_REMOVE", kContainer, 16, 16, 0, ContainerType::kSpaprV2},
    {"VFIO_DEVICE_DETACH_IOMMUFD_PT", kCdev, 8, 12, 0x1},
    {"VFIO_EEH_PE_OP", kContainer, 12, 40, 0, ContainerType::kSpaprV1},
    {"VFIO_MIG_GET_PRECOPY_INFO", kMigration, 24, 24, kAnyFlags},
};

constexpr Expectation kIommufdCalls[] = {
    {"IOMMU_DESTROY", kIommufd, 8, 8, kAnyFlags},
    {"IOMMU_IOAS_ALLOC", kIommufd, 12, 12, kAnyFlags},
    {"IOMMU_IOAS_ALLOW_IOVAS", kIommufd, 24, 24, kAnyFlags},
    {"IOMMU_IOAS_COPY", kIommufd, 40, 40, kAnyFlags},
    {"IOMMU_IOAS_IOVA_RANGES", kIommufd, 32, 32, kAnyFlags},
    {"IOMMU_IOAS_MAP", kIommufd, 40, 40, kAnyFlags},
    {"IOMMU_IOAS_UNMAP", kIommufd, 24, 24, kAnyFlags},
    {"IOMMU_OPTION", kIommufd, 24, 24, kAnyFlags},
    {"IOMMU_VFIO_IOAS", kIommufd, 12, 12, kAnyFlags},
    {"IOMMU_HWPT_ALLOC", kIommufd, 24, 48, kAnyFlags},
    {"IOMMU_GET_HW_INFO", kIommufd, 32, 40, kAnyFlags},
    {"IOMMU_HWPT_SET_DIRTY_TRACKING", kIommufd, 16, 16, kAnyFlags},
    {"IOMMU_HWPT_GET_DIRTY_BITMAP", kIommufd, 48, 48, kAnyFlags},
    {"IOMMU_HWPT_INVALIDATE", kIommufd, 32, 32, kAnyFlags},
    {"IOMMU_FAULT_QUEUE_ALLOC", kIommufd, 16, 16, kAnyFlags},
    {"IOMMU_IOAS_MAP_FILE", kIommufd, 40, 40, kAnyFlags},
    {"IOMMU_VIOMMU_ALLOC", kIommufd, 24, 40, kAnyFlags},
    {"IOMMU_VDEVICE_ALLOC", kIommufd, 24, 24, kAnyFlags},
    {"IOMMU_IOAS_CHANGE_PROCESS", kIommufd, 8, 8, kAnyFlags},
    {"IOMMU_VEVENTQ_ALLOC", kIommufd, 32, 32, kAnyFlags},
    {"IOMMU_HW_QUEUE_ALLOC", kIommufd, 40, 40, kAnyFlags},
};

const CallRow* RowOf(const Expectation& expected) {
  for (const CallRow& row : CallsNamed(expected.name)) {
    if (IsValidFor(row, expected.kind) && IsValidFor(row, expected.type)) return &row;
  }
  return nullptr;
}

TEST(CallTest, EveryStructureHasTheSizesAndFlagsThatTheKernelChecks) {
  std::vector<Expectation> all(std::begin(kLegacy), std::end(kLegacy));
  all.insert(all.end(), std::begin(kIommufdCalls), std::end(kIommufdCalls));
  std::set<const CallRow*> seen;
  for (const Expectation& expected : all) {
    SCOPED_TRACE(expected.name);
    const CallRow* row = RowOf(expected);
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row->minimal_size, expected.minimal_size);
    EXPECT_EQ(row->full_size, expected.full_size);
    EXPECT_EQ(row->flags, expected.flags);
    seen.insert(row);
  }
  for (const CallRow& row : AllCalls()) {
    const bool is_struct =
        row.form == ArgumentForm::kArgszStruct || row.form == ArgumentForm::kSizeStruct;
    EXPECT_EQ(is_struct, seen.contains(&row)) << row.name;
  }
}

TEST(CallTest, NoNumberHasTwoMeaningsForOneKindAndType) {
  std::set<std::tuple<uint32_t, int, ContainerType>> seen;
  for (const CallRow& row : AllCalls()) {
    for (int kind = 0; kind < kDescriptorKinds; ++kind) {
      for (const ContainerType type : kContainerTypes) {
        if (!IsValidFor(row, static_cast<DescriptorKind>(kind)) || !IsValidFor(row, type)) continue;
        EXPECT_TRUE(seen.insert({row.request, kind, type}).second) << row.name;
        EXPECT_EQ(Lookup(static_cast<DescriptorKind>(kind), type, row.request), &row) << row.name;
      }
    }
  }
}

TEST(CallTest, EveryOperationHasARowAndEveryNameOneOperation) {
  std::set<Call> calls;
  std::map<std::string, Call> names;
  for (const CallRow& row : AllCalls()) {
    calls.insert(row.call);
    EXPECT_EQ(names.emplace(row.name, row.call).first->second, row.call) << row.name;
    EXPECT_NE(row.kinds, 0) << row.name;
    EXPECT_NE(row.types, 0) << row.name;
    EXPECT_EQ(row.documentation[std::strlen(row.documentation) - 1], '.') << row.name;
  }
  EXPECT_EQ(calls.size(), static_cast<size_t>(kCallCount));
  EXPECT_EQ(names.size(), static_cast<size_t>(kCallCount));
}

// What each number means, as the kernels that were recorded have it. Device is a group's device in
// a type 1 container.
struct Meaning {
  const char* type1;
  const char* spapr_v1;
  const char* spapr_v2;
  const char* group;
  const char* device;
};
constexpr const char* kNothing = nullptr;
constexpr Meaning kMeanings[] = {
    {"VFIO_GET_API_VERSION", "VFIO_GET_API_VERSION", "VFIO_GET_API_VERSION", kNothing, kNothing},
    {"VFIO_CHECK_EXTENSION", "VFIO_CHECK_EXTENSION", "VFIO_CHECK_EXTENSION", kNothing, kNothing},
    {"VFIO_SET_IOMMU", "VFIO_SET_IOMMU", "VFIO_SET_IOMMU", kNothing, kNothing},
    {kNothing, kNothing, kNothing, "VFIO_GROUP_GET_STATUS", kNothing},
    {kNothing, kNothing, kNothing, "VFIO_GROUP_SET_CONTAINER", kNothing},
    {kNothing, kNothing, kNothing, "VFIO_GROUP_UNSET_CONTAINER", kNothing},
    {kNothing, kNothing, kNothing, "VFIO_GROUP_GET_DEVICE_FD", kNothing},
    {kNothing, kNothing, kNothing, kNothing, "VFIO_DEVICE_GET_INFO"},
    {kNothing, kNothing, kNothing, kNothing, "VFIO_DEVICE_GET_REGION_INFO"},
    {kNothing, kNothing, kNothing, kNothing, "VFIO_DEVICE_GET_IRQ_INFO"},
    {kNothing, kNothing, kNothing, kNothing, "VFIO_DEVICE_SET_IRQS"},
    {kNothing, kNothing, kNothing, kNothing, "VFIO_DEVICE_RESET"},
    {"VFIO_IOMMU_GET_INFO", "VFIO_IOMMU_SPAPR_TCE_GET_INFO", "VFIO_IOMMU_SPAPR_TCE_GET_INFO",
     kNothing, "VFIO_DEVICE_GET_PCI_HOT_RESET_INFO"},
    {"VFIO_IOMMU_MAP_DMA", "VFIO_IOMMU_MAP_DMA", "VFIO_IOMMU_MAP_DMA", kNothing,
     "VFIO_DEVICE_PCI_HOT_RESET"},
    {"VFIO_IOMMU_UNMAP_DMA", "VFIO_IOMMU_UNMAP_DMA", "VFIO_IOMMU_UNMAP_DMA", kNothing,
     "VFIO_DEVICE_QUERY_GFX_PLANE"},
    {kNothing, "VFIO_IOMMU_ENABLE", kNothing, kNothing, "VFIO_DEVICE_GET_GFX_DMABUF"},
    {kNothing, "VFIO_IOMMU_DISABLE", kNothing, kNothing, "VFIO_DEVICE_IOEVENTFD"},
    {"VFIO_IOMMU_DIRTY_PAGES", kNothing, "VFIO_IOMMU_SPAPR_REGISTER_MEMORY", kNothing,
     "VFIO_DEVICE_FEATURE"},
    {kNothing, kNothing, "VFIO_IOMMU_SPAPR_UNREGISTER_MEMORY", kNothing,
     "VFIO_DEVICE_BIND_IOMMUFD"},
    {kNothing, kNothing, "VFIO_IOMMU_SPAPR_TCE_CREATE", kNothing, kNothing},
    {kNothing, kNothing, "VFIO_IOMMU_SPAPR_TCE_REMOVE", kNothing, kNothing},
    {kNothing, "VFIO_EEH_PE_OP", "VFIO_EEH_PE_OP", kNothing, kNothing},
    {kNothing, kNothing, kNothing, kNothing, kNothing},
    {kNothing, kNothing, kNothing, kNothing, kNothing},
};

void ExpectMeaning(DescriptorKind kind, ContainerType type, uint32_t request, const char* name) {
  const CallRow* row = Lookup(kind, type, request);
  EXPECT_STREQ(row == nullptr ? nullptr : row->name, name)
      << std::hex << request << " on " << Name(kind) << " " << Name(type);
}

TEST(CallTest, ANumberMeansWhatItsDescriptorAndContainerTypeMakeOfIt) {
  uint32_t request = 0x3b64;
  for (const Meaning& meaning : kMeanings) {
    const bool always = request < 0x3b67;
    ExpectMeaning(kContainer, ContainerType::kNone, request, always ? meaning.type1 : nullptr);
    ExpectMeaning(kContainer, ContainerType::kNoIommu, request, always ? meaning.type1 : nullptr);
    ExpectMeaning(kContainer, ContainerType::kType1, request, meaning.type1);
    ExpectMeaning(kContainer, ContainerType::kType1v2, request, meaning.type1);
    ExpectMeaning(kContainer, ContainerType::kSpaprV1, request, meaning.spapr_v1);
    ExpectMeaning(kContainer, ContainerType::kSpaprV2, request, meaning.spapr_v2);
    ExpectMeaning(kGroup, ContainerType::kNone, request, meaning.group);
    ExpectMeaning(kDevice, ContainerType::kType1v2, request, meaning.device);
    ++request;
  }
}

TEST(CallTest, AttachAndDetachAreCallsOfACdevAlone) {
  for (const char* name : {"VFIO_DEVICE_ATTACH_IOMMUFD_PT", "VFIO_DEVICE_DETACH_IOMMUFD_PT"}) {
    ASSERT_EQ(CallsNamed(name).size(), 1U);
    const CallRow& row = CallsNamed(name)[0];
    ExpectMeaning(kCdev, ContainerType::kNone, row.request, name);
    EXPECT_FALSE(IsValidFor(row, kDevice));
  }
}

TEST(CallTest, UnknownNumbersAreNothingAndTheirErrnoDependsOnTheContainer) {
  // Other letters, other directions, and numbers that no interface has.
  for (const uint32_t request : {0U, 0x71U, 0x5401U, 0x3a71U, 0x40043b71U, 0x3b63U, 0x3bffU}) {
    for (const DescriptorKind kind : {kContainer, kGroup, kDevice, kIommufd, kMigration, kCdev}) {
      ExpectMeaning(kind, ContainerType::kType1, request, nullptr);
    }
  }
  EXPECT_EQ(MissingCallErrno(kContainer, ContainerType::kNone), EINVAL);
  EXPECT_EQ(MissingCallErrno(kContainer, ContainerType::kNoIommu), ENOTTY);
  EXPECT_EQ(MissingCallErrno(kContainer, ContainerType::kSpaprV2), ENOTTY);
  EXPECT_EQ(MissingCallErrno(kGroup, ContainerType::kNone), ENOTTY);
}

TEST(CallTest, ANumberIsFoundAsRequestAsLowerByteAndAsOffset) {
  ASSERT_EQ(CallsNumbered(0x3b71).size(), 4U);  // MAP_DMA thrice, PCI_HOT_RESET
  EXPECT_EQ(CallsNumbered(0x71).data(), CallsNumbered(0x3b71).data());
  EXPECT_EQ(CallsNumbered(13).data(), CallsNumbered(0x3b71).data());
  ASSERT_EQ(CallsNumbered(0x85).size(), 1U);
  EXPECT_STREQ(CallsNumbered(0x85)[0].name, "IOMMU_IOAS_MAP");
  EXPECT_TRUE(CallsNumbered(22).empty());
  EXPECT_TRUE(CallsNumbered(0x3c71).empty());
  EXPECT_EQ(CallsNamed("VFIO_IOMMU_MAP_DMA").size(), 3U);
  EXPECT_TRUE(CallsNamed("VFIO_IOMMU_MAP").empty());
}

TEST(CallTest, NamesOfKindsAndTypesRoundTrip) {
  for (int i = 0; i < kDescriptorKinds; ++i) {
    const auto kind = static_cast<DescriptorKind>(i);
    EXPECT_EQ(KindNamed(Name(kind)), kind);
  }
  for (const ContainerType type : kContainerTypes) EXPECT_EQ(TypeNamed(Name(type)), type);
  EXPECT_FALSE(KindNamed("pipe").has_value());
  EXPECT_FALSE(TypeNamed("type2").has_value());
}

}  // namespace
}  // namespace compat::decode
