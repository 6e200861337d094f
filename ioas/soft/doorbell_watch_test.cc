#include "ioas/soft/doorbell_watch.h"

#include <poll.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

constexpr size_t kPage = 4096;

class DoorbellWatchTest : public testing::Test {
 protected:
  void SetUp() override {
    fd_ = memfd_create("registers", MFD_CLOEXEC);
    ASSERT_EQ(ftruncate(fd_, 4 * kPage), 0);
    memory_ = Map();
    alias_ = Map();
    if (!watch_.Start()) GTEST_SKIP() << "this kernel has no userfaultfd for this process";
  }
  void TearDown() override {
    watch_.Stop();
    munmap(memory_, 4 * kPage);
    munmap(alias_, 4 * kPage);
    close(fd_);
  }

  char* Map() const {
    return static_cast<char*>(mmap(nullptr, 4 * kPage, PROT_READ | PROT_WRITE, MAP_SHARED, fd_, 0));
  }
  uintptr_t At(size_t page) const { return reinterpret_cast<uintptr_t>(memory_) + page * kPage; }
  // Whether a write waits within `milliseconds`.
  bool WriteWaits(int milliseconds) const {
    pollfd wait = {watch_.descriptor(), POLLIN, 0};
    return poll(&wait, 1, milliseconds) == 1;
  }
  // Writes to `page` in another thread; returns whether the watch saw it.
  bool SeesWriteTo(size_t page) {
    if (!watch_.Arm()) return false;
    std::thread writer([&] { static_cast<volatile char*>(memory_)[page * kPage] = 1; });
    const bool seen = WriteWaits(200);
    watch_.Disarm();
    watch_.Drain();
    writer.join();
    return seen;
  }

  DoorbellWatch watch_;
  int fd_ = -1;
  char* memory_ = nullptr;
  char* alias_ = nullptr;
};

TEST_F(DoorbellWatchTest, AnArmedMappingShowsWrites) {
  EXPECT_TRUE(watch_.empty());
  watch_.Add(At(0), 4 * kPage);
  EXPECT_FALSE(watch_.empty());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(SeesWriteTo(static_cast<size_t>(i)));
}

TEST_F(DoorbellWatchTest, WritesPassWhileItIsNotArmed) {
  watch_.Add(At(0), 4 * kPage);
  memory_[0] = 1;
  ASSERT_TRUE(watch_.Arm());
  watch_.Disarm();
  memory_[0] = 2;
  EXPECT_FALSE(WriteWaits(0));
  EXPECT_EQ(alias_[0], 2);
}

TEST_F(DoorbellWatchTest, ReadsAndOtherMappingsOfTheMemoryPass) {
  watch_.Add(At(0), 4 * kPage);
  ASSERT_TRUE(watch_.Arm());
  alias_[5] = 3;
  EXPECT_EQ(static_cast<volatile char*>(memory_)[5], 3);
  EXPECT_FALSE(WriteWaits(0));
}

TEST_F(DoorbellWatchTest, APartThatIsRemovedIsNotWatchedAndTheRestIs) {
  watch_.Add(At(0), 4 * kPage);
  watch_.Remove(At(1), kPage);
  EXPECT_TRUE(SeesWriteTo(0));
  EXPECT_FALSE(SeesWriteTo(1));
  EXPECT_TRUE(SeesWriteTo(2));
  EXPECT_TRUE(SeesWriteTo(3));
  watch_.Remove(At(0), 4 * kPage);
  EXPECT_TRUE(watch_.empty());
  EXPECT_FALSE(SeesWriteTo(0));
}

TEST_F(DoorbellWatchTest, AWriterThatWaitsGoesOnWhenTheMappingIsRemoved) {
  watch_.Add(At(0), kPage);
  ASSERT_TRUE(watch_.Arm());
  std::thread writer([&] { static_cast<volatile char*>(memory_)[0] = 1; });
  EXPECT_TRUE(WriteWaits(5000));
  watch_.Remove(At(0), kPage);
  writer.join();
}

TEST_F(DoorbellWatchTest, AWriterThatWaitsGoesOnWhenTheWatchEnds) {
  watch_.Add(At(0), kPage);
  ASSERT_TRUE(watch_.Arm());
  std::thread writer([&] { static_cast<volatile char*>(memory_)[0] = 1; });
  EXPECT_TRUE(WriteWaits(5000));
  watch_.Stop();
  writer.join();
  ASSERT_TRUE(watch_.Start());
  EXPECT_TRUE(SeesWriteTo(0));
}

TEST_F(DoorbellWatchTest, MemoryThatWasReplacedUnseenIsLeftAlone) {
  watch_.Add(At(0), kPage);
  watch_.Add(At(2), kPage);
  ASSERT_NE(
      mmap(memory_, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
      MAP_FAILED);
  EXPECT_FALSE(watch_.Arm());
  memory_[0] = 1;
  EXPECT_FALSE(WriteWaits(0));
}

TEST_F(DoorbellWatchTest, MoreMappingsThanItHoldsMakeItSayThatItSeesNotAll) {
  for (uint32_t i = 0; i < kMaxWatchedMappings; ++i) watch_.Add(At(i % 4), kPage);
  EXPECT_TRUE(watch_.Arm());
  watch_.Disarm();
  watch_.Add(At(0), kPage);
  EXPECT_FALSE(watch_.Arm());
}

TEST_F(DoorbellWatchTest, AForkedChildWritesFreelyAndMayWatchForItself) {
  watch_.Add(At(0), 4 * kPage);
  ASSERT_TRUE(watch_.Arm());
  const pid_t child = fork();
  if (child == 0) {
    watch_.AfterForkInChild();
    memory_[0] = 4;
    if (watch_.Arm()) _exit(1);
    watch_.Disarm();
    if (!watch_.Start()) _exit(2);
    _exit(SeesWriteTo(1) ? 0 : 3);
  }
  int status = 0;
  waitpid(child, &status, 0);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(alias_[0], 4);
  EXPECT_FALSE(WriteWaits(0));
}

}  // namespace
}  // namespace ioas::soft
