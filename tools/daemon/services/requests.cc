#include "tools/daemon/services/requests.h"

#include <algorithm>
#include <charconv>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tools/daemon/sessions/registry.h"

namespace tools::daemon {
namespace {

bool IsPrintable(const std::string& text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

// What a caller sent, in an error; no longer than people want to read.
std::string Quoted(const std::string& text) {
  if (!IsPrintable(text)) return absl::StrCat(text.size(), " bytes that are not all printable");
  if (text.size() <= 80) return absl::StrCat("'", text, "'");
  return absl::StrCat("'", text.substr(0, 80), "'... (", text.size(), " characters)");
}

}  // namespace

absl::StatusOr<uint64_t> ParseSessionId(absl::string_view field, const std::string& text) {
  uint64_t id = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id, 16);
  if (text.size() == 16 && error == std::errc() && end == text.data() + text.size()) return id;
  return InvalidField(
      field, absl::StrCat(Quoted(text), " is no session id: expected 16 hexadecimal digits"));
}

absl::StatusOr<std::shared_ptr<Session>> FindSession(const Guard::Admission& admission,
                                                     const Registry& registry,
                                                     const std::string& id,
                                                     absl::string_view field) {
  const absl::StatusOr<uint64_t> number = ParseSessionId(field, id);
  if (!number.ok()) return number.status();
  std::shared_ptr<Session> session = registry.Find(*number);
  // Whether there is one of another user is not told.
  if (!session || !admission.caller.MaySee(session->identity().uid)) {
    return FieldError(absl::StatusCode::kNotFound, "SESSION_NOT_FOUND", field,
                      absl::StrCat("there is no session ", id));
  }
  if (admission.caller.RoleOn(session->identity().uid) >= admission.method_role) return session;
  return FieldError(absl::StatusCode::kPermissionDenied, "SESSION_OF_ANOTHER", field,
                    absl::StrCat(admission.caller.name, " may look at session ", id, " of uid ",
                                 session->identity().uid, ", but not do this"));
}

absl::Status CheckContainer(uint32_t container) {
  if (container != 0) return absl::OkStatus();
  return InvalidField("container", "0 is no container: expected a number from 1 on");
}

absl::Status CheckRange(absl::string_view field, const vfio::compat::v1::Range& range) {
  if (range.first() <= range.last()) return absl::OkStatus();
  return InvalidField(absl::StrCat(field, ".last"),
                      absl::StrFormat("%#x is below first, %#x", range.last(), range.first()));
}

absl::Status CheckRequestId(const std::string& request_id) {
  if (request_id.size() <= kMaxRequestId && IsPrintable(request_id)) return absl::OkStatus();
  return InvalidField("request_id", absl::StrCat(Quoted(request_id), ": expected at most ",
                                                 kMaxRequestId, " printable characters"));
}

absl::StatusOr<size_t> CheckPageSize(int32_t page_size) {
  if (page_size == 0) return kDefaultPageSize;
  if (page_size > 0 && page_size <= kMaxPageSize) return static_cast<size_t>(page_size);
  return InvalidField("page_size", absl::StrCat(page_size, ": expected 0 (", kDefaultPageSize,
                                                ") to ", kMaxPageSize));
}

}  // namespace tools::daemon
