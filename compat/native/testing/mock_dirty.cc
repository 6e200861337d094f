#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>
#include <span>

#include "compat/native/calls.h"
#include "compat/native/testing/operations.h"
#include "ioas/domain.h"

namespace compat::native::testing {
namespace {

using ioas::AddressSpace;
using ioas::Error;
using ioas::IovaRange;
using ioas::Mapping;
using ioas::Status;

constexpr uint64_t kMaxPages = uint64_t{16} << 20 << 3;

// What the page that `iova` lies in is for the IOMMU: a large one, where it has these and the
// mapping has a whole one there, at which memory is aligned as well.
IovaRange PageOf(const Mapping& mapping, uint64_t iova, bool has_huge_pages) {
  const uint64_t first = iova & -kMockHugePage;
  const IovaRange huge = {first, first + (kMockHugePage - 1)};
  const bool is_huge = has_huge_pages && IovaRange{mapping.first, mapping.last}.Contains(huge) &&
                       ((mapping.first ^ mapping.user_address) & (kMockHugePage - 1)) == 0;
  return is_huge ? huge : IovaRange{iova, iova + (kMockPage - 1)};
}

bool HasHugePages(const AddressSpace& space, uint32_t hwpt) {
  const std::span<const ioas::AddressSpaceDomain> domains(space.state().domains,
                                                          space.state().domain_count);
  return std::any_of(domains.begin(), domains.end(), [hwpt](const auto& each) {
    return each.owner == hwpt && (each.page_sizes & kMockHugePage) != 0;
  });
}

}  // namespace

Status MarkDirty(const Caller& caller, const decode::DecodedCall& call, TestCommand command) {
  auto& asked = command.dirty;
  if (asked.page_size == 0 || asked.length == 0 || asked.iova % asked.page_size != 0 ||
      asked.length % asked.page_size != 0 || asked.uptr == 0) {
    return Error{EINVAL, "not whole pages, or no bitmap"};
  }
  const uint64_t pages = asked.length / asked.page_size;
  if (pages > kMaxPages) return Error{EOVERFLOW, "too many pages"};
  const uint64_t bytes = (pages + 7) / 8;
  const std::unique_ptr<std::byte[]> bits(new (std::nothrow) std::byte[bytes]);
  if (bits == nullptr) return Error{ENOMEM, "no memory for the bitmap"};
  const Status read = call.memory->Read(asked.uptr, {bits.get(), bytes});
  Context context(caller);
  const HwptState* const hwpt = context.FindHwpt(command.id);
  if (hwpt == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOfHwpt(*hwpt);
  {
    const AddressSpace::Lock lock(space);
    if (caller.host.arena().Get(hwpt->domain)->dirty.is_tracking == 0) {
      return Error{EINVAL, "the page table does not track"};
    }
    IOAS_RETURN_IF_ERROR(read);
    const bool has_huge_pages = HasHugePages(space, command.id);
    asked.out_nr_dirty = 0;
    for (uint64_t page = 0; page < pages; ++page) {
      if ((bits[page / 8] & std::byte{1} << page % 8) == std::byte{0}) continue;
      const uint64_t iova = (asked.iova / asked.page_size + page) * kMockPage;
      const auto mapping = space.mappings().FindContaining(iova);
      if (!mapping) continue;
      space.MarkDirty(hwpt->domain, PageOf(*mapping, iova, has_huge_pages));
      ++asked.out_nr_dirty;
    }
  }
  return Respond(call, command);
}

}  // namespace compat::native::testing
