// The files of a host: what its descriptors stand for, and whether any is left.
//
// On the software host each file is an open file description of the arena's file of its own. Its
// position is the number of its slot here, which is how a process recognises a descriptor that it
// inherited or received; an OFD lock that it holds on its slot's byte goes when its last descriptor
// in any process does, which is how the end of a file is noticed (fcntl(2), "Open file description
// locks").
#ifndef COMPAT_VFIO_FILE_TABLE_H_
#define COMPAT_VFIO_FILE_TABLE_H_

#include <atomic>
#include <bit>
#include <cstdint>

#include "compat/decode/call.h"
#include "ioas/base/arena.h"
#include "ioas/base/result.h"

namespace compat::vfio {

// What a file is: 8 bytes, without padding.
struct alignas(uint64_t) FileMeaning {
  uint32_t object;  // a ContainerState's arena unit, or a group's or a device's index in the host
  decode::DescriptorKind kind;
  uint8_t unused[3];
};

// What it is changes in one piece, and is read so by those who do not hold the host's lock: a call
// that lost a race with close() and another open must not take an object for another kind's.
struct FileSlot : FileMeaning {
  uint8_t in_use;
  uint32_t next_free;  // while not in use
  uint64_t position;   // of a device file, for read() and write()

  FileMeaning Load() const {
    // As one word, which GCC then leaves in a register.
    using Word [[gnu::may_alias]] = uint64_t;
    return std::bit_cast<FileMeaning>(__atomic_load_n(
        reinterpret_cast<const Word*>(static_cast<const FileMeaning*>(this)), __ATOMIC_RELAXED));
  }
  void Store(const FileMeaning& meaning) {
    std::atomic_ref<FileMeaning>(*this).store(meaning, std::memory_order_relaxed);
  }
};
static_assert(std::atomic_ref<FileMeaning>::is_always_lock_free);

inline constexpr uint32_t kSlotsPerChunk = 1024;
inline constexpr uint32_t kMaxSlotChunks = 1024;

// Guarded by the host's lock, but for FileSlot::Load. Slot 0 does not exist.
struct FileTableState {
  uint32_t slots;       // how many there have been
  uint32_t first_free;  // 0: none
  ioas::ArenaRef<FileSlot> chunks[kMaxSlotChunks];
};

// A new file.
struct NewFile {
  int descriptor;
  uint32_t slot;
};

class FileTable {
 public:
  // `arena_fd`: this process's descriptor of the arena's file.
  FileTable(ioas::Arena arena, int arena_fd, FileTableState* state)
      : arena_(arena), arena_fd_(arena_fd), state_(state) {}

  // Takes a slot for a file of `object`, which its user opens. ENFILE, ENOMEM.
  ioas::Result<uint32_t> Take(decode::DescriptorKind kind, uint32_t object);
  // Opens another description of the arena's file, for slot `number`. `close_on_exec` is its
  // descriptor's. EMFILE, ENFILE, ENOMEM.
  ioas::Result<int> Open(uint32_t number, bool close_on_exec) const;
  // Whether a descriptor that Open made for `slot` is open in any process, or memory mapped through
  // one.
  bool IsOpen(uint32_t slot) const;
  // Gives back slot `number`, whose file is gone. Kind and object stay until it is taken again: a
  // call that lost a race with close() still finds the object there.
  void Free(uint32_t number);

  FileSlot& slot(uint32_t number) const {
    return arena_.Get(state_->chunks[number / kSlotsPerChunk])[number % kSlotsPerChunk];
  }
  // Slots are numbered from 1 to this.
  uint32_t last_slot() const { return state_->slots; }

  // The slot that Open's `fd` stands for, 0 if it is no descriptor of this host's file. EBADF if it
  // is not open.
  ioas::Result<uint32_t> SlotOf(int fd) const;

 private:
  ioas::Result<uint32_t> TakeSlot();

  ioas::Arena arena_;
  int arena_fd_;
  FileTableState* state_;
};

}  // namespace compat::vfio

#endif  // COMPAT_VFIO_FILE_TABLE_H_
