#include "compat/decode/call.h"

#include <algorithm>
#include <array>
#include <cerrno>

#include "compat/decode/call_table.h"

namespace compat::decode {
namespace {

constexpr std::span<const CallRow> kRows = kCallTable;

static_assert(std::is_sorted(kRows.begin(), kRows.end(),
                             [](const CallRow& a, const CallRow& b) {
                               return a.request < b.request;
                             }),
              "the rows of one request must be neighbours");
static_assert(kRows.size() < 256);

constexpr uint32_t kLetter = abi::kVfioType << 8;

struct KindName {
  DescriptorKind kind;
  const char* name;
};
constexpr KindName kKindNames[kDescriptorKinds] = {
    {DescriptorKind::kContainer, "container"}, {DescriptorKind::kGroup, "group"},
    {DescriptorKind::kDevice, "device"},       {DescriptorKind::kIommufd, "iommufd"},
    {DescriptorKind::kMigration, "migration"}, {DescriptorKind::kCdev, "cdev"},
    {DescriptorKind::kEvents, "events"},
};

struct TypeName {
  ContainerType type;
  const char* name;
};
constexpr TypeName kTypeNames[] = {
    {ContainerType::kNone, "none"},         {ContainerType::kType1, "type1"},
    {ContainerType::kType1v2, "type1v2"},   {ContainerType::kNoIommu, "noiommu"},
    {ContainerType::kSpaprV1, "spapr-tce"}, {ContainerType::kSpaprV2, "spapr-tce-v2"},
};

}  // namespace

namespace internal {

constinit const RowsOfAll kRowOf = [] {
  RowsOfAll places{};
  for (size_t i = kRows.size(); i-- > 0;) {
    for (int kind = 0; kind < kDescriptorKinds; ++kind) {
      for (int type = 0; type < kTypeValues; ++type) {
        if (IsValidFor(kRows[i], static_cast<DescriptorKind>(kind)) &&
            IsValidFor(kRows[i], static_cast<ContainerType>(type))) {
          places[kind][type][kRows[i].request & 0xff] = i + 1;
        }
      }
    }
  }
  return places;
}();
constinit const CallRow* const kFirstRow = kRows.data();

}  // namespace internal

std::span<const CallRow> AllCalls() { return kRows; }

int MissingCallErrno(DescriptorKind kind, ContainerType type) {
  return kind == DescriptorKind::kContainer && type == ContainerType::kNone ? EINVAL : ENOTTY;
}

std::span<const CallRow> CallsNumbered(uint32_t number) {
  uint32_t request = number;
  if (number < abi::kVfioBase) {
    request = kLetter + abi::kVfioBase + number;
  } else if (number < 0x100) {
    request = kLetter + number;
  }
  const auto is_other = [request](const CallRow& row) { return row.request != request; };
  const auto begin = std::find_if_not(kRows.begin(), kRows.end(), is_other);
  return {begin, std::find_if(begin, kRows.end(), is_other)};
}

std::span<const CallRow> CallsNamed(std::string_view name) {
  const auto is_named = [name](const CallRow& row) { return row.name == name; };
  const auto begin = std::find_if(kRows.begin(), kRows.end(), is_named);
  return {begin, std::find_if_not(begin, kRows.end(), is_named)};
}

const char* Name(DescriptorKind kind) { return kKindNames[static_cast<int>(kind)].name; }

const char* Name(ContainerType type) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.type == type) return entry.name;
  }
  return "unknown";
}

std::optional<DescriptorKind> KindNamed(std::string_view name) {
  for (const KindName& entry : kKindNames) {
    if (entry.name == name) return entry.kind;
  }
  return std::nullopt;
}

std::optional<ContainerType> TypeNamed(std::string_view name) {
  for (const TypeName& entry : kTypeNames) {
    if (entry.name == name) return entry.type;
  }
  return std::nullopt;
}

}  // namespace compat::decode
