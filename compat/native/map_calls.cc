// IOMMU_IOAS_MAP, MAP_FILE, COPY and UNMAP. Behaviour: drivers/iommu/iommufd/ioas.c, io_pagetable.c
// and iopt_alloc_pages in pages.c.
#include <fcntl.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

#include "compat/abi/iommufd.h"
#include "compat/native/calls.h"
#include "compat/vfio/platform.h"
#include "ioas/base/system_call.h"
#include "ioas/file_table.h"
#include "ioas/soft/file_memory.h"
#include "ioas/soft/file_search.h"
#include "ioas/soft/hidden_descriptors.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::AddressSpace;
using ioas::Error;
using ioas::Mapping;
using ioas::Result;
using ioas::Status;

namespace {

constexpr Error kNoPermission = {EINVAL, "the mapping would permit neither reading nor writing"};
constexpr Error kTooLarge = {EOVERFLOW, "an address or a length is the largest number of all"};

uint32_t AccessOf(uint32_t flags) {
  return ((flags & iommufd::kIoasMapReadable) != 0 ? ioas::kAccessRead : 0u) |
         ((flags & iommufd::kIoasMapWriteable) != 0 ? ioas::kAccessWrite : 0u);
}

// What a new mapping's flags are.
uint32_t FlagsOf(uint32_t flags) {
  const uint32_t access = AccessOf(flags);
  return access | ((access & ioas::kAccessWrite) != 0 ? ioas::kMayPermitWriting : 0u);
}

// What the calls have in common.
Status CheckFlags(uint32_t flags, uint32_t reserved) {
  constexpr uint32_t kKnown =
      iommufd::kIoasMapFixedIova | iommufd::kIoasMapWriteable | iommufd::kIoasMapReadable;
  if ((flags & ~kKnown) != 0 || reserved != 0) {
    return Error{EOPNOTSUPP, "a flag is not known, or a reserved field not 0"};
  }
  return {};
}

// Maps `pieces`, which are without an IOVA yet, as one range of `length` bytes: at `iova`, or where
// there is room, which is then written there.
Status MapPieces(AddressSpace& space, std::span<Mapping> pieces, uint64_t length, uint32_t flags,
                 uint64_t& iova) {
  IOAS_RETURN_IF_ERROR(CheckLength(space, length));
  uint64_t first = iova;
  if ((flags & iommufd::kIoasMapFixedIova) == 0) {
    const Result<uint64_t> room = space.FindRoom(length, pieces.front().user_address);
    if (!room.ok()) return room.error();
    first = *room;
  } else {
    IOAS_RETURN_IF_ERROR(space.CheckRoom(first, length));
  }
  uint64_t next = first;
  for (Mapping& piece : pieces) {
    const uint64_t size = piece.last + 1;
    piece.first = next;
    piece.last = next + (size - 1);
    next += size;
  }
  IOAS_RETURN_IF_ERROR(space.MapAll(pieces));
  iova = first;
  return {};
}

// What a range of an address space is made of: whole mappings, or parts of them.
class Pieces {
 public:
  // ENOENT if a part of `range` is not mapped, ENOMEM.
  Status Gather(AddressSpace& space, const ioas::IovaRange& range, uint32_t access) {
    ioas::MappingIndex index = space.mappings();
    for (uint64_t next = range.first;;) {
      const auto mapping = index.FindContaining(next);
      if (!mapping) return Error{ENOENT, "a part of the range is not mapped"};
      const uint64_t last = std::min(mapping->last, range.last);
      IOAS_RETURN_IF_ERROR(Add({.first = 0,
                                .last = last - next,
                                .user_address = mapping->user_address + (next - mapping->first),
                                .owner = mapping->owner,
                                .flags = (mapping->flags & ioas::kMayPermitWriting) | access}));
      if (last == range.last) return {};
      next = last + 1;
    }
  }
  std::span<Mapping> all() { return {pieces_.get(), count_}; }

 private:
  Status Add(const Mapping& piece) {
    if (count_ == capacity_) {
      const size_t capacity = std::max<size_t>(2 * capacity_, 4);
      std::unique_ptr<Mapping[]> moved(new (std::nothrow) Mapping[capacity]);
      if (moved == nullptr) return Error{ENOMEM, "no memory for the pieces of a copy"};
      std::copy_n(pieces_.get(), count_, moved.get());
      pieces_ = std::move(moved);
      capacity_ = capacity;
    }
    pieces_[count_++] = piece;
    return {};
  }

