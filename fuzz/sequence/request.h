// An ioctl as a program makes it: the bytes that go in, and those that come out.
#ifndef FUZZ_SEQUENCE_REQUEST_H_
#define FUZZ_SEQUENCE_REQUEST_H_

#include <cstdint>
#include <cstring>
#include <vector>

#include "fuzz/sequence/memory.h"
#include "fuzz/sequence/step.h"

namespace fuzz::sequence {

struct Request {
  uint32_t number = 0;    // from the first of VFIO's on
  uint64_t argument = 0;  // if there is no structure
  std::vector<std::byte> structure;
  std::vector<uint64_t> bitmap;  // what the structure names, if it names one that is there

  // The structure as a T, which may be longer than what there is of it: the rest is zero.
  template <typename T>
  T As() const {
    T value{};
    std::memcpy(&value, structure.data(), std::min(sizeof(T), structure.size()));
    return value;
  }
  // Writes the first `size` bytes of `value` to `offset`.
  template <typename T>
  void Put(const T& value, size_t size = sizeof(T), size_t offset = 0) {
    std::memcpy(structure.data() + offset, &value, size);
  }
  bool operator==(const Request&) const = default;
};

// What `step`, which is an ioctl with a structure or without, passes. SET_CONTAINER's and
// GET_DEVICE_FD's are not here: they name descriptors and devices.
Request MakeRequest(const Step& step);

// Whether `op` is such an ioctl.
bool IsPlainIoctl(Op op);

}  // namespace fuzz::sequence

#endif  // FUZZ_SEQUENCE_REQUEST_H_
