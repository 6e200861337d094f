// Operations of IOMMU_TEST_CMD, and the objects that they make. Behaviour, order of errors
// included: the functions of drivers/iommu/iommufd/selftest.c.
#ifndef COMPAT_NATIVE_TESTING_OPERATIONS_H_
#define COMPAT_NATIVE_TESTING_OPERATIONS_H_

#include <cstdint>

#include "compat/decode/decode.h"
#include "compat/native/context.h"
#include "compat/native/testing/test_command.h"
#include "ioas/backend.h"
#include "ioas/base/result.h"

namespace compat::native::testing {

inline constexpr uint64_t kPage = 4096;
// What the mock devices' IOMMU maps, some of them with large pages beside.
inline constexpr uint64_t kMockPage = kPage / 2;
inline constexpr uint64_t kMockHugePage = kMockPage * 512;

enum class MockType : uint32_t { kDevice = 0, kAccess = 1 };

// A range that an access has pinned.
struct AccessItem {
  ioas::ArenaRef<AccessItem> next;
  uint32_t id;
  uint64_t iova;
  uint64_t length;
};

// An object of kind kMock, as it lies in the arena.
struct MockState {
  MockType type;
  uint32_t flags;
  // Of a device, which is bound and attached as long as it is there.
  uint32_t device_id;
  // Of an access.
  uint32_t slot;  // its file's
  uint32_t ioas;  // an address space's number
  uint32_t next_item_id;
  ioas::ArenaRef<AccessItem> items;
};
using MockRef = ioas::ArenaRef<MockState>;

// Makes an object that is all zero but for its type. Returns its number. ENOMEM.
ioas::Result<uint32_t> NewMock(Context& context, MockType type);
// Null if there is none of that number and type.
MockState* FindMock(const Context& context, MockType type, uint32_t id);

// --- Devices (mock_devices.cc) ---

ioas::Status MockDomain(const Caller& caller, const decode::DecodedCall& call, TestCommand command);
ioas::Status MockDomainReplace(const Caller& caller, const decode::DecodedCall& call,
                               TestCommand command);
void DestroyDevice(Context& context, const MockState& mock);
// As in MockDevices.
ioas::IommuProperties PropertiesOf(const Context& context, uint32_t id);
uint8_t PasidBitsOf(const Context& context, uint32_t id);

// --- Accesses: a driver of the kernel's that reads and writes memory by itself (access.cc) ---

ioas::Status CreateAccess(const Caller& caller, const decode::DecodedCall& call,
                          TestCommand command);
ioas::Status DestroyAccessPages(const Caller& caller, const TestCommand& command);
ioas::Status AccessPages(const Caller& caller, const decode::DecodedCall& call,
                         TestCommand command);
ioas::Status AccessMemory(const Caller& caller, const TestCommand& command,
                          decode::CallerMemory& memory);
ioas::Status ReplaceIoas(const Caller& caller, const TestCommand& command);
// Ends the context's accesses whose files have ended, and gives up what others have pinned of
// ranges that were unmapped.
void EndAccesses(const Caller& caller);
void DestroyAccess(Context& context, MockState& mock);
// Whether `access` has pinned a part of [memory.first, memory.last] of the process.
bool Pins(const Context& context, const MockState& access, uint32_t process,
          const ioas::MemoryRange& memory);

// --- What the tests look at (mock_checks.cc), and have devices do (mock_dirty.cc) ---

ioas::Status AddReserved(const Caller& caller, const TestCommand& command);
// Whether the page table leads where the caller's own memory is.
ioas::Status CheckMap(const Caller& caller, const TestCommand& command);
ioas::Status CheckRefs(const Caller& caller, const TestCommand& command,
                       decode::CallerMemory& memory);
// IOMMU_TEST_OP_DIRTY: has devices write to the pages that the caller's bitmap names, as far as the
// page table has them, and writes how many there were.
ioas::Status MarkDirty(const Caller& caller, const decode::DecodedCall& call, TestCommand command);

}  // namespace compat::native::testing

#endif  // COMPAT_NATIVE_TESTING_OPERATIONS_H_
