// What can be mapped, and where: IOMMU_IOAS_ALLOC, IOVA_RANGES, ALLOW_IOVAS, options.
// Behaviour: drivers/iommu/iommufd/ioas.c, main.c and vfio_compat.c.
#include <linux/capability.h>

#include <algorithm>
#include <cerrno>

#include "compat/abi/iommufd.h"
#include "compat/native/calls.h"
#include "ioas/base/system_call.h"

namespace compat::native {

namespace iommufd = abi::iommufd;
using ioas::AddressSpace;
using ioas::Error;
using ioas::Status;

namespace {

constexpr Error kReservedNotZero = {EOPNOTSUPP, "a reserved field is not 0"};

bool HasResourceCapability() {
  __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
  __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
  return ioas::SystemCall(SYS_capget, &header, data) == 0 &&
         (data[0].effective & 1u << CAP_SYS_RESOURCE) != 0;
}

// A list of ranges in the arena that grows as the caller's is read.
class RangeList {
 public:
  explicit RangeList(ioas::Arena arena) : arena_(arena) {}
  ~RangeList() { arena_.Delete(block_, capacity_); }
  RangeList(const RangeList&) = delete;
  RangeList& operator=(const RangeList&) = delete;

  Status Add(const ioas::IovaRange& range) {
    if (count_ == capacity_) IOAS_RETURN_IF_ERROR(Move(std::max(2 * capacity_, 16u)));
    ranges()[count_++] = range;
    return {};
  }
  // Sorts, and returns whether no two have an address in common.
  bool Sort() {
    ioas::IovaRange* const all = ranges();
    std::sort(all, all + count_,
              [](const auto& one, const auto& other) { return one.first < other.first; });
    return std::adjacent_find(all, all + count_, [](const auto& one, const auto& next) {
             return one.last >= next.first;
           }) == all + count_;
  }
  // Makes one of those that touch, and takes as much memory as they need. ENOMEM.
  Status Merge() {
    uint32_t kept = 0;
    for (uint32_t i = 1; i < count_; ++i) {
      ioas::IovaRange& before = ranges()[kept];
      if (before.last + 1 == ranges()[i].first) {
        before.last = ranges()[i].last;
      } else {
        ranges()[++kept] = ranges()[i];
      }
    }
    count_ = std::min(count_, kept + 1);
    return Move(count_);
  }
  uint32_t count() const { return count_; }
  ioas::ArenaRef<ioas::IovaRange> block() const { return block_; }
  void GiveUp() { block_ = {}; }

 private:
  ioas::IovaRange* ranges() { return arena_.Get(block_); }
  Status Move(uint32_t capacity) {
    ioas::ArenaRef<ioas::IovaRange> moved;
    if (capacity != 0) {
      const auto memory = arena_.New<ioas::IovaRange>(capacity);
      if (!memory.ok()) return memory.error();
      moved = *memory;
      std::copy_n(ranges(), count_, arena_.Get(moved));
    }
    arena_.Delete(block_, capacity_);
    block_ = moved;
    capacity_ = capacity;
    return {};
  }

