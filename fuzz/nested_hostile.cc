// Whatever a program may try with what a NestedSession has: calls of any form, long accesses.
#include <algorithm>
#include <cstring>
#include <iterator>

#include "compat/abi/iommufd.h"
#include "compat/abi/iommufd_soft.h"
#include "compat/abi/vfio_numbers.h"
#include "fuzz/nested_session.h"
#include "fuzz/system.h"

namespace fuzz {

namespace iommufd = compat::abi::iommufd;

namespace {

constexpr int kMaxHostileSteps = 30;
// Where the structures of calls are.
constexpr uint64_t kStructures = NestedMemory::kMapped * kPage;
constexpr uint32_t kMostWords = 16;
// Where a number is no address of anything in this process, and no mapping is far from another: a
// bitmap of what was written ends in what is behind the memory.
constexpr uint64_t kNearby = (uint64_t{1} << 30) - 1;

// A file that is memory; a host's own would be a way to break into it.
int File() {
  static const int fd = MemoryFile(8 * kPage);
  return fd;
}

}  // namespace

void NestedSession::Hostile() {
  const std::vector<std::byte> before = memory_.Copy();
  while (input_.TakeBelow(4) != 0) AnyAccess();
  // Nothing was written that devices may not write.
  const std::vector<std::byte> after = memory_.Copy();
  const auto offset = static_cast<ptrdiff_t>(NestedMemory::kWritable * kPage);
  FUZZ_REQUIRE(std::equal(before.begin() + offset, before.end(), after.begin() + offset));
  iommufd::VfioIoas legacy = {
      .size = 0, .ioas_id = ioas_, .op = iommufd::kVfioIoasSet, .reserved = 0};
  FUZZ_REQUIRE(Call(iommufd::kVfioIoas, legacy) == 0);
  for (int step = 0; step < kMaxHostileSteps && !input_.empty(); ++step) {
    if (input_.TakeBelow(4) == 0) {
      AnyAccess();
    } else {
      AnyCall();
    }
  }
}

void NestedSession::AnyAccess() {
  ioas::soft::DmaSegment segments[3];
  const uint32_t count = 1 + input_.TakeBelow(std::size(segments));
  size_t size = 0;
  for (ioas::soft::DmaSegment& segment : std::span(segments).first(count)) {
    segment = {TakeIova(), 1 + input_.TakeBelow(3 * kPage)};
    segment.iova += input_.TakeBelow(16);
    size += segment.length;
  }
  std::vector<std::byte> bytes(size, static_cast<std::byte>(input_.Take<uint8_t>()));
  const bool write = input_.TakeBelow(2) != 0;
  (void)Transfer(std::span(segments).first(count), write, bytes);
}

uint64_t NestedSession::TakeNumber() {
  switch (input_.TakeBelow(10)) {
    case 0: {
      const uint64_t low = input_.TakeBelow(16);
      return low | uint64_t{input_.TakeBelow(16)} << 32;
    }
    case 1:
      return reinterpret_cast<uint64_t>(memory_.At(input_.TakeBelow(NestedMemory::kPages) * kPage));
    case 2:
      return input_.TakeBelow(64) * kPage;
    case 3:
      return input_.Take<uint64_t>() & kNearby;
    case 4:
      return ~(input_.Take<uint64_t>() & kNearby);
    case 5:
      return uint64_t{1} << input_.TakeBelow(64) & kNearby;
    case 6:
      return iommufd::kViommuTypeSoft | uint64_t{input_.TakeBelow(64)} << 32;
    case 7:
      return uint64_t{iommufd::kViommuTypeSoft} << 32 | input_.TakeBelow(16);
    case 8:
      return reinterpret_cast<uint64_t>(memory_.At(kStructures)) + input_.TakeBelow(256) * 8;
    default:
      return 0;
  }
}

int NestedSession::TakeDescriptor() {
  switch (input_.TakeBelow(8)) {
    case 0:
      return cdev_;
    case 1:
      return fault_queue_ && fault_queue_->fd >= 0 ? fault_queue_->fd : cdev_;
    case 2:
      return event_queue_ && event_queue_->fd >= 0 ? event_queue_->fd : cdev_;
    default:
      return iommufd_;
  }
}

void NestedSession::AnyCall() {
  uint64_t words[kMostWords] = {};
  const uint32_t count = 1 + input_.TakeBelow(kMostWords);
  for (uint64_t& word : std::span(words).first(count)) word = TakeNumber();
  const uint32_t size = input_.TakeBelow(8) == 0 ? input_.Take<uint16_t>() : count * 8;
  words[0] = size | words[0] >> 32 << 32;
  std::byte* const structure = memory_.At(kStructures);
  std::memcpy(structure, words, sizeof(words));
  const int fd = TakeDescriptor();
  const uint32_t number = input_.TakeBelow(64);
  const bool is_legacy = number >= 32;
  const uint32_t request = iommufd::Request(is_legacy ? compat::abi::kVfioBase + number - 32
                                                      : iommufd::kCmdBase + number);
  if (request == iommufd::kIoasMapFile) {
    iommufd::IoasMapFile command;
    std::memcpy(&command, structure, sizeof(command));
    command.fd = command.fd % 4 == 3 ? -1 : File();
    std::memcpy(structure, &command, sizeof(command));
  }
  if (number == 31) {
    (void)host_.ReadNext(fd, structure, size);
  } else if (number == 30) {
    (void)host_.WriteNext(fd, structure, size);
  } else {
    (void)host_.Ioctl(fd, request, structure);
  }
}

}  // namespace fuzz
