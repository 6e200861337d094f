#include "ioas/soft/page_requests.h"

#include <poll.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

class PageRequestsTest : public testing::Test {
 protected:
  PageRequestsTest() {
    const EventFileName file = NewEventFileName(1);
    fd_ = *OpenEventFile(file, true);
    requests_.Initialize(file);
  }
  ~PageRequestsTest() override { close(fd_); }

  static PageRequest At(uint64_t address, uint32_t device = 1) {
    return {device, 0, 0, 0, 1, address};
  }
  bool IsReadable() const {
    pollfd wait = {fd_, POLLIN, 0};
    return poll(&wait, 1, 0) == 1;
  }
  // Reads one. Returns its cookie; 0: there is none.
  uint32_t Take(uint64_t& address) {
    const auto waiting = requests_.Oldest();
    if (!waiting) return 0;
    requests_.OnDelivered(*waiting, fd_);
    address = waiting->request.address;
    return waiting->cookie;
  }

  std::unique_ptr<PageRequestsState> state_ = std::make_unique<PageRequestsState>();
  PageRequests requests_{state_.get()};
  int fd_ = -1;
};

TEST_F(PageRequestsTest, TheyAreReadInOrderAndAnsweredByCookie) {
  uint64_t address = 0;
  requests_.Raise(At(0x1000));
  requests_.Raise(At(0x2000));
  EXPECT_TRUE(IsReadable());
  EXPECT_EQ(Take(address), 1u);
  EXPECT_EQ(address, 0x1000u);
  EXPECT_TRUE(IsReadable());
  EXPECT_EQ(Take(address), 2u);
  EXPECT_FALSE(IsReadable());
  EXPECT_EQ(Take(address), 0u);
  EXPECT_TRUE(requests_.Answer(1, true));
  EXPECT_FALSE(requests_.Answer(1, true));
  EXPECT_FALSE(requests_.Answer(3, true));
  requests_.Raise(At(0x3000));
  EXPECT_EQ(Take(address), 1u);
}

TEST_F(PageRequestsTest, TheDeviceHearsTheAnswer) {
  for (const bool grant : {true, false}) {
    std::thread program([&] {
      pollfd wait = {fd_, POLLIN, 0};
      poll(&wait, 1, 10000);
      uint64_t address = 0;
      requests_.Answer(Take(address), grant);
    });
    EXPECT_EQ(requests_.Ask(At(0x1000), 10000), grant);
    program.join();
  }
}

TEST_F(PageRequestsTest, AProgramThatDoesNotAnswerDelaysOnce) {
  uint64_t address = 0;
  EXPECT_FALSE(requests_.Ask(At(0x1000), 1));
  // It would take for ever.
  EXPECT_FALSE(requests_.Ask(At(0x2000), UINT32_MAX));
  EXPECT_TRUE(requests_.Answer(Take(address), true));
  EXPECT_TRUE(requests_.Answer(Take(address), true));
  EXPECT_EQ(address, 0x2000u);
}

TEST_F(PageRequestsTest, DetachingDeniesWhatTheDeviceAsked) {
  uint64_t address = 0;
  requests_.Raise(At(0x1000, 1));
  requests_.Raise(At(0x2000, 2));
  requests_.Raise(At(0x3000, 1));
  const uint32_t cookie = Take(address);
  requests_.DenyAll(1, 0, fd_);
  EXPECT_FALSE(requests_.Answer(cookie, true));
  EXPECT_TRUE(IsReadable());
  EXPECT_NE(Take(address), 0u);
  EXPECT_EQ(address, 0x2000u);
  requests_.DenyAll(2, 0, fd_);
  EXPECT_FALSE(IsReadable());
  std::thread detach([&] {
    pollfd wait = {fd_, POLLIN, 0};
    poll(&wait, 1, 10000);
    requests_.DenyAll(3, 0, fd_);
  });
  EXPECT_FALSE(requests_.Ask(At(0x4000, 3), UINT32_MAX));
  detach.join();
  EXPECT_FALSE(IsReadable());
}

TEST_F(PageRequestsTest, AFullQueueDenies) {
  for (uint32_t i = 0; i < kMaxPageRequests; ++i) requests_.Raise(At(i));
  EXPECT_FALSE(requests_.Ask(At(0x1000), UINT32_MAX));
  uint64_t address = 0;
  for (uint32_t i = 0; i < kMaxPageRequests; ++i) {
    EXPECT_EQ(Take(address), i + 1);
    EXPECT_EQ(address, i);
  }
  EXPECT_EQ(Take(address), 0u);
}

}  // namespace
}  // namespace ioas::soft
