// Writing JSON, piece by piece.
#ifndef TOOLS_CLI_JSON_H_
#define TOOLS_CLI_JSON_H_

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace tools::cli {

// `text`, which is UTF-8, as a string.
std::string JsonString(std::string_view text);

// Values that are JSON already as an array, on one line.
std::string JsonList(const std::vector<std::string>& values);

// Members of an object: a name, and a value that is JSON already. On one line.
using JsonMembers = std::vector<std::pair<std::string_view, std::string>>;
std::string JsonObject(const JsonMembers& members);

inline std::string JsonBool(bool value) { return value ? "true" : "false"; }

}  // namespace tools::cli

#endif  // TOOLS_CLI_JSON_H_
