#include "tools/daemon/remote/call_translation.h"

#include <string>

#include "tools/daemon/errors/errors.h"

namespace tools::daemon::remote {
namespace {

using vfio::compat::v1::CallRequest;
using vfio::compat::v1::IoctlCall;
using vfio::compat::v1::MapMemoryCall;

absl::Status TooLarge(absl::string_view field, uint64_t size) {
  return InvalidField(field, std::to_string(size) + " bytes; 65536 are the most");
}

absl::StatusOr<TranslatedCall> WithBytes(const Call& call, absl::string_view bytes,
                                         absl::string_view field) {
  if (bytes.size() > kMaxBytes) return TooLarge(field, bytes.size());
  return TranslatedCall{call, bytes};
}

absl::StatusOr<TranslatedCall> WithLength(const Call& call, absl::string_view field) {
  if (call.length > kMaxBytes) return TooLarge(field, call.length);
  return TranslatedCall{call, {}};
}

absl::StatusOr<TranslatedCall> TranslateIoctl(const IoctlCall& ioctl) {
  Call call{.operation = Operation::kIoctl, .fd = ioctl.fd(), .request = ioctl.request()};
  if (ioctl.has_bytes()) {
    call.operation = Operation::kIoctlBytes;
    return WithBytes(call, ioctl.bytes(), "ioctl.bytes");
  }
  call.argument = ioctl.has_address() ? ioctl.address() : ioctl.value();
  return TranslatedCall{call, {}};
}

TranslatedCall TranslateMap(const MapMemoryCall& map) {
  return {{.operation = Operation::kMapMemory,
           .argument = map.address(),
           .length = map.size(),
           .protection = map.protection(),
           .is_shared = map.is_shared() ? 1U : 0U},
          {}};
}

TranslatedCall OnDescriptor(Operation operation, int32_t fd) {
  return {{.operation = operation, .fd = fd}, {}};
}

absl::StatusOr<TranslatedCall> TranslateAccess(const CallRequest& request) {
  if (request.has_read_memory()) {
    return WithLength({.operation = Operation::kReadMemory,
                       .argument = request.read_memory().address(),
                       .length = request.read_memory().size()},
                      "read_memory.size");
  }
  if (request.has_write_memory()) {
    return WithBytes(
        {.operation = Operation::kWriteMemory, .argument = request.write_memory().address()},
        request.write_memory().bytes(), "write_memory.bytes");
  }
  if (request.has_pread()) {
    return WithLength({.operation = Operation::kPread,
                       .fd = request.pread().fd(),
                       .argument = request.pread().offset(),
                       .length = request.pread().size()},
                      "pread.size");
  }
  return WithBytes({.operation = Operation::kPwrite,
                    .fd = request.pwrite().fd(),
                    .argument = request.pwrite().offset()},
                   request.pwrite().bytes(), "pwrite.bytes");
}

}  // namespace

absl::StatusOr<TranslatedCall> Translate(const CallRequest& request) {
  switch (request.call_case()) {
    case CallRequest::kOpen:
      return WithBytes({.operation = Operation::kOpen}, request.open().path(), "open.path");
    case CallRequest::kIoctl:
      return TranslateIoctl(request.ioctl());
    case CallRequest::kClose:
      return OnDescriptor(Operation::kClose, request.close().fd());
    case CallRequest::kMapMemory:
      return TranslateMap(request.map_memory());
    case CallRequest::kUnmapMemory:
      return TranslatedCall{{.operation = Operation::kUnmapMemory,
                             .argument = request.unmap_memory().address(),
                             .length = request.unmap_memory().size()},
                            {}};
    case CallRequest::kReadMemory:
    case CallRequest::kWriteMemory:
    case CallRequest::kPread:
    case CallRequest::kPwrite:
      return TranslateAccess(request);
    case CallRequest::kEventfd:
      return TranslatedCall{{.operation = Operation::kEventfd}, {}};
    case CallRequest::kDup:
      return OnDescriptor(Operation::kDup, request.dup().fd());
    case CallRequest::kFork:
      return TranslatedCall{{.operation = Operation::kFork}, {}};
    case CallRequest::kExit:
      return TranslatedCall{{.operation = Operation::kExit}, {}};
    case CallRequest::CALL_NOT_SET:
      break;
  }
  return InvalidField("call", "none, or one that this daemon does not know");
}

}  // namespace tools::daemon::remote
