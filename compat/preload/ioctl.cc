// ioctl(): the library's main door.
#include <cinttypes>
#include <cstdio>

#include "compat/abi/vfio_numbers.h"
#include "compat/decode/call.h"
#include "compat/preload/answer.h"
#include "compat/preload/control.h"
#include "compat/preload/descriptor_table.h"
#include "compat/preload/kvm.h"
#include "compat/preload/next.h"
#include "compat/preload/own_memory.h"
#include "compat/preload/process_host.h"
#include "compat/vfio/range_advice.h"

namespace compat::preload {
namespace {

using NextIoctl = int(int, unsigned long, ...) noexcept;

constexpr bool IsVfioRequest(unsigned long request) {
  return (request >> 8 & 0xff) == abi::kVfioType;
}

// What the call is on a descriptor of `slot`; if it is none there, what the number is elsewhere.
const char* NameOf(uint32_t slot, unsigned long request) {
  if (const auto* row = OpenedHost()->RowOf(slot, request)) return row->name;
  const auto rows = decode::CallsNumbered(static_cast<uint32_t>(request));
  return rows.empty() ? "ioctl" : rows.front().name;
}

// Fails a call, and says in the log what would have done if it was refused for its IOVAs.
__attribute__((noinline)) int FailWithAdvice(int fd, uint32_t slot, const vfio::CallArguments& call,
                                             const ioas::Error& error) {
  const char* const name = NameOf(slot, call.request);
  const auto advice = vfio::AdviseOn(*OpenedHost(), slot, call, error.code);
  if (!advice) return Fail(name, fd, error);
  const auto text_of = [](const std::optional<ioas::IovaRange>& range, char(&text)[64]) {
    if (range)
      std::snprintf(text, sizeof(text), "0x%" PRIx64 "-0x%" PRIx64, range->first, range->last);
    return text;
  };
  char refused[64] = "no place is large enough";
  char instead[64] = "nothing";
  Log(settings::LogLevel::kDebug, "%s on descriptor %d: errno %d: %s: %s%s; %s would do%s", name,
      fd, error.code, error.reason, text_of(advice->refused, refused),
      advice->refused ? " is not usable" : "", text_of(advice->instead, instead),
      advice->instead && !advice->is_as_large ? ", the largest that there is" : "");
  errno = error.code;
  return -1;
}

// The call on a descriptor that the table knows.
__attribute__((noinline, hot)) int OwnIoctl(int fd, uint32_t slot, unsigned long request,
                                            uint64_t argument) noexcept {
  // Other calls than VFIO's are made on anything: here it pays to make sure.
  if (!IsVfioRequest(request) && VerifiedSlotOf(fd) == 0) {
    return Next<"ioctl", NextIoctl>()(fd, request, argument);
  }
  ContinueSession();
  OwnMemory memory;
  const vfio::CallArguments call = {request, argument, memory};
  int& own_errno = errno;
  const int saved_errno = own_errno;
  const ioas::Result<long> result = OpenedHost()->Ioctl(fd, slot, call);
  own_errno = saved_errno;
  if (result.ok()) [[likely]]
    return static_cast<int>(*result);
  if (IsLogged(settings::LogLevel::kDebug)) [[unlikely]] {
    return FailWithAdvice(fd, slot, call, result.error());
  }
  return Fail(NameOf(slot, request), fd, result.error());
}

bool AdoptSilently(int fd) {
  const int saved_errno = errno;
  const bool adopted = Adopt(fd);
  errno = saved_errno;
  return adopted;
}

// A call that is not as most are: on a descriptor that the table may have yet to learn of, where
// the kernel's own /dev/iommu would answer; one that gives KVM a group; the first of all.
__attribute__((noinline)) int UnknownIoctl(int fd, unsigned long request,
                                           uint64_t argument) noexcept {
  if (IsVfioRequest(request) && AdoptSilently(fd)) {
    return OwnIoctl(fd, SlotOf(fd), request, argument);
  }
  if (request == kKvmSetDeviceAttr) return SetKvmDeviceAttr(fd, argument);
  return Next<"ioctl", NextIoctl>()(fd, request, argument);
}

}  // namespace

// Declared with "..." by libc, whose callers pass a third argument as they would to this one: so do
// the calling conventions of all 64-bit Linux machines, and this function needs no frame.
COMPAT_INTERPOSE __attribute__((hot)) int ioctl(int fd, unsigned long request,
                                                uint64_t argument) noexcept {
  if (const uint32_t slot = SlotOf(fd); __builtin_expect(slot != 0, 0)) {
    return OwnIoctl(fd, slot, request, argument);
  }
  NextIoctl* const next = KnownNext<"ioctl", NextIoctl>();
  if (__builtin_expect(next == nullptr || IsVfioRequest(request) || request == kKvmSetDeviceAttr,
                       0)) {
    return UnknownIoctl(fd, request, argument);
  }
  return next(fd, request, argument);
}

}  // namespace compat::preload
