// What the kernel's tests look at: where page tables lead, and what is pinned.
#include <cerrno>

#include "compat/native/calls.h"
#include "compat/native/testing/operations.h"

namespace compat::native::testing {

using ioas::AddressSpace;
using ioas::ArenaRef;
using ioas::Error;
using ioas::Result;
using ioas::Status;

Status AddReserved(const Caller& caller, const TestCommand& command) {
  const auto& [start, length] = command.add_reserved;
  if (length == 0) return Error{EINVAL, "the length is 0"};
  if (start + (length - 1) < start) return Error{EOVERFLOW, "the range wraps around"};
  Context context(caller);
  const IoasState* const ioas = context.FindIoas(command.id);
  if (ioas == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOf(*ioas);
  const AddressSpace::Lock lock(space);
  // Nobody's: it stays as long as the address space.
  return space.Reserve({start, start + (length - 1)}, ioas::kIommuOwner);
}

// Whether the page table leads where the caller's own memory is.
Status CheckMap(const Caller& caller, const TestCommand& command) {
  const auto& [iova, length, uptr] = command.check_map;
  if (((iova | length | uptr) % kMockPage) != 0 || uptr + length < uptr) {
    return Error{EINVAL, "not whole pages"};
  }
  const Result<uint32_t> process = caller.host.OwnProcess();
  if (!process.ok()) return process.error();
  Context context(caller);
  const HwptState* const hwpt = context.FindHwpt(command.id);
  if (hwpt == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOfHwpt(*hwpt);
  const AddressSpace::Lock lock(space);
  for (uint64_t done = 0; done < length; done += kMockPage) {
    const auto mapping = space.mappings().FindContaining(iova + done);
    if (!mapping || mapping->owner != *process ||
        mapping->user_address + (iova + done - mapping->first) != uptr + done) {
      return Error{EINVAL, "the page table leads elsewhere"};
    }
  }
  return {};
}

namespace {

// Whether a mapping of `space` pins a part of the memory.
bool Pins(AddressSpace& space, uint32_t process, uint64_t first, uint64_t last) {
  const AddressSpace::Lock lock(space);
  if (space.state().domain_count == 0) return false;
  ioas::MappingIndex index = space.mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    const uint64_t end = mapping->user_address + (mapping->last - mapping->first);
    if (mapping->owner == process && mapping->user_address <= last && end >= first) return true;
  }
  return false;
}

bool AnyContextPins(vfio::Host& host, uint32_t process, uint64_t first, uint64_t last) {
  for (ArenaRef<ContextState> ref = host.state().contexts; ref; ref = host.arena().Get(ref)->next) {
    ContextState& state = *host.arena().Get(ref);
    Context context({host, state, state.slot});
    for (const uint32_t id : context.objects().ids()) {
      const MockState* const access = FindMock(context, MockType::kAccess, id);
      if (access != nullptr && Pins(context, *access, process, {first, last})) return true;
      const IoasState* const ioas = context.FindIoas(id);
      if (ioas == nullptr) continue;
      AddressSpace space = context.SpaceOf(*ioas);
      if (Pins(space, process, first, last)) return true;
    }
  }
  return false;
}

}  // namespace

// The kernel counts how often each page is pinned; here it is or is not.
Status CheckRefs(const Caller& caller, const TestCommand& command, decode::CallerMemory& memory) {
  const auto& [length, uptr, refs] = command.check_refs;
  if (((length | uptr) % kPage) != 0 || uptr + length < uptr) {
    return Error{EINVAL, "not whole pages"};
  }
  const Result<uint32_t> process = caller.host.OwnProcess();
  if (!process.ok()) return process.error();
  for (uint64_t done = 0; done < length; done += kPage) {
    const auto byte = decode::Read<uint8_t>(memory, uptr + done);
    if (!byte.ok()) return byte.error();
    const bool is_pinned =
        AnyContextPins(caller.host, *process, uptr + done, uptr + done + (kPage - 1));
    if (is_pinned != (refs != 0)) return Error{EIO, "a page is pinned, or is not"};
  }
  return {};
}

}  // namespace compat::native::testing