  ioas::Arena arena_;
  ioas::ArenaRef<ioas::IovaRange> block_;
  uint32_t count_ = 0;
  uint32_t capacity_ = 0;
};

// Reads the caller's list. The first wrong range, or byte that is not there, ends it.
Status ReadRanges(const decode::DecodedCall& call, uint64_t address, uint32_t count,
                  RangeList& list) {
  constexpr Error kWrong = {EINVAL, "a range is empty, of one byte, or meets another one"};
  Status status;
  for (uint32_t i = 0; i < count && status.ok(); ++i) {
    const auto range = decode::Read<iommufd::IovaRange>(
        *call.memory, address + uint64_t{i} * sizeof(iommufd::IovaRange));
    if (!range.ok()) {
      status = range.error();
    } else if (range->start >= range->last) {
      status = kWrong;
    } else {
      status = list.Add({range->start, range->last});
    }
  }
  if (!list.Sort()) return kWrong;
  return status;
}

Status RlimitMode(Context& context, iommufd::Option& option) {
  if (option.object_id != 0) return Error{EOPNOTSUPP, "the option is no object's"};
  ContextState& state = context.state();
  if (option.op == iommufd::kOptionOpGet) {
    option.val64 = state.accounts_by_process;
    return {};
  }
  if (option.op != iommufd::kOptionOpSet) return Error{EOPNOTSUPP, "an unknown operation"};
  if (!HasResourceCapability()) return Error{EPERM, "the caller has no CAP_SYS_RESOURCE"};
  if (!context.objects().empty()) return Error{EBUSY, "the context has objects already"};
  if (option.val64 > 1) return Error{EINVAL, "the mode is 0 or 1"};
  state.accounts_by_process = static_cast<uint32_t>(option.val64);
  return {};
}

Status HugePages(Context& context, iommufd::Option& option) {
  const IoasState* const ioas = context.FindIoas(option.object_id);
  if (ioas == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOf(*ioas);
  const AddressSpace::Lock lock(space);
  if (option.op == iommufd::kOptionOpGet) {
    option.val64 = space.state().small_pages_only == 0 ? 1 : 0;
    return {};
  }
  if (option.op != iommufd::kOptionOpSet) return Error{EOPNOTSUPP, "an unknown operation"};
  if (option.val64 > 1) return Error{EINVAL, "the option is 0 or 1"};
  return space.SetSmallPagesOnly(option.val64 == 0);
}

}  // namespace

Status Destroy(const Caller& caller, const decode::DecodedCall& call) {
  const auto command = call.CopyIn<iommufd::Destroy>();
  return command.ok() ? Context(caller).Destroy(command->id) : command.error();
}

Status IoasAlloc(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::IoasAlloc>();
  if (!command.ok()) return command.error();
  if (command->flags != 0) return Error{EOPNOTSUPP, "the call has no flags"};
  Context context(caller);
  const ioas::Result<uint32_t> id = context.NewIoas();
  if (!id.ok()) return id.error();
  command->out_ioas_id = *id;
  const Status responded = Respond(call, *command);
  if (!responded.ok()) (void)context.Destroy(*id);
  return responded;
}

Status IoasIovaRanges(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::IoasIovaRanges>();
  if (!command.ok()) return command.error();
  if (command->reserved != 0) return kReservedNotZero;
  Context context(caller);
  const IoasState* const ioas = context.FindIoas(command->ioas_id);
  if (ioas == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOf(*ioas);
  const AddressSpace::Lock lock(space);
  const uint32_t room = command->num_iovas;
  command->num_iovas = space.state().unreserved_count;
  command->out_iova_alignment = space.page_size();
  for (uint32_t i = 0; i < std::min(room, command->num_iovas); ++i) {
    const ioas::IovaRange& usable = space.state().unreserved[i];
    IOAS_RETURN_IF_ERROR(decode::Write(*call.memory,
                                       command->allowed_iovas + i * sizeof(iommufd::IovaRange),
                                       iommufd::IovaRange{usable.first, usable.last}));
  }
  IOAS_RETURN_IF_ERROR(Respond(call, *command));
  if (command->num_iovas > room) return Error{EMSGSIZE, "there are more ranges"};
  return {};
}

Status IoasAllowIovas(const Caller& caller, const decode::DecodedCall& call) {
  const auto command = call.CopyIn<iommufd::IoasAllowIovas>();
  if (!command.ok()) return command.error();
  if (command->reserved != 0) return kReservedNotZero;
  if (Context(caller).FindIoas(command->ioas_id) == nullptr) return kNoObject;
  RangeList list(caller.host.arena());
  IOAS_RETURN_IF_ERROR(ReadRanges(call, command->allowed_iovas, command->num_iovas, list));
  IOAS_RETURN_IF_ERROR(list.Merge());
  Context context(caller);
  const IoasState* const ioas = context.FindIoas(command->ioas_id);
  if (ioas == nullptr) return kNoObject;
  AddressSpace space = context.SpaceOf(*ioas);
  const AddressSpace::Lock lock(space);
  IOAS_RETURN_IF_ERROR(space.Allow(list.block(), list.count()));
  list.GiveUp();
  return {};
}

Status Option(const Caller& caller, const decode::DecodedCall& call) {
  auto option = call.CopyIn<iommufd::Option>();
  if (!option.ok()) return option.error();
  if (option->reserved != 0) return kReservedNotZero;
  Context context(caller);
  switch (option->option_id) {
    case iommufd::kOptionRlimitMode:
      IOAS_RETURN_IF_ERROR(RlimitMode(context, *option));
      break;
    case iommufd::kOptionHugePages:
      IOAS_RETURN_IF_ERROR(HugePages(context, *option));
      break;
    default:
      return Error{EOPNOTSUPP, "an unknown option"};
  }
  return decode::Write(*call.memory, call.argument + offsetof(iommufd::Option, val64),
                       option->val64);
}

// iommufd_vfio_ioas in vfio_compat.c.
Status VfioIoas(const Caller& caller, const decode::DecodedCall& call) {
  auto command = call.CopyIn<iommufd::VfioIoas>();
  if (!command.ok()) return command.error();
  if (command->reserved != 0) return kReservedNotZero;
  Context context(caller);
  uint32_t& vfio_ioas = context.state().vfio_ioas;
  switch (command->op) {
    case iommufd::kVfioIoasGet:
      if (vfio_ioas == 0) return Error{ENODEV, "legacy calls have no address space"};
      command->ioas_id = vfio_ioas;
      return Respond(call, *command);
    case iommufd::kVfioIoasSet:
      if (context.FindIoas(command->ioas_id) == nullptr) return kNoObject;
      vfio_ioas = command->ioas_id;
      return {};
    case iommufd::kVfioIoasClear:
      vfio_ioas = 0;
      return {};
    default:
      return Error{EOPNOTSUPP, "an unknown operation"};
  }
}

}  // namespace compat::native
