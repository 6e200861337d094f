// The descriptors that calls are tried on, and how a call is made.
#ifndef TESTS_SWEEP_TARGETS_H_
#define TESTS_SWEEP_TARGETS_H_

#include <cstdint>
#include <ostream>
#include <vector>

#include "compat/decode/call.h"
#include "tests/support/vfio_client.h"

namespace tests {

struct Target {
  const char* name;
  compat::decode::DescriptorKind kind;
  compat::decode::ContainerType type;  // of the container that it is, or belongs to
  int fd;
};

// All of them, open as long as this lives.
class Targets {
 public:
  Targets();
  const std::vector<Target>& all() const { return all_; }

 private:
  Descriptor bare_container_;
  Client type1_;
  Client type1v2_;
  Descriptor device_;
  Descriptor other_device_;
  std::vector<Target> all_;
};

// What a call came to.
struct Outcome {
  int error = 0;  // errno, 0 for success

  bool operator==(const Outcome&) const = default;
};
std::ostream& operator<<(std::ostream& stream, const Outcome& outcome);

// ioctl(); a descriptor that it returns is closed.
Outcome MakeCall(const Target& target, uint32_t request, const void* argument);

// The rows that `target` understands.
std::vector<const compat::decode::CallRow*> CallsOf(const Target& target);

}  // namespace tests

#endif  // TESTS_SWEEP_TARGETS_H_