  std::unique_ptr<Mapping[]> pieces_;
  size_t count_ = 0;
  size_t capacity_ = 0;
};

Status GatherFrom(const Caller& caller, const iommufd::IoasCopy& command, Pieces& pieces) {
  Context context(caller);
  const IoasState* const source = context.FindIoas(command.src_ioas_id);
  if (source == nullptr) return kNoObject;
  const Result<ioas::IovaRange> range = RangeOf(command.src_iova, command.length);
  if (!range.ok()) return range.error();
  AddressSpace space = context.SpaceOf(*source);
  const AddressSpace::Lock lock(space);
  return pieces.Gather(space, *range, AccessOf(command.flags));
}

// What fget() would find: EBADF for the library's own descriptors, and those that are but a path.
Result<ioas::FileIdentity> IdentityOfOpen(int fd) {
  constexpr Error kNotOpen = {EBADF, "the descriptor is not open"};
  const long flags = ioas::SystemCall(SYS_fcntl, fd, F_GETFL);
  if (flags < 0 || (flags & O_PATH) != 0 || ioas::soft::IsHidden(fd)) return kNotOpen;
  return ioas::soft::IdentityOf(fd);
}

Status MapFile(const Context& context, const IoasState& ioas, const ioas::FileIdentity& identity,
               iommufd::IoasMapFile& command) {
  const Result<uint32_t> process = context.host().OwnProcess();
  if (!process.ok()) return process.error();
  const ioas::ProcessTable processes = context.host().platform().processes();
  ioas::FileTable files(processes);
  const Result<uint32_t> file = files.Enter(identity, *process);
  if (!file.ok()) return file.error();
  Status mapped = ioas::soft::KnowFile(processes, *file, command.fd);
  if (mapped.ok()) {
    Mapping piece = {.first = 0,
                     .last = command.length - 1,
                     .user_address = command.start,
                     .owner = *file,
                     .flags = FlagsOf(command.flags)};
    AddressSpace space = context.SpaceOf(ioas);
    const AddressSpace::Lock lock(space);
    mapped = MapPieces(space, {&piece, 1}, command.length, command.flags, command.iova);
  }
  // Mappings hold it themselves.
  if (files.Release(*file)) ioas::soft::ForgetFiles(processes);
  return mapped;
}

}  // namespace

Status IoasMap(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::IoasMap>();
  if (!command.ok()) return command.error();
  IOAS_RETURN_IF_ERROR(CheckFlags(command->flags, command->reserved));
  if (command->iova == UINT64_MAX || command->length == UINT64_MAX) return kTooLarge;
  if (AccessOf(command->flags) == 0) return kNoPermission;
  const Result<uint32_t> process = caller.host.OwnProcess();
  if (!process.ok()) return process.error();
  {
    Context context(caller);
    const IoasState* const ioas = context.FindIoas(command->ioas_id);
    if (ioas == nullptr) return kNoObject;
    IOAS_RETURN_IF_ERROR(CheckMemory(command->user_va, command->length));
    Mapping piece = {.first = 0,
                     .last = command->length - 1,
                     .user_address = command->user_va,
                     .owner = *process,
                     .flags = FlagsOf(command->flags)};
    AddressSpace space = context.SpaceOf(*ioas);
    const AddressSpace::Lock lock(space);
    IOAS_RETURN_IF_ERROR(
        MapPieces(space, {&piece, 1}, command->length, command->flags, command->iova));
  }
  return Respond(call, *command);
}

Status IoasMapFile(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::IoasMapFile>();
  if (!command.ok()) return command.error();
  IOAS_RETURN_IF_ERROR(CheckFlags(command->flags, 0));
  if (command->iova == UINT64_MAX || command->length == UINT64_MAX) return kTooLarge;
  if (AccessOf(command->flags) == 0) return kNoPermission;
  {
    Context context(caller);
    const IoasState* const ioas = context.FindIoas(command->ioas_id);
    if (ioas == nullptr) return kNoObject;
    const Result<ioas::FileIdentity> file = IdentityOfOpen(command->fd);
    if (!file.ok()) return file.error();
    IOAS_RETURN_IF_ERROR(CheckMemory(command->start, command->length));
    IOAS_RETURN_IF_ERROR(MapFile(context, *ioas, *file, *command));
  }
  return Respond(call, *command);
}

Status IoasCopy(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::IoasCopy>();
  if (!command.ok()) return command.error();
  IOAS_RETURN_IF_ERROR(CheckFlags(command->flags, 0));
  if (command->length == UINT64_MAX || command->src_iova == UINT64_MAX ||
      command->dst_iova == UINT64_MAX) {
    return kTooLarge;
  }
  if (AccessOf(command->flags) == 0) return kNoPermission;
  Pieces pieces;
  IOAS_RETURN_IF_ERROR(GatherFrom(caller, *command, pieces));
  {
    Context context(caller);
    const IoasState* const destination = context.FindIoas(command->dst_ioas_id);
    if (destination == nullptr) return kNoObject;
    AddressSpace space = context.SpaceOf(*destination);
    const AddressSpace::Lock lock(space);
    IOAS_RETURN_IF_ERROR(
        MapPieces(space, pieces.all(), command->length, command->flags, command->dst_iova));
  }
  return Respond(call, *command);
}

Status IoasUnmap(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::IoasUnmap>();
  if (!command.ok()) return command.error();
  {
    Context context(caller);
    const IoasState* const ioas = context.FindIoas(command->ioas_id);
    if (ioas == nullptr) return kNoObject;
    Result<ioas::IovaRange> range = ioas::IovaRange{0, UINT64_MAX};
    const bool is_all = command->iova == 0 && command->length == UINT64_MAX;
    if (!is_all) {
      if (command->iova == UINT64_MAX || command->length == UINT64_MAX) return kTooLarge;
      range = RangeOf(command->iova, command->length);
      if (!range.ok()) return range.error();
    }
    AddressSpace space = context.SpaceOf(*ioas);
    const AddressSpace::Lock lock(space);
    command->length = 0;
    IOAS_RETURN_IF_ERROR(space.UnmapWhole(*range, command->length));
    if (command->length == 0 && !is_all) return Error{ENOENT, "nothing is mapped in the range"};
  }
  return Respond(call, *command);
}

}  // namespace compat::native
