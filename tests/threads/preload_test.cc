// The stress as a program under the library.
#include <gtest/gtest.h>
#include <linux/vfio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "tests/support/shimmed.h"
#include "tests/support/vfio_client.h"
#include "tests/threads/stress.h"

namespace {

class PreloadedContainer : public tests::StressedContainer {
 public:
  int Map(uint64_t iova, uint64_t size) override {
    return tests::MapDma(fd(), memory_.data(), iova, size);
  }
  int64_t Unmap(uint64_t iova, uint64_t size) override { return tests::UnmapDma(fd(), iova, size); }
  int64_t Available() override { return tests::MappingsAvailable(fd()); }

 private:
  int fd() const { return client_.container.get(); }

  tests::Client client_ = tests::MakeClient(tests::kGroup, VFIO_TYPE1v2_IOMMU);
  tests::Memory memory_{tests::kStressMemory};
};

TEST(ThreadsTest, EightThreadsEndWithTheReferenceModel) {
  PreloadedContainer container;
  ASSERT_EQ(container.Available(), 65535);
  tests::Stress(container, 1 << 20, tests::StressSeconds());
}

TEST(ThreadsTest, AChildsCallsAreMadeAmongItsParents) {
  PreloadedContainer container;
  const pid_t child = fork();
  if (child == 0) {
    // A child makes calls and no threads: the parent's threads are not there.
    int failures = 0;
    for (int i = 0; i < 20000; ++i) {
      const uint64_t iova = (uint64_t{1} << 34) + static_cast<uint64_t>(i % 128) * 4096;
      failures += container.Map(iova, 4096) != 0 ? 1 : 0;
      failures += container.Unmap(iova, 4096) != 4096 ? 1 : 0;
    }
    _exit(failures == 0 ? 0 : 1);
  }
  for (int i = 0; i < 20000; ++i) {
    const uint64_t iova = static_cast<uint64_t>(i % 128) * 4096;
    ASSERT_EQ(container.Map(iova, 4096), 0);
    ASSERT_EQ(container.Unmap(iova, 4096), 4096);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(container.Available(), 65535);
}

TEST(ThreadsTest, ForkingWhileThreadsCallLeavesAWorkingChild) {
  PreloadedContainer container;
  std::thread mapper([&container] {
    for (int i = 0; i < 20000; ++i) {
      container.Map(0, 4096);
      container.Unmap(0, 4096);
    }
  });
  for (int i = 0; i < 20; ++i) {
    const pid_t child = fork();
    if (child == 0) {
      alarm(20);
      const bool works =
          container.Map(1 << 30, 4096) == 0 && container.Unmap(1 << 30, 4096) == 4096;
      _exit(works ? 0 : 1);
    }
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    EXPECT_EQ(status, 0);
  }
  mapper.join();
}

}  // namespace
