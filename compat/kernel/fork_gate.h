// Keeps forks away while this process has descriptors open that a child must not inherit: a bound
// cdev that a child holds unknowingly would stay bound when everybody else has closed it.
#ifndef COMPAT_KERNEL_FORK_GATE_H_
#define COMPAT_KERNEL_FORK_GATE_H_

namespace compat::kernel {

// Around a fork: waits for whoever holds the gate, and lets nobody in until it is released, in the
// parent and in the child.
void HoldForkGate();
void ReleaseForkGate();

// Holds the gate for a scope. Not recursive.
class [[nodiscard]] ForkGuard {
 public:
  ForkGuard() { HoldForkGate(); }
  ~ForkGuard() { ReleaseForkGate(); }
  ForkGuard(const ForkGuard&) = delete;
  ForkGuard& operator=(const ForkGuard&) = delete;
};

}  // namespace compat::kernel

#endif  // COMPAT_KERNEL_FORK_GATE_H_
