// A program whose first call is the open of a container, with $1 at its limit: "as", "nofile" or
// "fsize". It has to be refused, and to succeed once there is no limit. Exits with 0 if so.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>

#include "tests/faults/open_descriptors.h"
#include "tests/faults/resource_limit.h"
#include "tests/support/vfio_client.h"

namespace {

// The errno of an open with this limit; 0 if it is not refused.
int OpenWith(__rlimit_resource resource, uint64_t value) {
  const tests::ResourceLimit limit(resource);
  limit.Lower(value);
  return tests::OpenContainer().is_open() ? 0 : errno;
}

bool Expect(int found, int expected, const char* what) {
  if (found == expected) return true;
  std::fprintf(stderr, "%s is %d (%s) instead of %d\n", what, found, std::strerror(found),
               expected);
  return false;
}

// With none, one, ... free descriptors, until that is enough.
bool OpenWithFewDescriptors() {
  const int before = tests::OpenDescriptors();
  for (uint64_t free = 0;; ++free) {
    const int error = OpenWith(RLIMIT_NOFILE, tests::DescriptorLimitLeaving(free));
    if (error == 0) return free > 1;
    if (!Expect(error, EMFILE, "an open without descriptors") ||
        !Expect(tests::OpenDescriptors(), before, "the number of descriptors")) {
      return false;
    }
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::string_view limit = argc == 2 ? argv[1] : "";
  const int before = tests::OpenDescriptors();
  bool is_right = false;
  if (limit == "nofile") {
    is_right = OpenWithFewDescriptors();
  } else if (limit == "as") {
    is_right = Expect(OpenWith(RLIMIT_AS, 1), ENOMEM, "an open without address space");
  } else if (limit == "fsize") {
    is_right = Expect(OpenWith(RLIMIT_FSIZE, 4096), ENOMEM, "an open with small files");
  }
  if (limit != "nofile") {
    is_right &= Expect(tests::OpenDescriptors(), before, "the number of descriptors");
  }
  return is_right && tests::OpenContainer().is_open() ? 0 : 1;
}
