// Behaviour: drivers/iommu/iommufd/selftest.c.
#include "compat/native/mock_devices.h"

#include <algorithm>
#include <cerrno>

#include "compat/native/attachment.h"
#include "compat/native/calls.h"
#include "compat/native/testing/test_command.h"

namespace compat::native::testing {
namespace {

using ioas::AddressSpace;
using ioas::ArenaRef;
using ioas::Error;
using ioas::Result;
using ioas::Status;

constexpr uint64_t kPage = 4096;
constexpr uint64_t kMockPage = kPage / 2;
constexpr ioas::IovaRange kMockApertures[] = {{1 << 24, (uint64_t{1} << 31) - 1}};
// MOCK_FLAGS_DEVICE_NO_DIRTY, _HUGE_IOVA and, of later kernels, _PASID.
constexpr uint32_t kDeviceFlags = 7;
// One element of the kernel's batches.
constexpr uint32_t kLeastMemory = 12;

// A mock device, which is bound and attached as long as it is there.
struct MockState {
  uint32_t device_id;
};

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

void Unbind(Context& context, uint32_t id) {
  Detach(context, id);
  context.DropUser(id);
  (void)context.Destroy(id);
}

Result<uint32_t> BindMock(Context& context, uint32_t stdev) {
  const Result<uint32_t> id = context.New<DeviceObject>(ObjectKind::kDevice);
  if (!id.ok()) return id;
  context.FindDevice(*id)->device = kFirstMockDevice + stdev;
  context.AddUser(*id);
  return id;
}

MockState* FindMock(const Context& context, uint32_t id) {
  const Object* const object = context.objects().Find(id, ObjectKind::kMock);
  return object != nullptr ? context.host().arena().Get(ArenaRef<MockState>{object->unit})
                           : nullptr;
}

Status MockDomain(const Caller& caller, const decode::DecodedCall& call, TestCommand command) {
  if (command.operation == Operation::kMockDomainFlags &&
      (command.mock_domain.dev_flags & ~kDeviceFlags) != 0) {
    return Error{EINVAL, "unknown flags of a device"};
  }
  Context context(caller);
  const Result<uint32_t> stdev = context.New<MockState>(ObjectKind::kMock);
  if (!stdev.ok()) return stdev.error();
  const Result<uint32_t> device = BindMock(context, *stdev);
  Status status = device.ok() ? Status() : Status(device.error());
  if (device.ok()) FindMock(context, *stdev)->device_id = *device;
  uint32_t table = command.id;
  if (status.ok()) status = Attach(context, *device, table);
  if (status.ok()) {
    command.mock_domain.out_stdev_id = *stdev;
    command.mock_domain.out_hwpt_id = table;
    command.mock_domain.out_idev_id = *device;
    status = Respond(call, command);
  }
  if (!status.ok()) (void)context.Destroy(*stdev);
  return status;
}

Status MockDomainReplace(const Caller& caller, const decode::DecodedCall& call,
                         TestCommand command) {
  Context context(caller);
  const MockState* const mock = FindMock(context, command.id);
  if (mock == nullptr) return kNoObject;
  IOAS_RETURN_IF_ERROR(Attach(context, mock->device_id, command.mock_domain_replace.pt_id));
  return Respond(call, command);
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
    for (uint32_t id = context.objects().Next(1); id != 0; id = context.objects().Next(id + 1)) {
      const IoasState* const ioas = context.FindIoas(id);
      if (ioas == nullptr) continue;
      AddressSpace space = context.SpaceOf(*ioas);
      if (Pins(space, process, first, last)) return true;
    }
  }
  return false;
}

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

Status CarryOut(const Caller& caller, const decode::DecodedCall& call, const TestCommand& command) {
  switch (command.operation) {
    case Operation::kAddReserved:
      return AddReserved(caller, command);
    case Operation::kMockDomain:
    case Operation::kMockDomainFlags:
      return MockDomain(caller, call, command);
    case Operation::kMockDomainReplace:
      return MockDomainReplace(caller, call, command);
    case Operation::kMdCheckMap:
      return CheckMap(caller, command);
    case Operation::kMdCheckRefs:
      return CheckRefs(caller, command, *call.memory);
    case Operation::kSetTempMemoryLimit:
      // Of the kernel's batches, of which there are none here.
      if (command.memory_limit.limit < kLeastMemory) return Error{EINVAL, "too little memory"};
      return {};
  }
  return Error{EOPNOTSUPP, "an unknown operation"};
}

Status Call(const Caller& caller, const vfio::CallArguments& arguments) {
  static constexpr decode::CallRow kRow = {
      .request = kTestCommand,
      .name = "IOMMU_TEST_CMD",
      .call = decode::Call::kIommufdDestroy,  // none of its own
      .kinds = 0,
      .types = 0,
      .form = decode::ArgumentForm::kSizeStruct,
      .minimal_size = offsetof(TestCommand, last) + sizeof(uint32_t),
      .full_size = sizeof(TestCommand),
      .flags = decode::kAnyFlags,
      .documentation = ""};
  const decode::DecodedCall call = {&kRow, arguments.argument, &arguments.memory};
  const auto command = call.CopyIn<TestCommand>();
  if (!command.ok()) return command.error();
  return CarryOut(caller, call, *command);
}

void Destroy(Context& context, uint32_t unit) {
  ioas::Arena arena = context.host().arena();
  const ArenaRef<MockState> mock{unit};
  const uint32_t device = arena.Get(mock)->device_id;
  if (context.FindDevice(device) != nullptr) Unbind(context, device);
  arena.Delete(mock);
}

constexpr MockDevices kMockDevices = {
    .call = Call,
    .destroy = Destroy,
    .properties = {.page_sizes = kMockPage, .apertures = kMockApertures, .reserved = {}}};

[[gnu::constructor]] void Register() { mock_devices = &kMockDevices; }

}  // namespace
}  // namespace compat::native::testing
