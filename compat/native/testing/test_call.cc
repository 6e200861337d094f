// IOMMU_TEST_CMD.
#include <cerrno>

#include "compat/native/mock_devices.h"
#include "compat/native/testing/mock_nested.h"
#include "compat/native/testing/operations.h"

namespace compat::native::testing {

using ioas::ArenaRef;
using ioas::Error;
using ioas::Result;
using ioas::Status;

namespace {

// One element of the kernel's batches.
constexpr uint32_t kLeastMemory = 12;

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
    case Operation::kCreateAccess:
      return CreateAccess(caller, call, command);
    case Operation::kDestroyAccessPages:
      return DestroyAccessPages(caller, command);
    case Operation::kAccessPages:
      return AccessPages(caller, call, command);
    case Operation::kAccessRw:
      return AccessMemory(caller, command, *call.memory);
    case Operation::kAccessReplaceIoas:
      return ReplaceIoas(caller, command);
    case Operation::kDirty:
      return MarkDirty(caller, call, command);
    case Operation::kMdCheckIotlb:
      return CheckNumber(Context(caller), command.id, command.check_iotlb.id,
                         command.check_iotlb.iotlb);
    case Operation::kTriggerIopf:
      return TriggerPageRequest(Context(caller), command);
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
  if (arena.Get(mock)->type == MockType::kDevice) {
    DestroyDevice(context, *arena.Get(mock));
  } else {
    DestroyAccess(context, *arena.Get(mock));
  }
  arena.Delete(mock);
}

constexpr MockDevices kMockDevices = {.before_call = EndAccesses,
                                      .call = Call,
                                      .destroy = Destroy,
                                      .new_nested = NewNested,
                                      .destroy_nested = DestroyNested,
                                      .invalidate = InvalidateNested,
                                      .invalidation_type = kInvalidationType,
                                      .properties_of = PropertiesOf,
                                      .pasid_bits_of = PasidBitsOf};

[[gnu::constructor]] void Register() { mock_devices = &kMockDevices; }

}  // namespace

Result<uint32_t> NewMock(Context& context, MockType type) {
  const Result<uint32_t> id = context.New<MockState>(ObjectKind::kMock);
  if (id.ok()) {
    context.host()
        .arena()
        .Get(MockRef{context.objects().Find(*id, ObjectKind::kMock)->unit})
        ->type = type;
  }
  return id;
}

MockState* FindMock(const Context& context, MockType type, uint32_t id) {
  const Object* const object = context.objects().Find(id, ObjectKind::kMock);
  if (object == nullptr) return nullptr;
  MockState* const mock = context.host().arena().Get(MockRef{object->unit});
  return mock->type == type ? mock : nullptr;
}

}  // namespace compat::native::testing
