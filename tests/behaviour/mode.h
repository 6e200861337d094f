// A way to DMA that programs have: what they call, and what they are told.
#ifndef TESTS_BEHAVIOUR_MODE_H_
#define TESTS_BEHAVIOUR_MODE_H_

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <ostream>
#include <string>
#include <vector>

#include "ioas/range.h"
#include "tests/support/nvme_driver.h"

namespace tests {

using ioas::IovaRange;

enum Access : uint32_t { kDeviceReads = 1, kDeviceWrites = 2, kBoth = 3 };

// What unmapping came to.
struct Unmapped {
  int error;       // an errno, or 0
  uint64_t bytes;  // that it says it unmapped
  bool operator==(const Unmapped&) const = default;
};
inline std::ostream& operator<<(std::ostream& out, const Unmapped& unmapped) {
  return out << "error " << unmapped.error << ", " << unmapped.bytes << " bytes";
}

// Which pages count as written by devices.
enum class DirtyPages {
  kNotTold,  // the calls are refused
  kAllMapped,
  kWritten,  // exactly those
};

// What a mode answers where modes differ; errors are errnos, 0 is success.
struct Answers {
  int map_again = EEXIST;     // over what is mapped already
  int map_outside = EINVAL;   // where nothing can be mapped
  int map_across = EINVAL;    // from inside to outside
  Unmapped unmap_first = {};  // the first page of a mapping of two
  Unmapped unmap_last = {};   // the other page, if both are there
  Unmapped unmap_nothing = {};
  std::optional<uint64_t> mapping_limit = {};  // beyond which ENOSPC
  int copy = ENOTTY;                           // the call for it
  int join_out_of_reach = EINVAL;              // of a device that does not reach what is mapped
  int replace = EBUSY;                         // the address space of a device that is in use
  DirtyPages dirty = DirtyPages::kNotTold;
  int start_dirty = 0;
  bool goes_on_after_thaw = false;  // the device, with what it had to do
};

// One address space with a device attached. Its functions return an errno, or 0.
class Mode {
 public:
  virtual ~Mode() = default;

  virtual const Answers& answers() const = 0;
  // Makes the address space, and opens the device in it.
  virtual int Open() = 0;
  virtual int device() const = 0;

  // Tells of memory that is going to be mapped, where a mode wants to know, and that it will not be
  // any more.
  virtual int Announce(const std::byte* /*memory*/, uint64_t /*size*/) { return 0; }
  virtual int Withdraw(const std::byte* /*memory*/, uint64_t /*size*/) { return 0; }
  virtual int Map(uint64_t iova, const std::byte* memory, uint64_t size,
                  uint32_t access = kBoth) = 0;
  virtual Unmapped Unmap(uint64_t iova, uint64_t size) = 0;
  // Has `to` lead where `from` does.
  virtual int Copy(uint64_t from, uint64_t to, uint64_t size) = 0;
  // Where mappings may lie, as the mode says it; ascending.
  virtual std::vector<IovaRange> UsableRanges() = 0;

  // From now on pages count that devices write; a bit for each page since the last time.
  virtual int StartDirty() = 0;
  virtual int ReadDirty(uint64_t iova, uint64_t size, uint64_t& bits) = 0;

  // Gives the device another address space, in which `fill` maps, while it is in use. Afterwards
  // all is about that one.
  virtual int Replace(const std::function<void()>& fill) = 0;
  // The same where Replace is refused: the device is closed meanwhile.
  virtual int Reopen(const std::function<void()>& fill) = 0;

  // Has the device at a PCI address, in a group of its own, share the address space until Leave.
  virtual int Join(const std::string& address, uint32_t group) = 0;
  virtual void Leave() = 0;
  // That device.
  virtual int other_device() const = 0;

  // Cuts the device off from memory, and undoes it.
  virtual int Freeze() = 0;
  virtual int Thaw() = 0;
};

struct NamedMode {
  std::string name;
  std::function<std::unique_ptr<Mode>()> make;
  bool has_interrupts;  // x86's, kept out of what can be mapped
};
inline std::ostream& operator<<(std::ostream& out, const NamedMode& mode) {
  return out << mode.name;
}

// The modes that are to be tested: the program's to say.
std::vector<NamedMode> Modes();

}  // namespace tests

#endif  // TESTS_BEHAVIOUR_MODE_H_
