#include "tools/daemon/sockets/listen.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

namespace tools::daemon {
namespace {

class ListenTest : public testing::Test {
 protected:
  ListenTest() { folder_ = mkdtemp(folder_.data()); }
  ~ListenTest() override { std::filesystem::remove_all(folder_); }

  std::string folder_ = "/tmp/vfio_compat_listen_XXXXXX";
};

TEST_F(ListenTest, TheSocketHasItsModeAndItsFolderIsMade) {
  const std::string path = folder_ + "/a/b/socket";
  umask(077);
  const auto listener = ListenAt(path, SOCK_SEQPACKET, 0666);
  ASSERT_TRUE(listener.ok()) << listener.status();
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_TRUE(S_ISSOCK(status.st_mode));
  EXPECT_EQ(status.st_mode & 07777, 0666u);
  ASSERT_EQ(stat((folder_ + "/a/b").c_str(), &status), 0);
  EXPECT_EQ(status.st_mode & 07777, 0755u);
}

TEST_F(ListenTest, ASocketThatNobodyListensOnIsReplaced) {
  const std::string path = folder_ + "/socket";
  { ASSERT_TRUE(ListenAt(path, SOCK_STREAM, 0600).ok()); }
  EXPECT_TRUE(std::filesystem::exists(path));
  EXPECT_TRUE(ListenAt(path, SOCK_STREAM, 0600).ok());
}

TEST_F(ListenTest, ALiveDaemonIsLeftAlone) {
  const std::string path = folder_ + "/socket";
  const auto first = ListenAt(path, SOCK_SEQPACKET, 0600);
  ASSERT_TRUE(first.ok());
  const auto second = ListenAt(path, SOCK_SEQPACKET, 0600);
  EXPECT_EQ(second.status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_NE(second.status().message().find(path), absl::string_view::npos);
}

TEST_F(ListenTest, AFileIsNotReplaced) {
  const std::string path = folder_ + "/file";
  std::ofstream(path) << "mine";
  EXPECT_EQ(ListenAt(path, SOCK_STREAM, 0600).status().code(), absl::StatusCode::kAlreadyExists);
  EXPECT_TRUE(std::filesystem::is_regular_file(path));
}

TEST_F(ListenTest, APathThatIsTooLongIsRefused) {
  EXPECT_EQ(ListenAt(folder_ + "/" + std::string(108, 'x'), SOCK_STREAM, 0600).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace tools::daemon
