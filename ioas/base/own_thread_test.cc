#include "ioas/base/own_thread.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <functional>
#include <thread>

namespace ioas {
namespace {

cpu_set_t OwnProcessors() {
  cpu_set_t processors;
  CPU_ZERO(&processors);
  EXPECT_EQ(sched_getaffinity(0, sizeof(processors), &processors), 0);
  return processors;
}

cpu_set_t FirstOf(const cpu_set_t& processors) {
  cpu_set_t first;
  CPU_ZERO(&first);
  int number = 0;
  while (!CPU_ISSET(number, &processors)) ++number;
  CPU_SET(number, &first);
  return first;
}

// What a thread has that is started from here.
struct Seen {
  cpu_set_t processors;
  int policy = -1;
};

void* Look(void* seen) {
  static_cast<Seen*>(seen)->processors = OwnProcessors();
  static_cast<Seen*>(seen)->policy = sched_getscheduler(0);
  return nullptr;
}

Seen StartAndLook(Scheduling scheduling) {
  Seen seen;
  CPU_ZERO(&seen.processors);
  pthread_t thread;
  const int failure = StartOwnThread(thread, scheduling, &Look, &seen);
  EXPECT_EQ(failure, 0);
  if (failure == 0) pthread_join(thread, nullptr);
  return seen;
}

// Binds the calling thread to one processor, and gives it a policy for which one needs no right.
void BecomeSpecial() {
  const cpu_set_t first = FirstOf(OwnProcessors());
  ASSERT_EQ(sched_setaffinity(0, sizeof(first), &first), 0);
  const sched_param parameters = {};
  ASSERT_EQ(sched_setscheduler(0, SCHED_BATCH, &parameters), 0);
}

// As QEMU's `-sandbox resourcecontrol=deny`, for the calling thread from now on.
void RefuseResourceControl() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setaffinity, 1, 0),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_sched_setscheduler, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  const sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
  ASSERT_EQ(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
  ASSERT_EQ(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
  const cpu_set_t own = OwnProcessors();
  ASSERT_EQ(sched_setaffinity(0, sizeof(own), &own), -1);
}

// Runs `body` in a thread that ends with it, and what it has changed of itself.
void InAThread(const std::function<void()>& body) { std::thread(body).join(); }

TEST(OwnThreadTest, IsOrdinaryOnAllProcessorsOfTheProgram) {
  const cpu_set_t before = OwnProcessors();
  InAThread([&] {
    BecomeSpecial();
    const Seen seen = StartAndLook(Scheduling::kOrdinary);
    EXPECT_TRUE(CPU_EQUAL(&seen.processors, &before));
    EXPECT_EQ(seen.policy, SCHED_OTHER);
  });
}

TEST(OwnThreadTest, InheritsItsPolicyAlone) {
  const cpu_set_t before = OwnProcessors();
  InAThread([&] {
    BecomeSpecial();
    const Seen seen = StartAndLook(Scheduling::kInherited);
    EXPECT_TRUE(CPU_EQUAL(&seen.processors, &before));
    EXPECT_EQ(seen.policy, SCHED_BATCH);
  });
}

TEST(OwnThreadTest, InheritsAllWhereItMaySetNothing) {
  InAThread([&] {
    BecomeSpecial();
    RefuseResourceControl();
    const cpu_set_t own = OwnProcessors();
    const Seen seen = StartAndLook(Scheduling::kOrdinary);
    EXPECT_TRUE(CPU_EQUAL(&seen.processors, &own));
    EXPECT_EQ(seen.policy, SCHED_BATCH);
  });
}

TEST(OwnThreadTest, AsksForNothingThatItHas) {
  InAThread([&] {
    RefuseResourceControl();
    EXPECT_EQ(StartAndLook(Scheduling::kOrdinary).policy, SCHED_OTHER);
  });
}

}  // namespace
}  // namespace ioas
