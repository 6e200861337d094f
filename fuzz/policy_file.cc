// Any text as a policy file: read by a grammar of its own, which looks at one byte after another,
// it has to come to the same roles, the same revoked certificates, and the same first line that is
// wrong.
#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "fuzz/input.h"
#include "tools/daemon/access/policy.h"

namespace {

using tools::daemon::Policy;
using tools::daemon::Role;

// What a file says; `wrong_line` is the first one that is wrong, counted from 1, or 0.
struct Reading {
  std::map<std::string, Role> roles;
  std::set<std::string> serials;
  std::set<std::string> fingerprints;
  int wrong_line = 0;
};

std::vector<std::string> Words(std::string_view line) {
  std::vector<std::string> words;
  bool is_between = true;
  for (const char c : line) {
    if (c == '#') break;
    if (c == ' ' || c == '\t') {
      is_between = true;
      continue;
    }
    if (is_between) words.emplace_back();
    is_between = false;
    words.back() += c;
  }
  return words;
}

std::optional<Role> RoleNamed(const std::string& word) {
  const std::map<std::string, Role> names = {
      {"reader", Role::kReader}, {"operator", Role::kOperator}, {"admin", Role::kAdmin}};
  const auto found = names.find(word);
  if (found == names.end()) return std::nullopt;
  return found->second;
}

// Hexadecimal digits as capitals; nothing if there is anything else. Colons may be passed over.
std::optional<std::string> Digits(std::string_view text, bool may_have_colons) {
  std::string digits;
  for (const char c : text) {
    if (c == ':' && may_have_colons) continue;
    if ((c >= '0' && c <= '9') || (c >= 'A' && c <= 'F')) {
      digits += c;
    } else if (c >= 'a' && c <= 'f') {
      digits += static_cast<char>(c - 'a' + 'A');
    } else {
      return std::nullopt;
    }
  }
  return digits;
}

bool ReadRevocation(const std::string& word, Reading& reading) {
  constexpr std::string_view kFingerprint = "sha256:";
  if (word.compare(0, kFingerprint.size(), kFingerprint) == 0) {
    const auto digits = Digits(word.substr(kFingerprint.size()), true);
    if (!digits || digits->size() != 64) return false;
    reading.fingerprints.insert(*digits);
    return true;
  }
  const auto digits = Digits(word, false);
  if (!digits) return false;
  const size_t first = std::min(digits->find_first_not_of('0'), digits->size());
  const std::string serial = digits->substr(first);
  if (serial.empty() || serial.size() > 40) return false;
  reading.serials.insert(serial);
  return true;
}

bool ReadLine(std::string_view line, Reading& reading) {
  const std::vector<std::string> words = Words(line);
  if (words.empty()) return true;
  if (words[0] == "revoke" && words.size() == 2) return ReadRevocation(words[1], reading);
  if (words[0] != "role" || words.size() != 3) return false;
  const std::optional<Role> role = RoleNamed(words[2]);
  return role && reading.roles.insert({words[1], *role}).second;
}

Reading Read(std::string_view text) {
  Reading reading;
  for (int number = 1;; ++number) {
    const size_t end = std::min(text.find('\n'), text.size());
    if (!ReadLine(text.substr(0, end), reading)) {
      reading.wrong_line = number;
      return reading;
    }
    if (end == text.size()) return reading;
    text.remove_prefix(end + 1);
  }
}

void CheckPolicy(const Policy& policy, const Reading& reading) {
  for (const auto& [name, role] : reading.roles) {
    FUZZ_REQUIRE(policy.RoleOf(name) == role);
    // Part of a name is another one.
    const std::string shorter = name.substr(0, name.size() - 1);
    if (reading.roles.count(shorter) == 0) FUZZ_REQUIRE(policy.RoleOf(shorter) == Role::kNone);
  }
  for (const std::string& serial : reading.serials) {
    FUZZ_REQUIRE(policy.IsRevoked(serial, ""));
    // A number is no fingerprint.
    FUZZ_REQUIRE(policy.IsRevoked("", serial) == (reading.fingerprints.count(serial) != 0));
  }
  for (const std::string& fingerprint : reading.fingerprints) {
    FUZZ_REQUIRE(policy.IsRevoked("", fingerprint));
    FUZZ_REQUIRE(!policy.IsRevoked(fingerprint, ""));
  }
  FUZZ_REQUIRE(!policy.IsRevoked("", ""));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  const auto policy = Policy::Parse(text, "a file");
  const Reading reading = Read(text);
  if (policy.ok()) {
    FUZZ_REQUIRE(reading.wrong_line == 0);
    CheckPolicy(*policy, reading);
    return 0;
  }
  FUZZ_REQUIRE(absl::IsInvalidArgument(policy.status()));
  const std::string message(policy.status().message());
  const std::string prefix = "a file:" + std::to_string(reading.wrong_line) + ": ";
  FUZZ_REQUIRE(message.compare(0, prefix.size(), prefix) == 0 && message.size() > prefix.size());
  // It goes into a log, a line each.
  FUZZ_REQUIRE(
      std::none_of(message.begin(), message.end(), [](unsigned char c) { return c < 32; }));
  return 0;
}
