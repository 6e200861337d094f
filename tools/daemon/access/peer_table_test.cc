#include "tools/daemon/access/peer_table.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>

namespace tools::daemon {
namespace {

std::string Name(int fd) { return "fd:" + std::to_string(fd); }

// Both ends of a connection.
std::array<int, 2> Connection() {
  std::array<int, 2> sockets{};
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets.data()), 0);
  return sockets;
}

// A connection that the table admits. The other end is closed.
int Admit(PeerTable& table, uid_t uid) {
  const auto [socket, other] = Connection();
  close(other);
  const absl::StatusOr<int> fd = table.Admit(socket, {uid, uid, {}});
  return fd.ok() ? *fd : -1;
}

TEST(PeerOfTest, IsWhatTheKernelSays) {
  const auto [socket, other] = Connection();
  const absl::StatusOr<Peer> peer = PeerOf(socket);
  ASSERT_TRUE(peer.ok()) << peer.status();
  EXPECT_EQ(peer->uid, geteuid());
  EXPECT_EQ(peer->gid, getegid());
  std::vector<gid_t> groups(getgroups(0, nullptr));
  ASSERT_EQ(getgroups(static_cast<int>(groups.size()), groups.data()), groups.size());
  EXPECT_EQ(peer->groups, groups);
  close(socket);
  close(other);
  EXPECT_FALSE(PeerOf(socket).ok());
}

TEST(PeerTableTest, FindsPeersByTheNamesOfConnections) {
  PeerTable table({});
  const int one = Admit(table, 1000);
  const int two = Admit(table, 1001);
  EXPECT_EQ(table.Find(Name(one))->uid, 1000U);
  EXPECT_EQ(table.Find(Name(two))->uid, 1001U);
  EXPECT_EQ(table.size(), 2U);
  for (const std::string& name : {Name(two + 1), Name(0), Name(-1), std::string("fd:"),
                                  std::string("ipv4:127.0.0.1:80"), std::string()}) {
    EXPECT_EQ(table.Find(name), std::nullopt) << name;
  }
  close(one);
  close(two);
}

TEST(PeerTableTest, NobodyHasANumberBehindTheLastOne) {
  const PeerTable table({.numbers = 2});
  // The table has the highest numbers that there may be.
  rlimit limit{};
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  const int end = static_cast<int>(std::min<rlim_t>(limit.rlim_cur, 65536));
  for (int fd = end - 4; fd < end + 4; ++fd) EXPECT_EQ(table.Find(Name(fd)), std::nullopt) << fd;
}

TEST(PeerTableTest, ANumberIsNotUsedAgainWhileItIsInQuarantine) {
  PeerTable table({.numbers = 2});
  const int one = Admit(table, 0);
  close(one);
  EXPECT_EQ(table.size(), 0U);
  EXPECT_EQ(table.Find(Name(one))->uid, 0U) << "a call of it may still be looked at";
  const int two = Admit(table, 0);
  EXPECT_NE(two, one);
  close(two);
  EXPECT_EQ(Admit(table, 0), -1);
}

TEST(PeerTableTest, ANumberIsUsedAgainAfterwards) {
  PeerTable table({.numbers = 1, .quarantine = std::chrono::seconds(0)});
  const int one = Admit(table, 0);
  close(one);
  EXPECT_EQ(table.size(), 0U);  // finds that it has ended
  EXPECT_EQ(Admit(table, 0), one);
  close(one);
}

TEST(PeerTableTest, ConnectionsAreBoundedForAUserAndInAll) {
  PeerTable table({.connections = 3, .connections_of_user = 2, .numbers = 64});
  const int one = Admit(table, 1000);
  const int two = Admit(table, 1000);
  EXPECT_EQ(Admit(table, 1000), -1);
  const int three = Admit(table, 1001);
  EXPECT_GE(three, 0);
  EXPECT_EQ(Admit(table, 0), -1);
  close(two);
  EXPECT_GE(Admit(table, 0), 0);
  close(one);
  close(three);
}

TEST(PeerTableTest, AUserCannotHaveAllNumbers) {
  PeerTable table({.numbers = 16});
  for (int i = 0; i < 2; ++i) close(Admit(table, 1000));
  EXPECT_EQ(Admit(table, 1000), -1);
  EXPECT_GE(Admit(table, 1001), 0);
}

TEST(PeerTableTest, ASocketThatIsNotAdmittedIsClosed) {
  PeerTable table({.connections = 0});
  const auto [socket, other] = Connection();
  EXPECT_FALSE(table.Admit(socket, {}).ok());
  char byte = 0;
  EXPECT_EQ(read(other, &byte, 1), 0);
  close(other);
}

}  // namespace
}  // namespace tools::daemon
