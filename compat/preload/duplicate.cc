// More descriptors of one file: the dup family and fcntl().
#include <fcntl.h>
#include <unistd.h>

#include <cstdarg>

#include "compat/preload/descriptor_table.h"
#include "compat/preload/next.h"
#include "compat/preload/paths/hooks.h"
#include "compat/preload/process_host.h"
#include "ioas/soft/hidden_descriptors.h"

namespace compat::preload {
namespace {

// `copy` is a duplicate of `fd`. One that the table cannot hold is given up.
int OnDuplicate(int fd, int copy) {
  if (copy < 0) return copy;
  const uint32_t entry = EntryOf(fd);
  if (__builtin_expect(entry != 0, 0) && !SetSlot(copy, entry)) {
    close(copy);
    errno = EMFILE;
    return -1;
  }
  OnDescriptorDuplicated(fd, copy);
  return copy;
}

// dup2() and dup3(), of which `duplicate` is the rest: `copy` is closed first, silently.
template <typename Duplicate>
int DuplicateOnto(int fd, int copy, Duplicate duplicate) {
  if (ioas::soft::IsHidden(copy)) {
    // The library's own. dup2(2) has this error for a number that is about to be taken.
    errno = EBUSY;
    return -1;
  }
  const uint32_t replaced = fd != copy ? SlotOf(copy) : 0;
  const int result = duplicate();
  if (result < 0) return result;
  if (fd != copy) {
    SetSlot(copy, 0);
    OnDescriptorClosed(copy);
  }
  if (__builtin_expect(replaced != 0, 0)) OpenedHost()->OnClosed(replaced);
  return fd != copy ? OnDuplicate(fd, copy) : result;
}

// A program's own locks on a file of the host would take the library's away.
constexpr bool IsLockCommand(int command) {
  return command == F_SETLK || command == F_SETLKW || command == F_OFD_SETLK ||
         command == F_OFD_SETLKW;
}

template <FunctionName kName>
int Fcntl(int fd, int command, uint64_t argument) {
  if (__builtin_expect(IsLockCommand(command) && SlotOf(fd) != 0, 0)) {
    errno = EINVAL;
    return -1;
  }
  const int result = Next<kName, int(int, int, ...)>()(fd, command, argument);
  if (command == F_DUPFD || command == F_DUPFD_CLOEXEC) return OnDuplicate(fd, result);
  return result;
}

}  // namespace

COMPAT_INTERPOSE int dup(int fd) noexcept { return OnDuplicate(fd, Next<"dup", int(int)>()(fd)); }

COMPAT_INTERPOSE int dup2(int fd, int copy) noexcept {
  return DuplicateOnto(fd, copy, [=] { return Next<"dup2", int(int, int)>()(fd, copy); });
}

COMPAT_INTERPOSE int dup3(int fd, int copy, int flags) noexcept {
  return DuplicateOnto(fd, copy,
                       [=] { return Next<"dup3", int(int, int, int)>()(fd, copy, flags); });
}

COMPAT_INTERPOSE int fcntl(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const uint64_t argument = va_arg(arguments, uint64_t);
  va_end(arguments);
  return Fcntl<"fcntl">(fd, command, argument);
}

COMPAT_INTERPOSE int fcntl64(int fd, int command, ...) {
  va_list arguments;
  va_start(arguments, command);
  const uint64_t argument = va_arg(arguments, uint64_t);
  va_end(arguments);
  return Fcntl<"fcntl64">(fd, command, argument);
}

}  // namespace compat::preload
