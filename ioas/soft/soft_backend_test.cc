#include "ioas/soft/soft_backend.h"

#include <linux/capability.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstring>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

constexpr uint64_t kPage = 4096;
constexpr uint64_t kPages = 200;  // more than one batch of page by page populating

// Eight pages that can be written, then one that can be read only, then one that is not there, then
// the rest that can be written.
class SoftBackendTest : public testing::Test {
 protected:
  void SetUp() override {
    state_ = static_cast<ProcessTableState*>(mmap(nullptr, sizeof(ProcessTableState),
                                                  PROT_READ | PROT_WRITE,
                                                  MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    ProcessTable(state_).Initialize();
    memory_ = static_cast<char*>(
        mmap(nullptr, kPages * kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    mprotect(memory_ + 8 * kPage, kPage, PROT_READ);
    munmap(memory_ + 9 * kPage, kPage);
  }
  void TearDown() override {
    munmap(memory_, 9 * kPage);
    munmap(memory_ + 10 * kPage, (kPages - 10) * kPage);
    munmap(state_, sizeof(ProcessTableState));
  }

  uint64_t At(uint64_t page) const { return reinterpret_cast<uint64_t>(memory_) + page * kPage; }
  int Pin(uint64_t page, uint64_t pages, uint32_t access) {
    return SoftBackend(ProcessTable(state_))
        .Map({}, {.last = pages * kPage - 1, .user_address = At(page), .flags = access})
        .error()
        .code;
  }
  uint64_t locked() {
    ProcessTable table(state_);
    return table.locked_bytes(*table.Register());
  }

  ProcessTableState* state_ = nullptr;
  char* memory_ = nullptr;
};

TEST_F(SoftBackendTest, TheDefaultProfileIsARecordedMachines) {
  const IommuProperties properties = SoftBackend(ProcessTable(state_)).properties();
  EXPECT_EQ(properties.page_sizes, 0x40201000u);
  ASSERT_EQ(properties.apertures.size(), 1u);
  EXPECT_EQ(properties.apertures[0], (IovaRange{0, 0x7fffffffff}));
  ASSERT_EQ(properties.reserved.size(), 1u);
  EXPECT_EQ(properties.reserved[0], (IovaRange{0xfee00000, 0xfeefffff}));
}

TEST_F(SoftBackendTest, PinnedMemoryIsCountedUntilItIsUnpinned) {
  SoftBackend backend{ProcessTable(state_)};
  EXPECT_EQ(Pin(0, 8, kAccessRead | kAccessWrite), 0);
  EXPECT_EQ(locked(), 8 * kPage);
  ASSERT_TRUE(
      backend.Unmap({}, {.last = 8 * kPage - 1, .owner = *ProcessTable(state_).Register()}).ok());
  EXPECT_EQ(locked(), 0u);
}

TEST_F(SoftBackendTest, MemoryThatCannotBeReachedIsRefusedAndNotCounted) {
  EXPECT_EQ(Pin(8, 1, kAccessRead), 0);
  EXPECT_EQ(Pin(8, 1, kAccessWrite), EFAULT);
  EXPECT_EQ(Pin(9, 1, kAccessRead), EFAULT);
  EXPECT_EQ(Pin(0, 12, kAccessRead), EFAULT);
  EXPECT_EQ(locked(), kPage);
}

TEST_F(SoftBackendTest, HugeSizesAreRefused) {
  EXPECT_EQ(Pin(0, ~uint64_t{0} / kPage, kAccessRead), EFAULT);
  EXPECT_EQ(Pin(0, uint64_t{1} << 51, kAccessRead), EFAULT);
  EXPECT_EQ(locked(), 0u);
}

TEST_F(SoftBackendTest, PageByPageAgreesWithTheKernelsCall) {
  for (const bool writable : {false, true}) {
    for (const uint64_t page : {0, 7, 8, 9, 10}) {
      for (const uint64_t pages : {1, 2, 9, 150}) {
        EXPECT_EQ(Populate(At(page), pages * kPage, writable).ok(),
                  PopulatePageByPage(At(page), pages * kPage, writable).ok())
            << page << ' ' << pages << ' ' << writable;
      }
    }
  }
}

TEST_F(SoftBackendTest, PopulatingChangesNothing) {
  std::memset(memory_, 0xa5, 8 * kPage);
  ASSERT_TRUE(PopulatePageByPage(At(0), 8 * kPage, true).ok());
  ASSERT_TRUE(Populate(At(0), 8 * kPage, true).ok());
  for (uint64_t i = 0; i < 8 * kPage; ++i) ASSERT_EQ(memory_[i], static_cast<char>(0xa5));
}

TEST_F(SoftBackendTest, PinnedMemoryHasToBeWritable) {
  SoftBackend backend{ProcessTable(state_)};
  EXPECT_TRUE(backend.Pin({}, {At(0), At(8) - 1}).ok());
  EXPECT_EQ(backend.Pin({}, {At(0), At(9) - 1}).error().code, EFAULT);
}

TEST_F(SoftBackendTest, RunOfMemoryThatIsNotPinnedHasToBeWritable) {
  SoftBackend backend{ProcessTable(state_)};
  const IovaRange iovas = {0, kPage - 1};
  EXPECT_TRUE(backend.MapRun({}, {iovas, At(7), kAccessRead, {}}).ok());
  EXPECT_EQ(backend.MapRun({}, {iovas, At(8), kAccessRead, {}}).error().code, EFAULT);
  EXPECT_EQ(backend.MapRun({}, {iovas, At(9), kAccessRead, {}}).error().code, EFAULT);
  EXPECT_TRUE(backend.UnmapRange({}, iovas).ok());
  EXPECT_EQ(locked(), 0u);
}

// The order in which the kernel finds errors: page by page, memory first.
TEST_F(SoftBackendTest, MissingMemoryCountsBeforeTheLimitWhereItComesFirst) {
  const pid_t child = fork();
  if (child == 0) {
    ProcessTable::OnFork();
    __user_cap_header_struct header = {_LINUX_CAPABILITY_VERSION_3, 0};
    __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3] = {};
    syscall(SYS_capget, &header, data);
    data[0].effective &= ~(1u << CAP_IPC_LOCK);
    syscall(SYS_capset, &header, data);
    const rlimit limit = {4 * kPage, 4 * kPage};
    setrlimit(RLIMIT_MEMLOCK, &limit);
    if (Pin(0, 5, kAccessRead) != ENOMEM) _exit(1);
    if (Pin(0, 12, kAccessRead) != ENOMEM) _exit(2);
    if (Pin(5, 6, kAccessRead) != EFAULT) _exit(3);
    if (Pin(0, 4, kAccessRead) != 0) _exit(4);
    if (Pin(0, 1, kAccessRead) != ENOMEM) _exit(5);
    if (Pin(9, 1, kAccessRead) != EFAULT) _exit(6);
    _exit(0);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

}  // namespace
}  // namespace ioas::soft
