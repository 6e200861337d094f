#include "tools/cli/kernel_config.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>

namespace tools::cli {
namespace {

// `text` as one word of a shell's.
std::string ShellQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'') {
      quoted += "'\\''";
    } else {
      quoted += c;
    }
  }
  return quoted + "'";
}

std::string ReadPlain(const std::string& path) {
  std::ostringstream text;
  // Unlike an iterator over the file, this does not throw where it cannot be read.
  text << std::ifstream(path, std::ios::binary).rdbuf();
  return text.str();
}

// gzip is on every machine with a shell; a library would be one more dependency.
std::string ReadCompressed(const std::string& path) {
  if (access(path.c_str(), R_OK) != 0) return "";
  FILE* const output = popen(("gzip -dc < " + ShellQuoted(path) + " 2>/dev/null").c_str(), "re");
  if (output == nullptr) return "";
  std::string text;
  char buffer[4096];
  while (const size_t size = fread(buffer, 1, sizeof(buffer), output)) text.append(buffer, size);
  pclose(output);
  return text;
}

}  // namespace

KernelConfig KernelConfig::Read(const std::string& root, const std::string& release) {
  KernelConfig config;
  for (const std::string& path : {std::string("/proc/config.gz"), "/boot/config-" + release,
                                  "/lib/modules/" + release + "/config"}) {
    const std::string text =
        path.ends_with(".gz") ? ReadCompressed(root + path) : ReadPlain(root + path);
    if (text.empty()) continue;
    config.text_ = "\n" + text;
    config.path_ = path;
    break;
  }
  return config;
}

OptionValue KernelConfig::Value(std::string_view name) const {
  if (!is_known()) return OptionValue::kUnknown;
  const std::string assignment = "\n" + std::string(name) + "=";
  const size_t found = text_.find(assignment);
  if (found == std::string::npos) return OptionValue::kNo;
  const size_t value = found + assignment.size();
  return value < text_.size() && text_[value] == 'm' ? OptionValue::kModule : OptionValue::kYes;
}

}  // namespace tools::cli
