#include "tools/daemon/remote/clients.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <future>

#include "tests/support/runfiles.h"

namespace tools::daemon::remote {
namespace {

ClientSettings OneDisk(std::chrono::milliseconds idle = std::chrono::minutes(1)) {
  ClientSettings settings;
  settings.host.devices.push_back(
      *compat::settings::ParseDevice("nvme,addr=0000:00:03.0,group=7,image=/"));
  settings.disk_bytes = 1 << 20;
  settings.idle = idle;
  return settings;
}

class ClientsTest : public testing::Test {
 protected:
  std::string Open(const std::string& caller,
                   std::chrono::milliseconds idle = std::chrono::minutes(1)) {
    const absl::StatusOr<ClientInfo> client = clients_->Open({caller, 1000}, OneDisk(idle));
    EXPECT_TRUE(client.ok()) << client.status();
    return client.ok() ? client->id : "";
  }
  absl::StatusCode OpenFails(const std::string& caller) {
    return clients_->Open({caller, 1000}, OneDisk()).status().code();
  }

  std::unique_ptr<Clients> clients_ = std::make_unique<Clients>(ClientsOptions{
      .process = {.program = tests::Runfile("tools/daemon/remote/vfio-compat-remote"),
                  .library = tests::Runfile("compat/preload/libvfio_compat.so"),
                  .control = ""}});
};

TEST_F(ClientsTest, AreTheirCallersOwn) {
  const std::string mine = Open("me");
  EXPECT_EQ(clients_->List("me").size(), 1U);
  EXPECT_TRUE(clients_->List("you").empty());
  EXPECT_EQ(clients_->Use("you", mine, {}).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(clients_->Close("you", mine).code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(clients_->Close("me", mine).ok());
  EXPECT_EQ(clients_->Close("me", mine).code(), absl::StatusCode::kNotFound);
}

TEST_F(ClientsTest, AreSessionsOfThoseWhoOpenedThem) {
  const std::string id = Open("me");
  const uint32_t user = ClientsOptions{}.first_user;
  EXPECT_EQ(clients_->UserOf(user), 1000U);
  EXPECT_EQ(clients_->UserOf(user + 1), user + 1);
  EXPECT_EQ(clients_->UserOf(user - 1), user - 1);
  EXPECT_EQ(clients_->UserOf(user + kMaxClients), user + kMaxClients);
  EXPECT_TRUE(clients_->Close("me", id).ok());
  EXPECT_EQ(clients_->UserOf(user), user);
}

TEST_F(ClientsTest, MakeCallsForOneStreamAtATime) {
  const std::string id = Open("me");
  {
    auto lease = clients_->Use("me", id, {});
    ASSERT_TRUE(lease.ok());
    EXPECT_EQ(clients_->Use("me", id, {}).status().code(), absl::StatusCode::kFailedPrecondition);
    std::string out;
    EXPECT_GE(lease->Make({.operation = Operation::kEventfd}, "", out)->result, 0);
  }
  EXPECT_TRUE(clients_->Use("me", id, {}).ok());
}

TEST_F(ClientsTest, AreBoundedForACallerAndForAll) {
  for (size_t i = 0; i < kMaxClients; ++i) {
    Open("caller " + std::to_string(i / kMaxClientsOfCaller));
    if (i == kMaxClientsOfCaller) {
      EXPECT_EQ(OpenFails("caller 0"), absl::StatusCode::kResourceExhausted);
    }
  }
  EXPECT_EQ(OpenFails("another"), absl::StatusCode::kResourceExhausted);
  EXPECT_TRUE(clients_->Close("caller 3", clients_->List("caller 3")[0].id).ok());
  Open("another");
}

TEST_F(ClientsTest, EndWhenTheyAreNotUsed) {
  const std::string id = Open("me", std::chrono::milliseconds(20));
  const pid_t pid = clients_->List("me")[0].pid;
  std::promise<void> ended;
  auto lease = clients_->Use("me", id, [&ended] { ended.set_value(); });
  ASSERT_TRUE(lease.ok()) << lease.status();
  EXPECT_EQ(ended.get_future().wait_for(std::chrono::seconds(10)), std::future_status::ready);
  EXPECT_TRUE(clients_->List("me").empty());
  // The process answers until it is ended, which is right after that.
  std::string out;
  while (lease->Make({.operation = Operation::kEventfd}, "", out).ok()) continue;
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(ClientsTest, EndWithTheDaemon) {
  Open("me");
  const pid_t pid = clients_->List("me")[0].pid;
  clients_.reset();
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(ClientsTest, ThoseThatCannotHaveTheirHostDoNotStayBehind) {
  ClientSettings settings = OneDisk();
  settings.host.devices.push_back(settings.host.devices[0]);
  EXPECT_EQ(clients_->Open({"me", 1000}, settings).status().code(),
            absl::StatusCode::kInvalidArgument);
  for (size_t i = 0; i < kMaxClientsOfCaller; ++i) Open("me");
}

}  // namespace
}  // namespace tools::daemon::remote
