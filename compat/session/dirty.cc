// Which pages devices write.
#include <algorithm>

#include "compat/session/requests.h"
#include "compat/session/responder.h"
#include "compat/session/writer.h"

namespace compat::session {

using ioas::Error;
using vfio::ContainerState;

namespace {

// As many bits as an answer has at most: pages of 1 GiB.
constexpr size_t kMostWords = (size_t{1} << 18) / 64;
struct Bits {
  uint64_t words[kMostWords];
};

}  // namespace

ioas::Status Responder::Dirty(Packet packet, Writer& answer) {
  const auto* const request = WholeBody<session::Dirty>(packet);
  if (request == nullptr) return kNotRight;
  if (request->dry_run > 1) return Error{EINVAL, "a dry run is 0 or 1"};
  const vfio::Host::TimedLock lock(host_, kPatience);
  if (!lock.held()) return kHostIsHeld;
  const ioas::Result<ContainerState*> container = FindContainerWithIommu(request->container);
  if (!container.ok()) return container.error();
  const ioas::Result<vfio::ContainerContext> context =
      host_.ContextFor(host_.WithDescriptor(**container));
  if (!context.ok()) return context.error();
  ioas::AddressSpace space = context->space();
  const ioas::AddressSpace::TimedLock space_lock(space, kPatience);
  if (!space_lock.held()) return kSpaceIsHeld;
  const auto operation = static_cast<DirtyOperation>(request->operation);
  if (operation == DirtyOperation::kRead) return ReadDirty(*request, *context, answer);
  const bool starts = operation == DirtyOperation::kStart;
  if (!starts && operation != DirtyOperation::kStop) return Error{EINVAL, "no such operation"};
  IOAS_RETURN_IF_ERROR(
      host_.parts().personality->TrackDirty(*context, starts, request->dry_run != 0));
  const bool is_tracked = (*container)->dirty_tracking != 0;
  answer.Add<DirtyAnswer>()->is_exact = is_tracked ? (*container)->is_dirty_recorded : 0;
  return {};
}

ioas::Status Responder::ReadDirty(const session::Dirty& request,
                                  const vfio::ContainerContext& context, Writer& answer) const {
  ioas::AddressSpace space = context.space();
  if (request.page_size != 0 && request.page_size != space.page_size()) {
    return Error{EINVAL, "bits are of the smallest page size"};
  }
  auto* const head = answer.Add<DirtyAnswer>();
  auto* const bits = answer.Add<Bits>();
  const ioas::IovaRange range = {request.first, request.last};
  const ioas::Result<vfio::DirtyPages> read =
      host_.parts().personality->ReadDirty(context, range, bits->words);
  if (!read.ok()) return read.error();
  head->is_exact = context.container->is_dirty_recorded;
  head->bit_count = static_cast<uint32_t>(read->pages);
  head->first = read->first;
  head->page_size = read->page_size;
  head->next = read->first + read->pages * read->page_size;
  const bool goes_on = read->pages != 0 && head->next != 0 && head->next <= request.last;
  head->more = goes_on && space.mappings().FindFirstOverlapping(head->next, request.last) ? 1 : 0;
  answer.Shrink(sizeof(Bits) - (read->pages + 7) / 8);
  return {};
}

}  // namespace compat::session
