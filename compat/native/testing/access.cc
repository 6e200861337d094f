// Accesses. Behaviour: iommufd_access_* in drivers/iommu/iommufd/device.c, and what selftest.c
// makes of them: a file each, whose end is the access's. Pages that an access has pinned are given
// up when they are unmapped; here, before the next call.
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <memory>
#include <new>

#include "compat/native/calls.h"
#include "compat/native/testing/operations.h"
#include "ioas/base/system_call.h"
#include "ioas/soft/peer_process.h"

namespace compat::native::testing {
namespace {

using ioas::AddressSpace;
using ioas::ArenaRef;
using ioas::Error;
using ioas::Mapping;
using ioas::Result;
using ioas::Status;

constexpr uint32_t kNeedsPins = 1u << 0;  // MOCK_FLAGS_ACCESS_CREATE_NEEDS_PIN_PAGES
constexpr uint32_t kWrite = 1u << 0;      // MOCK_FLAGS_ACCESS_WRITE, MOCK_ACCESS_RW_WRITE
constexpr uint32_t kSlowPath = 1u << 2;   // MOCK_ACCESS_RW_SLOW_PATH
constexpr uint64_t kMaxLength = uint64_t{16} << 20;
// No other file of the software host is of this kind.
constexpr auto kFileKind = decode::DescriptorKind::kMigration;

constexpr Error kNoAccess = {EBADFD, "the descriptor is no access"};
constexpr Error kUnknownFlag = {EOPNOTSUPP, "an unknown flag"};

// The slot of an access's descriptor; 0 for any other.
uint32_t SlotOf(const Caller& caller, uint32_t fd) {
  const Result<uint32_t> slot = caller.host.SlotOf(static_cast<int>(fd));
  return slot.ok() ? *slot : 0;
}

MockState* FindBySlot(const Context& context, uint32_t slot) {
  if (slot == 0) return nullptr;
  for (const uint32_t id : context.objects().ids()) {
    MockState* const access = FindMock(context, MockType::kAccess, id);
    if (access != nullptr && access->slot == slot) return access;
  }
  return nullptr;
}

// Calls `visit` with each mapping that the range lies in, and which part of it that is. EINVAL if
// the range is empty, EOVERFLOW if it wraps around, ENOENT where it is not mapped.
template <typename Visit>
Status ForEachPiece(AddressSpace& space, uint64_t iova, uint64_t length, Visit visit) {
  const Result<ioas::IovaRange> range = RangeOf(iova, length);
  if (!range.ok()) return range.error();
  for (uint64_t next = iova;;) {
    const auto mapping = space.mappings().FindContaining(next);
    if (!mapping) return Error{ENOENT, "a part of the range is not mapped"};
    const uint64_t last = std::min(range->last, mapping->last);
    IOAS_RETURN_IF_ERROR(visit(*mapping, ioas::IovaRange{next, last}));
    if (last == range->last) return {};
    next = last + 1;
  }
}

Status CheckPermission(const Mapping& mapping, uint32_t flags) {
  const uint32_t access = (flags & kWrite) != 0 ? ioas::kAccessWrite : ioas::kAccessRead;
  if ((mapping.flags & access) != 0) return {};
  return Error{EPERM, "the mapping does not permit the access"};
}

uint64_t AddressAt(const Mapping& mapping, uint64_t iova) {
  return mapping.user_address + (iova - mapping.first);
}

// Copies between `buffer` and memory of the process that `mapping` belongs to.
Status Copy(vfio::Host& host, const Mapping& mapping, const ioas::IovaRange& range,
            std::byte* buffer, bool write) {
  const pid_t pid = ioas::soft::MemoryOf(host.platform().processes(), mapping.owner);
  const uint64_t size = range.last - range.first + 1;
  const iovec local = {buffer, size};
  const iovec remote = {reinterpret_cast<void*>(AddressAt(mapping, range.first)), size};
  const long copied = pid == 0
                          ? -EFAULT
                          : ioas::SystemCall(write ? SYS_process_vm_writev : SYS_process_vm_readv,
                                             pid, &local, 1L, &remote, 1L, 0L);
  if (copied == static_cast<long>(size)) return {};
  return Error{EFAULT, "the memory is gone, or does not permit the access"};
}

// Whether all of the range is there, so that it can be pinned.
Status CheckPages(vfio::Host& host, const Mapping& mapping, const ioas::IovaRange& range,
                  bool is_last) {
  if (AddressAt(mapping, range.first) % kPage != 0 ||
      (!is_last && AddressAt(mapping, range.last) % kPage != kPage - 1)) {
    return Error{EINVAL, "the memory is not whole pages"};
  }
  for (uint64_t iova = range.first; iova <= range.last; iova += kPage) {
    std::byte byte{};
    IOAS_RETURN_IF_ERROR(Copy(host, mapping, {iova, iova}, &byte, /*write=*/false));
  }
  return {};
}

bool IsMapped(AddressSpace& space, const AccessItem& item) {
  return ForEachPiece(space, item.iova, item.length,
                      [](const Mapping&, const ioas::IovaRange&) { return Status(); })
      .ok();
}

// Takes the items out of `access` that `is_gone` says. Returns whether there were any.
template <typename IsGone>
bool RemoveItems(const Context& context, MockState& access, IsGone is_gone) {
  ioas::Arena arena = context.host().arena();
  bool any = false;
  for (ArenaRef<AccessItem>* link = &access.items; *link;) {
    const ArenaRef<AccessItem> item = *link;
    if (!is_gone(*arena.Get(item))) {
      link = &arena.Get(item)->next;
      continue;
    }
    *link = arena.Get(item)->next;
    arena.Delete(item);
    any = true;
  }
  return any;
}

void RemoveAll(const Context& context, MockState& access) {
  RemoveItems(context, access, [](const AccessItem&) { return true; });
}

// iommufd_access_change_ioas_id.
Status ChangeIoas(const Context& context, MockState& access, uint32_t ioas) {
  const IoasState* const state = context.FindIoas(ioas);
  if (state == nullptr) return kNoObject;
  if (ioas == access.ioas) return {};
  AddressSpace space = context.SpaceOf(*state);
  const AddressSpace::Lock lock(space);
  ioas::MappingIndex index = space.mappings();
  for (auto mapping = index.FindFirstOverlapping(0, UINT64_MAX); mapping;
       mapping = index.Next(mapping->first)) {
    const uint64_t ends = mapping->first | (mapping->last + 1) | mapping->user_address;
    if ((access.flags & kNeedsPins) != 0 && ends % kPage != 0) {
      return Error{EADDRINUSE, "a mapping is not whole pages"};
    }
  }
  RemoveAll(context, access);
  if (access.ioas != 0) context.DropUser(access.ioas);
  access.ioas = ioas;
  context.AddUser(ioas);
  return {};
}

bool IsOpen(const Context& context, const MockState& access) {
  const vfio::Host& host = context.host();
  const vfio::FileSlot& file = host.files().slot(access.slot);
  return file.in_use != 0 && file.kind == kFileKind &&
         file.object == host.arena().RefOf(&access).unit && host.platform().IsOpen(access.slot);
}

bool HasAccess(const Caller& caller) {
  const Context context(caller);
  for (const uint32_t id : context.objects().ids()) {
    if (FindMock(context, MockType::kAccess, id) != nullptr) return true;
  }
  return false;
}

// Opens the access's file, and takes a slot for it.
Result<int> OpenFile(const Context& context, MockState& access) {
  vfio::FileTable files = context.host().files();
  const Result<uint32_t> slot = files.Take(kFileKind, context.host().arena().RefOf(&access).unit);
  if (!slot.ok()) return Error{ENOMEM, "no file is to be had"};
  const Result<int> fd = files.Open(*slot, /*close_on_exec=*/true);
  if (!fd.ok()) {
    files.Free(*slot);
    return Error{ENOMEM, "no descriptor is to be had"};
  }
  access.slot = *slot;
  return fd;
}

// Adds what `command` says, which can be pinned, and answers.
Status AddItem(const Context& context, MockState& access, const decode::DecodedCall& call,
               TestCommand command) {
  ioas::Arena arena = context.host().arena();
  const Result<ArenaRef<AccessItem>> item = arena.New<AccessItem>();
  if (!item.ok()) return item.error();
  const uint32_t id = access.next_item_id++;
  *arena.Get(*item) = {.next = access.items,
                       .id = id,
                       .iova = command.access_pages.iova,
                       .length = command.access_pages.length};
  access.items = *item;
  command.access_pages.out_access_pages_id = id;
  const Status responded = Respond(call, command);
  if (!responded.ok()) {
    RemoveItems(context, access, [id](const AccessItem& each) { return each.id == id; });
  }
  return responded;
}

// Whether the caller's memory at command.access_pages.uptr is what the range leads to.
Status CheckLeadsTo(const Caller& caller, AddressSpace& space, const TestCommand& command) {
  const auto& asked = command.access_pages;
  if (asked.uptr == 0) return {};
  const Result<uint32_t> process = caller.host.OwnProcess();
  if (!process.ok()) return process.error();
  return ForEachPiece(
      space, asked.iova, asked.length,
      [&](const Mapping& mapping, const ioas::IovaRange& part) -> Status {
        const uint64_t expected = asked.uptr + (part.first - asked.iova);
        if (mapping.owner == *process && AddressAt(mapping, part.first) == expected) {
          return {};
        }
        return Error{EBADE, "the range leads elsewhere"};
      });
}

}  // namespace

Status CreateAccess(const Caller& caller, const decode::DecodedCall& call, TestCommand command) {
  if ((command.create_access.flags & ~kNeedsPins) != 0) return kUnknownFlag;
  const vfio::Host::Lock lock(caller.host);
  Context context(caller);
  const Result<uint32_t> id = NewMock(context, MockType::kAccess);
  if (!id.ok()) return id.error();
  MockState& access = *FindMock(context, MockType::kAccess, *id);
  access.flags = command.create_access.flags;
  access.next_item_id = 1;
  const Result<int> fd = OpenFile(context, access);
  Status status = fd.ok() ? ChangeIoas(context, access, command.id) : Status(fd.error());
  if (status.ok()) {
    command.create_access.out_access_fd = static_cast<uint32_t>(*fd);
    status = Respond(call, command);
  }
  if (status.ok()) {
    context.AddUser(*id);  // its file's
    return {};
  }
  if (fd.ok()) {
    ioas::SystemCall(SYS_close, *fd);
    caller.host.files().Free(access.slot);
  }
  (void)context.Destroy(*id);
  return status;
}

void DestroyAccess(Context& context, MockState& mock) {
  RemoveAll(context, mock);
  if (context.FindIoas(mock.ioas) != nullptr) context.DropUser(mock.ioas);
}

void EndAccesses(const Caller& caller) {
  if (!HasAccess(caller)) return;
  const vfio::Host::Lock lock(caller.host);
  Context context(caller);
  for (const uint32_t id : context.objects().ids()) {
    MockState* const access = FindMock(context, MockType::kAccess, id);
    if (access == nullptr) continue;
    if (!IsOpen(context, *access)) {
      const vfio::FileSlot& file = caller.host.files().slot(access->slot);
      if (file.in_use != 0 && file.kind == kFileKind) caller.host.files().Free(access->slot);
      context.DropUser(id);
      (void)context.Destroy(id);
      continue;
    }
    const IoasState* const ioas = context.FindIoas(access->ioas);
    if (ioas == nullptr) continue;
    AddressSpace space = context.SpaceOf(*ioas);
    const AddressSpace::Lock space_lock(space);
    RemoveItems(context, *access, [&](const AccessItem& item) { return !IsMapped(space, item); });
  }
}

Status DestroyAccessPages(const Caller& caller, const TestCommand& command) {
  const uint32_t slot = SlotOf(caller, command.id);
  const Context context(caller);
  MockState* const access = FindBySlot(context, slot);
  if (access == nullptr) return kNoAccess;
  const uint32_t id = command.destroy_access_pages.access_pages_id;
  if (RemoveItems(context, *access, [id](const AccessItem& item) { return item.id == id; })) {
    return {};
  }
  return Error{ENOENT, "the access has pinned nothing by that number"};
}

Status ReplaceIoas(const Caller& caller, const TestCommand& command) {
  const uint32_t slot = SlotOf(caller, command.id);
  const Context context(caller);
  MockState* const access = FindBySlot(context, slot);
  if (access == nullptr) return kNoAccess;
  return ChangeIoas(context, *access, command.access_replace_ioas.ioas_id);
}

Status AccessPages(const Caller& caller, const decode::DecodedCall& call, TestCommand command) {
  const auto& asked = command.access_pages;
  if (asked.length > kMaxLength) return Error{ENOMEM, "too many pages"};
  if ((asked.flags & ~kWrite) != 0) return kUnknownFlag;
  const uint32_t slot = SlotOf(caller, command.id);
  const Context context(caller);
  MockState* const access = FindBySlot(context, slot);
  if (access == nullptr) return kNoAccess;
  if ((access->flags & kNeedsPins) == 0) return Error{EOPNOTSUPP, "the access pins nothing"};
  const IoasState* const ioas = context.FindIoas(access->ioas);
  if (ioas == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOf(*ioas);
  const AddressSpace::Lock lock(space);
  const uint64_t last = asked.iova + (asked.length - 1);
  IOAS_RETURN_IF_ERROR(ForEachPiece(
      space, asked.iova, asked.length,
      [&](const Mapping& mapping, const ioas::IovaRange& part) -> Status {
        IOAS_RETURN_IF_ERROR(CheckPages(caller.host, mapping, part, part.last == last));
        return CheckPermission(mapping, asked.flags);
      }));
  IOAS_RETURN_IF_ERROR(CheckLeadsTo(caller, space, command));
  return AddItem(context, *access, call, command);
}

Status AccessMemory(const Caller& caller, const TestCommand& command,
                    decode::CallerMemory& memory) {
  const auto& asked = command.access_rw;
  if (asked.length > kMaxLength) return Error{ENOMEM, "too many bytes"};
  if ((asked.flags & ~(kWrite | kSlowPath)) != 0) return kUnknownFlag;
  const bool write = (asked.flags & kWrite) != 0;
  const uint32_t slot = SlotOf(caller, command.id);
  const std::unique_ptr<std::byte[]> buffer(new (std::nothrow) std::byte[asked.length]);
  if (buffer == nullptr) return Error{ENOMEM, "no memory for a copy"};
  const std::span<std::byte> bytes(buffer.get(), asked.length);
  const Status read = write ? memory.Read(asked.uptr, bytes) : Status();
  {
    const Context context(caller);
    const MockState* const access = FindBySlot(context, slot);
    if (access == nullptr) return kNoAccess;
    IOAS_RETURN_IF_ERROR(read);
    const IoasState* const ioas = context.FindIoas(access->ioas);
    if (ioas == nullptr) return kNoObject;
    AddressSpace space = context.SpaceOf(*ioas);
    const AddressSpace::Lock lock(space);
    IOAS_RETURN_IF_ERROR(ForEachPiece(
        space, asked.iova, asked.length,
        [&](const Mapping& mapping, const ioas::IovaRange& part) -> Status {
          IOAS_RETURN_IF_ERROR(CheckPermission(mapping, asked.flags));
          return Copy(caller.host, mapping, part, bytes.data() + (part.first - asked.iova), write);
        }));
  }
  return write ? Status() : memory.Write(asked.uptr, bytes);
}

bool Pins(const Context& context, const MockState& access, uint32_t process,
          const ioas::MemoryRange& memory) {
  const IoasState* const ioas = context.FindIoas(access.ioas);
  if (ioas == nullptr) return false;
  AddressSpace space = context.SpaceOf(*ioas);
  const AddressSpace::Lock lock(space);
  bool pins = false;
  ioas::Arena arena = context.host().arena();
  for (ArenaRef<AccessItem> item = access.items; item; item = arena.Get(item)->next) {
    (void)ForEachPiece(space, arena.Get(item)->iova, arena.Get(item)->length,
                       [&](const Mapping& mapping, const ioas::IovaRange& part) {
                         pins = pins || (mapping.owner == process &&
                                         AddressAt(mapping, part.first) <= memory.last &&
                                         AddressAt(mapping, part.last) >= memory.first);
                         return Status();
                       });
  }
  return pins;
}

}  // namespace compat::native::testing
