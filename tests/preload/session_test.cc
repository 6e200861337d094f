// Programs under the library with a daemon, and without.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>

#include "compat/session/testing/fake_daemon.h"
#include "tests/support/command.h"
#include "tests/support/runfiles.h"
#include "tests/support/shim.h"

namespace {

using compat::session::ContainerList;
using compat::session::Hello;
using compat::session::Kind;
using compat::session::ListContainers;
using compat::session::testing::FakeDaemon;
using compat::session::testing::FakeSession;

std::string SubjectPath() { return tests::Runfile("tests/preload/subjects/session_holder"); }

class SessionTest : public testing::Test {
 protected:
  tests::Command Subject(const std::string& task) const {
    return tests::Preloaded({SubjectPath(), task}, "nvme,addr=00:05.0,image=" + image_.path());
  }

  tests::DiskImage image_{1 << 20};
  FakeDaemon daemon_;
  Hello hello_ = {};
};

// A subject that runs until this object goes.
class Running {
 public:
  Running(const std::string& task, const std::string& image, const std::string& control) {
    int in[2];
    int out[2];
    if (pipe(in) != 0 || pipe(out) != 0) return;
    pid_ = fork();
    if (pid_ == 0) {
      dup2(in[0], STDIN_FILENO);
      dup2(out[1], STDOUT_FILENO);
      for (const int fd : {in[0], in[1], out[0], out[1]}) close(fd);
      setenv("LD_PRELOAD", tests::PreloadLibrary().c_str(), 1);
      setenv("VFIO_COMPAT_DEVICES", ("nvme,addr=00:05.0,image=" + image).c_str(), 1);
      setenv("VFIO_COMPAT_CONTROL", control.c_str(), 1);
      execl(SubjectPath().c_str(), SubjectPath().c_str(), task.c_str(), nullptr);
      _exit(127);
    }
    close(in[0]);
    close(out[1]);
    input_ = in[1];
    output_ = out[0];
  }
  ~Running() {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
    close(input_);
    close(output_);
  }
  Running(const Running&) = delete;
  Running& operator=(const Running&) = delete;

  pid_t pid() const { return pid_; }
  std::string Line() const {
    std::string line;
    for (char byte = 0; read(output_, &byte, 1) == 1 && byte != '\n';) line += byte;
    return line;
  }
  // Its status, after the end of its input.
  int End() {
    close(input_);
    input_ = -1;
    int status = -1;
    waitpid(pid_, &status, 0);
    return status;
  }

 private:
  pid_t pid_ = -1;
  int input_ = -1;
  int output_ = -1;
};

TEST_F(SessionTest, WithoutTheSettingThereIsNoThreadAndWithItThereIsOne) {
  EXPECT_EQ(Subject("threads").Run().output, "1\n");
  EXPECT_EQ(Subject("threads").With("VFIO_COMPAT_CONTROL", "").Run().output, "1\n");
  EXPECT_EQ(Subject("threads").With("VFIO_COMPAT_CONTROL", daemon_.path()).Run().output, "2\n");
  daemon_.Start();
  EXPECT_EQ(Subject("threads").With("VFIO_COMPAT_CONTROL", daemon_.path()).Run().output, "2\n");
}

TEST_F(SessionTest, TheDaemonSeesWhatTheProgramHas) {
  daemon_.Start();
  Running subject("wait", image_.path(), daemon_.path());
  FakeSession session = daemon_.Greet(hello_);
  ASSERT_TRUE(session.is_open());
  EXPECT_EQ(hello_.pid, subject.pid());
  EXPECT_EQ(hello_.backend, 1u);
  EXPECT_EQ(std::string(hello_.command), SubjectPath() + " wait");
  ASSERT_EQ(subject.Line(), "ready");
  const auto answer = session.Ask(Kind::kListContainers, ListContainers{});
  EXPECT_EQ(answer.body<ContainerList>().count, 1u);
  EXPECT_EQ(subject.End(), 0);
  EXPECT_TRUE(session.Ends());
}

TEST_F(SessionTest, AProgramThatIsKilledEndsItsSession) {
  daemon_.Start();
  FakeSession session;
  {
    const Running subject("wait", image_.path(), daemon_.path());
    session = daemon_.Greet(hello_);
    ASSERT_TRUE(session.is_open());
  }
  EXPECT_TRUE(session.Ends());
}

TEST_F(SessionTest, AProgramThatClosesAllDescriptorsKeepsItsSession) {
  daemon_.Start();
  Running subject("close all", image_.path(), daemon_.path());
  FakeSession session = daemon_.Greet(hello_);
  ASSERT_EQ(subject.Line(), "ready");
  EXPECT_TRUE(session.Ask(Kind::kPing).IsRight());
  EXPECT_EQ(subject.End(), 0);
}

class ForkTest : public SessionTest, public testing::WithParamInterface<const char*> {};
INSTANTIATE_TEST_SUITE_P(Calls, ForkTest, testing::Values("fork", "fork for iommufd"));

TEST_P(ForkTest, AForkedChildHasASessionFromItsNextCallOn) {
  daemon_.Start();
  Running subject(GetParam(), image_.path(), daemon_.path());
  FakeSession session = daemon_.Greet(hello_);
  const Hello parent = hello_;
  ASSERT_EQ(subject.Line(), "forked");
  FakeSession childs = daemon_.Greet(hello_);
  ASSERT_TRUE(childs.is_open());
  EXPECT_NE(hello_.pid, parent.pid);
  EXPECT_NE(hello_.session, parent.session);
  EXPECT_EQ(hello_.host, parent.host);
  const auto answer = childs.Ask(Kind::kListContainers, ListContainers{});
  EXPECT_EQ(answer.body<ContainerList>().count, 1u);
  EXPECT_TRUE(session.Ask(Kind::kPing).IsRight());
  EXPECT_EQ(subject.End(), 0);
}

TEST_F(SessionTest, TheThreadDoesNotKeepAProgramWhoseOwnThreadsHaveEnded) {
  const auto result =
      Subject("exit of the first thread").With("VFIO_COMPAT_CONTROL", daemon_.path()).Run();
  EXPECT_EQ(result.status, 0) << result.errors;
}

}  // namespace
