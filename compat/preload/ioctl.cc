// ioctl(): the library's main door.
#include <cinttypes>
#include <cstdarg>
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

using NextIoctl = int(int, unsigned long, ...);

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
__attribute__((noinline)) int OwnIoctl(int fd, uint32_t slot, unsigned long request,
                                       uint64_t argument) {
  // Other calls than VFIO's are made on anything: here it pays to make sure.
  if (!IsVfioRequest(request) && VerifiedSlotOf(fd) == 0) {
    return Next<"ioctl", NextIoctl>()(fd, request, argument);
  }
  ContinueSession();
  OwnMemory memory;
  const int saved_errno = errno;
  const ioas::Result<long> result = OpenedHost()->Ioctl(fd, slot, request, argument, memory);
  errno = saved_errno;
  if (result.ok()) return static_cast<int>(*result);
  if (IsLogged(settings::LogLevel::kDebug)) [[unlikely]] {
    return FailWithAdvice(fd, slot, {request, argument, memory}, result.error());
  }
  return Fail(NameOf(slot, request), fd, result.error());
}

bool AdoptSilently(int fd) {
  const int saved_errno = errno;
  const bool adopted = Adopt(fd);
  errno = saved_errno;
  return adopted;
}

}  // namespace

COMPAT_INTERPOSE int ioctl(int fd, unsigned long request, ...) noexcept {
  va_list arguments;
  va_start(arguments, request);
  const uint64_t argument = va_arg(arguments, uint64_t);
  va_end(arguments);
  if (const uint32_t slot = SlotOf(fd); __builtin_expect(slot != 0, 0)) {
    return OwnIoctl(fd, slot, request, argument);
  }
  // The table may have yet to learn of the descriptor: the kernel's own /dev/iommu would answer.
  if (__builtin_expect(IsVfioRequest(request), 0) && AdoptSilently(fd)) {
    return OwnIoctl(fd, SlotOf(fd), request, argument);
  }
  if (__builtin_expect(request == kKvmSetDeviceAttr, 0)) return SetKvmDeviceAttr(fd, argument);
  return Next<"ioctl", NextIoctl>()(fd, request, argument);
}

}  // namespace compat::preload
