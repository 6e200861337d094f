#include "tools/cli/json.h"

#include <cstdio>

namespace tools::cli {

std::string JsonString(std::string_view text) {
  std::string quoted = "\"";
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7f) {
      char escaped[8];
      std::snprintf(escaped, sizeof(escaped), "\\u%04x", byte);
      quoted += escaped;
      continue;
    }
    if (c == '"' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "\"";
}

std::string JsonList(const std::vector<std::string>& values) {
  std::string list = "[";
  for (const std::string& value : values) {
    if (list.size() > 1) list += ", ";
    list += value;
  }
  return list + "]";
}

std::string JsonObject(const JsonMembers& members) {
  std::string object = "{";
  for (const auto& [name, value] : members) {
    if (object.size() > 1) object += ", ";
    object += JsonString(name) + ": " + value;
  }
  return object + "}";
}

}  // namespace tools::cli
