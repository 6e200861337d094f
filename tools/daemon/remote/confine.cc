#include "tools/daemon/remote/confine.h"

#include <grp.h>
#include <linux/audit.h>
#include <linux/capability.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <initializer_list>

namespace tools::daemon::remote {
namespace {

// The host's arena is mapped as a whole, most of which is never touched.
constexpr rlim_t kAddressSpace = rlim_t{20} << 30;
// A disk, or what the arena grows to.
constexpr rlim_t kFileSize = rlim_t{1} << 30;
constexpr rlim_t kDescriptors = 512;
// Threads count; a device has one in each process that uses it.
constexpr rlim_t kProcesses = 128;

// Lowers a limit; one that is lower already stays.
bool Limit(__rlimit_resource resource, rlim_t value) {
  rlimit limit{};
  if (getrlimit(resource, &limit) != 0) return false;
  limit.rlim_max = std::min(limit.rlim_max, value);
  limit.rlim_cur = limit.rlim_max;
  return setrlimit(resource, &limit) == 0;
}

// Keeps CAP_IPC_LOCK alone. The software host locks nothing, but counts what the kernel would lock,
// tables of TCEs included, unless the program may lock what it likes. Other limits bound it.
bool KeepLocking() {
  __user_cap_header_struct header{_LINUX_CAPABILITY_VERSION_3, 0};
  std::array<__user_cap_data_struct, 2> sets{};
  sets[0].effective = sets[0].permitted = uint32_t{1} << CAP_IPC_LOCK;
  // A daemon that has it not cannot give it.
  if (syscall(SYS_capset, &header, sets.data()) == 0) return true;
  sets[0] = {};
  return syscall(SYS_capset, &header, sets.data()) == 0;
}

bool Become(uint32_t id) {
  return prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) == 0 && setgroups(0, nullptr) == 0 &&
         setresgid(id, id, id) == 0 && setresuid(id, id, id) == 0 && KeepLocking();
}

constexpr int kAllowed[] = {
    SYS_access,
    SYS_brk,
    SYS_capget,
    SYS_capset,
    SYS_clock_gettime,
    SYS_clock_nanosleep,
    SYS_close,
    SYS_close_range,
    SYS_connect,
    SYS_dup,
    SYS_dup2,
    SYS_dup3,
    SYS_epoll_create1,
    SYS_epoll_ctl,
    SYS_epoll_pwait,
    SYS_epoll_wait,
    SYS_eventfd2,
    SYS_exit,
    SYS_exit_group,
    SYS_faccessat,
    SYS_faccessat2,
    SYS_fallocate,
    SYS_fcntl,
    SYS_fdatasync,
    SYS_fstat,
    SYS_ftruncate,
    SYS_futex,
    SYS_getcwd,
    SYS_getdents64,
    SYS_getegid,
    SYS_geteuid,
    SYS_getgid,
    SYS_getpid,
    SYS_getppid,
    SYS_getrandom,
    SYS_getsockopt,
    SYS_gettid,
    SYS_getuid,
    SYS_inotify_add_watch,
    SYS_inotify_init1,
    SYS_inotify_rm_watch,
    SYS_ioctl,
    SYS_lseek,
    SYS_madvise,
    SYS_membarrier,
    SYS_memfd_create,
    SYS_munmap,
    SYS_mremap,
    SYS_nanosleep,
    SYS_newfstatat,
    SYS_openat,
    SYS_pidfd_getfd,
    SYS_pidfd_open,
    SYS_pipe2,
    SYS_poll,
    SYS_ppoll,
    SYS_pread64,
    SYS_preadv2,
    SYS_process_vm_readv,
    SYS_process_vm_writev,
    SYS_pwrite64,
    SYS_read,
    SYS_readlinkat,
    SYS_recvfrom,
    SYS_recvmsg,
    SYS_rseq,
    SYS_rt_sigaction,
    SYS_rt_sigprocmask,
    SYS_rt_sigreturn,
    SYS_rt_sigtimedwait,
    SYS_sched_getaffinity,
    SYS_sched_yield,
    SYS_sched_get_priority_max,
    SYS_sched_get_priority_min,
    SYS_sched_getparam,
    SYS_sched_setscheduler,
    SYS_sendmsg,
    SYS_sendto,
    SYS_set_robust_list,
    SYS_set_tid_address,
    SYS_setsockopt,
    SYS_shutdown,
    SYS_sigaltstack,
    SYS_statx,
    SYS_timerfd_create,
    SYS_timerfd_settime,
    SYS_uname,
    SYS_userfaultfd,
    SYS_wait4,
    SYS_write,
    SYS_writev,
};

constexpr uint32_t kNewNamespaces = CLONE_NEWNS | CLONE_NEWCGROUP | CLONE_NEWUTS | CLONE_NEWIPC |
                                    CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWNET;

// A filter as it grows: each function appends rules.
class Filter {
 public:
  void Append(uint16_t code, uint32_t value, uint8_t if_true = 0, uint8_t if_false = 0) {
    rules_[count_++] = {code, if_true, if_false, value};
  }
  void Load(size_t offset) { Append(BPF_LD | BPF_W | BPF_ABS, static_cast<uint32_t>(offset)); }
  void Return(uint32_t verdict) { Append(BPF_RET | BPF_K, verdict); }

