#include "ioas/soft/event_file.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include "gtest/gtest.h"

namespace ioas::soft {
namespace {

bool IsReadable(int fd) {
  pollfd wait = {fd, POLLIN, 0};
  return poll(&wait, 1, 0) == 1 && (wait.revents & POLLIN) != 0;
}

TEST(EventFileTest, ADescriptorIsReadableAsLongAsItWasMadeSo) {
  const EventFileName name = NewEventFileName(5);
  const Result<int> fd = OpenEventFile(name, true);
  ASSERT_TRUE(fd.ok()) << fd.error().reason;
  EXPECT_FALSE(IsReadable(*fd));
  pollfd wait = {*fd, POLLOUT, 0};
  EXPECT_EQ(poll(&wait, 1, 0), 1);
  const int epoll = epoll_create1(0);
  epoll_event event = {.events = EPOLLIN | EPOLLET, .data = {}};
  ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, *fd, &event), 0);
  EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 0);
  MakeReadable(name);
  MakeReadable(name);
  EXPECT_EQ(epoll_wait(epoll, &event, 1, 0), 1);
  EXPECT_TRUE(IsReadable(*fd));
  MakeUnreadable(*fd);
  EXPECT_FALSE(IsReadable(*fd));
  close(epoll);
  close(*fd);
}

TEST(EventFileTest, ItIsOpenUntilItsLastDescriptorIsClosed) {
  const EventFileName name = NewEventFileName(5);
  EXPECT_FALSE(IsEventFileOpen(name));
  MakeReadable(name);
  const Result<int> fd = OpenEventFile(name, true);
  ASSERT_TRUE(fd.ok());
  EXPECT_TRUE(IsEventFileOpen(name));
  EXPECT_EQ(OpenEventFile(name, true).error().code, EADDRINUSE);
  const int copy = dup(*fd);
  close(*fd);
  EXPECT_TRUE(IsEventFileOpen(name));
  close(copy);
  EXPECT_FALSE(IsEventFileOpen(name));
}

TEST(EventFileTest, ADescriptorTellsItsName) {
  const EventFileName name = NewEventFileName(77);
  const Result<int> fd = OpenEventFile(name, true);
  ASSERT_TRUE(fd.ok());
  const auto found = NameOfEventFile(*fd);
  ASSERT_TRUE(found);
  EXPECT_EQ(found->key, name.key);
  EXPECT_EQ(found->number, 77u);
  EXPECT_FALSE(NameOfEventFile(0));
  EXPECT_FALSE(NameOfEventFile(-1));
  close(*fd);
}

TEST(EventFileTest, AnotherProcessMakesItReadableAndOpensNothing) {
  const EventFileName name = NewEventFileName(1);
  const Result<int> fd = OpenEventFile(name, true);
  ASSERT_TRUE(fd.ok());
  const pid_t child = fork();
  if (child == 0) {
    close(*fd);
    MakeReadable(name);
    _exit(0);
  }
  waitpid(child, nullptr, 0);
  EXPECT_TRUE(IsReadable(*fd));
  close(*fd);
}

// It could not be found from there.
TEST(EventFileTest, AFileOfAnotherNetworkNamespaceCountsAsOpen) {
  EventFileName name = NewEventFileName(1);
  EXPECT_FALSE(IsEventFileOpen(name));
  name.key ^= uint64_t{1} << 32;
  EXPECT_TRUE(IsEventFileOpen(name));
}

}  // namespace
}  // namespace ioas::soft
