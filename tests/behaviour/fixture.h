// A mode with its device at work, for a behaviour's test.
#ifndef TESTS_BEHAVIOUR_FIXTURE_H_
#define TESTS_BEHAVIOUR_FIXTURE_H_

#include <gtest/gtest.h>

#include <memory>

#include "tests/behaviour/mode.h"
#include "tests/support/nvme_driver.h"
#include "tests/support/vfio_client.h"

namespace tests {

class BehaviourTest : public testing::TestWithParam<NamedMode> {
 protected:
  // Where tests map; the driver's own pages are below.
  static constexpr uint64_t kIova = 0x100000;
  // Pages of memory for tests.
  static constexpr uint64_t kPages = 16;

  void SetUp() override;

  Mode& mode() { return *mode_; }
  const Answers& answers() const { return mode_->answers(); }
  NvmeDriver& driver() { return driver_; }
  std::byte* page(uint64_t number) { return memory_.data() + number * kPage; }

  // Ends what SetUp began.
  void Close();
  // Announces the memory and maps what the driver needs: once for each address space.
  void MapDriver();
  void UnmapDriver();
  // Whether what the device writes to `iova` comes to lie at `page`, and what it reads there is
  // what lies there. Both leave something else in the page each time.
  bool DeviceWrites(uint64_t iova, std::byte* page);
  bool DeviceReads(uint64_t iova, std::byte* page);
  // Both.
  bool Reaches(uint64_t iova, std::byte* page) {
    return DeviceWrites(iova, page) && DeviceReads(iova, page);
  }
  // Puts something new on the disk. Returns where.
  uint64_t PutOnDisk();
  // Whether `page` is what was put on the disk last.
  bool IsFromDisk(const std::byte* page) const;

 private:
  // Another page each time: a transfer that does not arrive must not leave what is right.
  void FillWithNewBytes(std::byte* page);

  std::unique_ptr<Mode> mode_;
  // The driver's queues, and a page that it always reaches, behind the tests' pages.
  static constexpr uint64_t kDriverIova = 0x10000;
  static constexpr uint64_t kScratchIova = kDriverIova + NvmeDriver::kQueuePages * kPage;
  Memory memory_{(kPages + NvmeDriver::kQueuePages + 1) * kPage};
  Memory last_put_{kPage};
  NvmeDriver driver_{memory_.data() + kPages * kPage, kDriverIova};
  std::byte* scratch() { return page(kPages + NvmeDriver::kQueuePages); }
  uint32_t round_ = 0;
};

}  // namespace tests

#endif  // TESTS_BEHAVIOUR_FIXTURE_H_