  void Allow(int number) {
    Append(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1);
    Return(SECCOMP_RET_ALLOW);
  }
  // Allows the call if the low half of an argument has none of `bits`.
  void AllowWithout(int number, int argument, uint32_t bits) {
    Append(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 4);
    Load(offsetof(seccomp_data, args) + argument * sizeof(uint64_t));
    Append(BPF_JMP | BPF_JSET | BPF_K, bits, 1, 0);
    Return(SECCOMP_RET_ALLOW);
    Return(SECCOMP_RET_ERRNO | EPERM);
  }
  // Allows the call if the low half of an argument is one of `values`.
  void AllowWith(int number, int argument, std::initializer_list<uint32_t> values) {
    const auto count = static_cast<uint8_t>(values.size());
    Append(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 2 * count + 2);
    Load(offsetof(seccomp_data, args) + argument * sizeof(uint64_t));
    for (const uint32_t value : values) Allow(static_cast<int>(value));
    Return(SECCOMP_RET_ERRNO | EPERM);
  }

  bool Install() {
    const sock_fprog program{static_cast<unsigned short>(count_), rules_.data()};
    return syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program) == 0;
  }

 private:
  std::array<sock_filter, 512> rules_{};
  size_t count_ = 0;
};

}  // namespace

const char* DropPrivileges(uint32_t id) {
  signal(SIGXFSZ, SIG_IGN);  // EFBIG instead
  if (!Limit(RLIMIT_AS, kAddressSpace) || !Limit(RLIMIT_FSIZE, kFileSize)) return "setrlimit";
  if (!Limit(RLIMIT_NOFILE, kDescriptors) || !Limit(RLIMIT_CORE, 0)) return "setrlimit";
  // Counted by user, so only for one that has nothing else.
  if (id != 0 && (!Limit(RLIMIT_NPROC, kProcesses) || !Become(id))) return "setresuid";
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) return "PR_SET_NO_NEW_PRIVS";
  // A change of user ends both: a child's devices reach the memory of its parent, and the signal.
  if (prctl(PR_SET_DUMPABLE, 1, 0, 0, 0) != 0) return "PR_SET_DUMPABLE";
  if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) != 0) return "PR_SET_PDEATHSIG";
  return nullptr;
}

const char* FilterSystemCalls() {
  Filter filter;
  filter.Load(offsetof(seccomp_data, arch));
  filter.Append(BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
  filter.Return(SECCOMP_RET_KILL_PROCESS);
  filter.Load(offsetof(seccomp_data, nr));
  for (const int number : kAllowed) filter.Allow(number);
  filter.AllowWithout(SYS_mmap, 2, PROT_EXEC);
  filter.AllowWithout(SYS_mprotect, 2, PROT_EXEC);
  filter.AllowWithout(SYS_clone, 0, kNewNamespaces);
  filter.AllowWith(SYS_socket, 0, {AF_UNIX});
  filter.AllowWith(SYS_socketpair, 0, {AF_UNIX});
  filter.AllowWith(SYS_kill, 1, {0});  // whether a process is there
  filter.AllowWith(SYS_prlimit64, 0, {0});
  filter.AllowWith(SYS_prctl, 0, {PR_SET_NAME, PR_SET_PTRACER, PR_SET_PDEATHSIG});
  // Its flags cannot be looked at; libc takes clone instead.
  filter.Append(BPF_JMP | BPF_JEQ | BPF_K, SYS_clone3, 0, 1);
  filter.Return(SECCOMP_RET_ERRNO | ENOSYS);
  filter.Return(SECCOMP_RET_ERRNO | EPERM);
  return filter.Install() ? nullptr : "seccomp";
}

}  // namespace tools::daemon::remote
