#include "tools/daemon/access/policy.h"

#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "tools/files/read_file.h"

namespace tools::daemon {
namespace {

constexpr absl::string_view kFingerprint = "sha256:";
// Of a serial number: RFC 5280 allows 20 bytes.
constexpr size_t kMaxSerial = 40;

// A word of the file as a log may show it: a line that ends as on other systems has a \r in it.
std::string Shown(absl::string_view word) {
  return absl::StrCat("'", absl::Utf8SafeCHexEscape(word), "'");
}

absl::Status Bad(absl::string_view why) { return absl::InvalidArgumentError(why); }

bool IsHexadecimal(absl::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789ABCDEF") == absl::string_view::npos;
}

absl::StatusOr<Role> ParseRole(absl::string_view text) {
  if (text == "reader") return Role::kReader;
  if (text == "operator") return Role::kOperator;
  if (text == "admin") return Role::kAdmin;
  return Bad(absl::StrCat(Shown(text), " is no role: reader, operator or admin"));
}

}  // namespace

absl::Status Policy::ParseRevocation(absl::string_view what) {
  std::string number = absl::AsciiStrToUpper(what);
  if (absl::StartsWith(what, kFingerprint)) {
    number = absl::StrReplaceAll(number.substr(kFingerprint.size()), {{":", ""}});
    if (number.size() != 64 || !IsHexadecimal(number)) {
      return Bad("a sha256 fingerprint has 64 hexadecimal digits");
    }
    fingerprints_.insert(number);
    return absl::OkStatus();
  }
  number.erase(0, number.find_first_not_of('0'));
  if (!IsHexadecimal(number) || number.size() > kMaxSerial) {
    return Bad(absl::StrCat(Shown(what), " is neither a serial number nor sha256:FINGERPRINT"));
  }
  serials_.insert(number);
  return absl::OkStatus();
}

absl::Status Policy::ParseLine(absl::string_view line) {
  const std::vector<absl::string_view> words =
      absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
  if (words.empty()) return absl::OkStatus();
  if (words[0] == "revoke" && words.size() == 2) return ParseRevocation(words[1]);
  if (words[0] != "role" || words.size() != 3) {
    return Bad("neither 'role NAME ROLE' nor 'revoke SERIAL|sha256:FINGERPRINT'");
  }
  const absl::StatusOr<Role> role = ParseRole(words[2]);
  if (!role.ok()) return role.status();
  if (!roles_.emplace(words[1], *role).second) {
    return Bad(absl::StrCat(Shown(words[1]), " has a role already"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Policy> Policy::Parse(absl::string_view text, absl::string_view file) {
  Policy policy;
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    ++number;
    const absl::Status status = policy.ParseLine(line.substr(0, line.find('#')));
    if (!status.ok()) return Bad(absl::StrCat(file, ":", number, ": ", status.message()));
  }
  return policy;
}

Role Policy::RoleOf(const std::string& name) const {
  const auto found = roles_.find(name);
  return found == roles_.end() ? Role::kNone : found->second;
}

bool Policy::IsRevoked(const std::string& serial, const std::string& fingerprint) const {
  return serials_.count(serial) != 0 || fingerprints_.count(fingerprint) != 0;
}

absl::Status PolicyFile::Load() {
  const absl::StatusOr<std::string> text = files::ReadFile(path_);
  if (!text.ok()) return text.status();
  absl::StatusOr<Policy> policy = Policy::Parse(*text, path_);
  if (!policy.ok()) return policy.status();
  auto loaded = std::make_shared<const Policy>(*std::move(policy));
  const std::lock_guard lock(mutex_);
  policy_ = std::move(loaded);
  return absl::OkStatus();
}

std::shared_ptr<const Policy> PolicyFile::policy() const {
  const std::lock_guard lock(mutex_);
  return policy_;
}

}  // namespace tools::daemon
