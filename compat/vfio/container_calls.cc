// Calls on a container's descriptor (drivers/vfio/container.c).
#include <bit>

#include "compat/abi/vfio_numbers.h"
#include "compat/events/events.h"
#include "compat/vfio/calls.h"
#include "compat/vfio/counted.h"
#include "compat/vfio/host.h"

namespace compat::vfio {
namespace {

using decode::ContainerType;

// Whether an operator lets the container have a type that there is.
bool IsPermitted(const ContainerState& container, uint64_t type) {
  return container.permitted_types == 0 || (container.permitted_types >> type & 1) != 0;
}

// Cuts off those of the container's groups, which were attached just now, that an operator froze.
ioas::Status FollowHolds(Host& host, const ContainerState& container) {
  for (uint32_t i = 0; i < host.state().group_count; ++i) {
    if ((container.groups >> i & 1) != 0) IOAS_RETURN_IF_ERROR(host.FollowHold(i));
  }
  return {};
}

long CheckExtension(Host& host, ContainerState& container, uint64_t extension) {
  const bool chosen = container.type != ContainerType::kNone;
  // The number of a type asks for it.
  if (!chosen && host.parts().personality->Offers(extension) &&
      !IsPermitted(container, extension)) {
    return 0;
  }
  const long answer =
      host.parts().personality->CheckExtension(extension, chosen ? &container : nullptr);
  if (extension == abi::kUpdateVaddr && answer > 0) {
    container.may_change_process.store(1, std::memory_order_relaxed);
  }
  return answer;
}

// Makes the container one of `type`, with an empty address space.
ioas::Status OpenIommu(const ContainerContext& context, ContainerType type,
                       const ioas::IommuProperties& iommu) {
  const Personality& personality = *context.host->parts().personality;
  ContainerState& container = *context.container;
  ioas::AddressSpace space = context.space();
  ioas::AddressSpace::Lock lock(space);
  space.Configure(iommu, personality.MappingLimit(type));
  container.enforces_cache_coherency = iommu.enforces_cache_coherency ? 1 : 0;
  IOAS_RETURN_IF_ERROR(personality.Open(context, type));
  container.type = type;
  events::Emit(session::EventKind::kTypeSet, container.number,
               {.value = static_cast<uint64_t>(type)});
  return {};
}

ioas::Result<long> SetIommu(Host& host, const ContainerFile& open, uint32_t slot, uint64_t type) {
  Host::Lock lock(host);
  ContainerState& container = open.state;
  if (container.slot != slot) return kIsClosed;
  if (container.groups == 0 || container.type != ContainerType::kNone) {
    return ioas::Error{EINVAL, "the container has no group, or an IOMMU already"};
  }
  const Personality& personality = *host.parts().personality;
  // The same number names an IOMMU and asks for it as an extension: a driver that has an extension
  // which is no IOMMU is asked for one, and refuses.
  if (!personality.Offers(type) && personality.CheckExtension(type, nullptr) > 0) {
    return ioas::Error{EINVAL, "the number is an extension's, and no IOMMU type's"};
  }
  if (!personality.Offers(type) || !IsPermitted(container, type)) {
    return ioas::Error{ENODEV, "no such IOMMU type is on offer"};
  }
  ioas::Result<ContainerContext> context = host.ContextFor(open);
  if (!context.ok()) return context.error();
  const auto chosen = static_cast<ContainerType>(type);
  IOAS_RETURN_IF_ERROR(
      personality.Admit(*context, chosen, static_cast<uint32_t>(std::popcount(container.groups))));
  IOAS_RETURN_IF_ERROR(host.platform().Attach(container.groups, open));
  const ioas::Result<ioas::IommuProperties> iommu =
      host.platform().Properties(open, container.groups);
  if (!iommu.ok()) {
    host.platform().Detach(container.groups, open);
    return iommu.error();
  }
  if (const ioas::Status made = OpenIommu(*context, chosen, *iommu); !made.ok()) {
    host.platform().Detach(container.groups, open);
    return made.error();
  }
  // A device's lock comes before an address space's.
  if (const ioas::Status held = FollowHolds(host, container); !held.ok()) {
    host.CloseIommu(open);
    host.platform().Detach(container.groups, open);
    return held.error();
  }
  return 0L;
}

// What comes before the refusal of a call that the container does not have.
ioas::Status CheckCaller(Host& host, const ContainerFile& open) {
  if (open.state.type == ContainerType::kNone) return {};
  const ioas::Result<ContainerContext> context = host.ContextFor(open);
  if (!context.ok()) return context.error();
  return host.parts().personality->CheckCaller(*context);
}

// Whether the call is the same for all containers: the personality has all others.
bool IsForAll(const decode::CallRow& row) { return row.call <= decode::Call::kSetIommu; }

// A call that the personality does not have.
ioas::Result<long> CarryOutForAll(Host& host, const ContainerFile& open, uint32_t slot,
                                  const decode::CallRow* row, const CallArguments& arguments) {
  ContainerState& container = open.state;
  if (row == nullptr) {
    CountUnknown(host, container, arguments.request);
    IOAS_RETURN_IF_ERROR(CheckCaller(host, open));
    return decode::MissingCall(decode::DescriptorKind::kContainer, container.type);
  }
  switch (row->call) {
    case decode::Call::kGetApiVersion:
      return long{abi::kApiVersion};
    case decode::Call::kCheckExtension:
      return CheckExtension(host, container, arguments.argument);
    default:
      return SetIommu(host, open, slot, arguments.argument);
  }
}

// Any call.
ioas::Result<long> CarryOut(Host& host, const ContainerFile& open, uint32_t slot,
                            const decode::CallRow* row, const CallArguments& arguments) {
  const ContainerState& container = open.state;
  if (container.is_revoked.load(std::memory_order_relaxed) != 0) return kIsRevoked;
  if (row == nullptr || IsForAll(*row)) return CarryOutForAll(host, open, slot, row, arguments);
  const ioas::Result<uint32_t> process = host.OwnProcess();
  if (!process.ok()) return process.error();
  if (container.slot != slot) return kIsClosed;
  return host.parts().personality->Call(host.ContextFor(open, *process),
                                        {row, arguments.argument, &arguments.memory});
}

[[gnu::noinline]] ioas::Result<long> CarryOutCounted(Host& host, ContainerFile open, uint32_t slot,
                                                     const decode::CallRow* row,
                                                     const CallArguments& arguments) {
  return Counted([row] { return row; }, [&] { return CarryOut(host, open, slot, row, arguments); });
}

}  // namespace

void CountUnknown(const Host& host, ContainerState& container, uint64_t request) {
  const auto number = static_cast<uint32_t>(request);
  container.unknown_calls.fetch_add(1, std::memory_order_relaxed);
  container.last_unknown_request.store(number, std::memory_order_relaxed);
  host.Tell(session::EventKind::kUnknownCall, container, number);
}

[[gnu::hot]] ioas::Result<long> ContainerIoctl(Host& host, ContainerState& container, int fd,
                                               uint32_t slot, const CallArguments& arguments) {
  const decode::CallRow* const row = decode::Lookup(
      decode::DescriptorKind::kContainer, container.type, static_cast<uint32_t>(arguments.request));
  // Most of what programs do is the personality's, with nothing out of the ordinary about it.
  const uint32_t process = host.KnownProcess();
  const bool is_ordinary = row != nullptr && !IsForAll(*row) && process != Host::kUnknownProcess &&
                           container.slot.load(std::memory_order_relaxed) == slot &&
                           container.is_revoked.load(std::memory_order_relaxed) == 0 &&
                           !events::IsCounting();
  if (!is_ordinary) [[unlikely]]
    return CarryOutCounted(host, {container, fd}, slot, row, arguments);
  return host.parts().personality->Call(host.ContextFor({container, fd}, process),
                                        {row, arguments.argument, &arguments.memory});
}

}  // namespace compat::vfio
