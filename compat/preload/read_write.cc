// The read and write family on the library's descriptors: a device's regions.
#include <limits.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#include <optional>

#include "compat/preload/answer.h"
#include "compat/preload/descriptor_table.h"
#include "compat/preload/next.h"
#include "compat/preload/own_memory.h"
#include "compat/preload/process_host.h"

namespace compat::preload {
namespace {

enum class Way { kRead, kWrite };

// One transfer. `position` is null for the file's own.
template <Way kWay>
ioas::Result<long> Move(uint32_t slot, uint64_t address, uint64_t size, const uint64_t* position) {
  OwnMemory memory;
  vfio::Host* host = OpenedHost();
  return kWay == Way::kRead ? host->Read(slot, address, size, position, memory)
                            : host->Write(slot, address, size, position, memory);
}

// A transfer to or from several places, in order. An error after the first counts as its end.
template <Way kWay>
ioas::Result<long> MoveAll(uint32_t slot, const iovec* places, int count, const off64_t* position) {
  if (count < 0 || count > IOV_MAX) return ioas::Error{EINVAL, "too many places"};
  long moved = 0;
  for (int i = 0; i < count; ++i) {
    iovec place = {};
    OwnMemory memory;
    if (const auto copied = memory.Read(reinterpret_cast<uint64_t>(places + i),
                                        std::as_writable_bytes(std::span(&place, 1)));
        !copied.ok()) {
      return moved != 0 ? ioas::Result<long>(moved) : copied.error();
    }
    const uint64_t here = position != nullptr ? static_cast<uint64_t>(*position + moved) : 0;
    const auto part = Move<kWay>(slot, reinterpret_cast<uint64_t>(place.iov_base), place.iov_len,
                                 position != nullptr ? &here : nullptr);
    if (!part.ok()) return moved != 0 ? ioas::Result<long>(moved) : part;
    moved += *part;
    if (static_cast<size_t>(*part) != place.iov_len) break;
  }
  return moved;
}

// The answer of a call on `fd` if it is the library's; nothing otherwise.
template <typename Function>
std::optional<ssize_t> OnOwn(const char* what, int fd, Function function) {
  if (__builtin_expect(EmulatedSlotOf(fd) == 0, 1)) return std::nullopt;
  const uint32_t slot = VerifiedSlotOf(fd);
  if (slot == 0) return std::nullopt;
  const int saved_errno = errno;
  const ioas::Result<long> result = function(slot);
  errno = saved_errno;
  return Answer(what, fd, result);
}

template <Way kWay>
std::optional<ssize_t> OnOwnBuffer(const char* what, int fd, uint64_t address, size_t size,
                                   const off64_t* position) {
  return OnOwn(what, fd, [&](uint32_t slot) {
    const uint64_t here = position != nullptr ? static_cast<uint64_t>(*position) : 0;
    return Move<kWay>(slot, address, size, position != nullptr ? &here : nullptr);
  });
}

template <Way kWay>
std::optional<ssize_t> OnOwnPlaces(const char* what, int fd, const iovec* places, int count,
                                   const off64_t* position) {
  return OnOwn(what, fd,
               [&](uint32_t slot) { return MoveAll<kWay>(slot, places, count, position); });
}

}  // namespace

// NOLINTBEGIN(bugprone-macro-parentheses): parameters and arguments come in theirs.

// One function of the family each: the answer on the library's descriptors, or the next function.
#define COMPAT_MOVE(way, name, parameters, arguments, position)                       \
  COMPAT_INTERPOSE ssize_t name parameters {                                          \
    const auto address = reinterpret_cast<uint64_t>(buffer);                          \
    if (const auto own = OnOwnBuffer<Way::way>(#name, fd, address, size, position)) { \
      return *own;                                                                    \
    }                                                                                 \
    return Next<#name, ssize_t parameters>() arguments;                               \
  }
#define COMPAT_MOVE_PLACES(way, name, parameters, arguments, position)                \
  COMPAT_INTERPOSE ssize_t name parameters {                                          \
    if (const auto own = OnOwnPlaces<Way::way>(#name, fd, places, count, position)) { \
      return *own;                                                                    \
    }                                                                                 \
    return Next<#name, ssize_t parameters>() arguments;                               \
  }

// NOLINTEND(bugprone-macro-parentheses)

COMPAT_MOVE(kRead, read, (int fd, void* buffer, size_t size), (fd, buffer, size), nullptr)
COMPAT_MOVE(kRead, pread, (int fd, void* buffer, size_t size, off_t offset),
            (fd, buffer, size, offset), &offset)
COMPAT_MOVE(kRead, pread64, (int fd, void* buffer, size_t size, off64_t offset),
            (fd, buffer, size, offset), &offset)
COMPAT_MOVE(kRead, __read_chk, (int fd, void* buffer, size_t size, size_t room),
            (fd, buffer, size, room), nullptr)
COMPAT_MOVE(kRead, __pread_chk, (int fd, void* buffer, size_t size, off_t offset, size_t room),
            (fd, buffer, size, offset, room), &offset)
COMPAT_MOVE(kRead, __pread64_chk, (int fd, void* buffer, size_t size, off64_t offset, size_t room),
            (fd, buffer, size, offset, room), &offset)
COMPAT_MOVE(kWrite, write, (int fd, const void* buffer, size_t size), (fd, buffer, size), nullptr)
COMPAT_MOVE(kWrite, pwrite, (int fd, const void* buffer, size_t size, off_t offset),
            (fd, buffer, size, offset), &offset)
COMPAT_MOVE(kWrite, pwrite64, (int fd, const void* buffer, size_t size, off64_t offset),
            (fd, buffer, size, offset), &offset)
COMPAT_MOVE_PLACES(kRead, readv, (int fd, const iovec* places, int count), (fd, places, count),
                   nullptr)
COMPAT_MOVE_PLACES(kRead, preadv, (int fd, const iovec* places, int count, off_t offset),
                   (fd, places, count, offset), &offset)
COMPAT_MOVE_PLACES(kRead, preadv64, (int fd, const iovec* places, int count, off64_t offset),
                   (fd, places, count, offset), &offset)
COMPAT_MOVE_PLACES(kWrite, writev, (int fd, const iovec* places, int count), (fd, places, count),
                   nullptr)
COMPAT_MOVE_PLACES(kWrite, pwritev, (int fd, const iovec* places, int count, off_t offset),
                   (fd, places, count, offset), &offset)
COMPAT_MOVE_PLACES(kWrite, pwritev64, (int fd, const iovec* places, int count, off64_t offset),
                   (fd, places, count, offset), &offset)
// An offset of -1 is the file's own position (preadv2(2)).
COMPAT_MOVE_PLACES(kRead, preadv2,
                   (int fd, const iovec* places, int count, off_t offset, int flags),
                   (fd, places, count, offset, flags), offset == -1 ? nullptr : &offset)
COMPAT_MOVE_PLACES(kRead, preadv64v2,
                   (int fd, const iovec* places, int count, off64_t offset, int flags),
                   (fd, places, count, offset, flags), offset == -1 ? nullptr : &offset)
COMPAT_MOVE_PLACES(kWrite, pwritev2,
                   (int fd, const iovec* places, int count, off_t offset, int flags),
                   (fd, places, count, offset, flags), offset == -1 ? nullptr : &offset)
COMPAT_MOVE_PLACES(kWrite, pwritev64v2,
                   (int fd, const iovec* places, int count, off64_t offset, int flags),
                   (fd, places, count, offset, flags), offset == -1 ? nullptr : &offset)

}  // namespace compat::preload
