// Prints inputs of the sequence targets as scripts of vconf, or makes an input of a script.
#include <cstdio>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "fuzz/sequence/script.h"
#include "fuzz/sequence/step.h"
#include "fuzz/sequence/survivable.h"

namespace {

using fuzz::sequence::Kind;
using fuzz::sequence::Step;

constexpr char kUsage[] =
    "usage: to_vc [--kind type1|spapr|mixed] [--kernel | --reverse] FILE...\n"
    "Prints inputs as scripts. The kind is the one that is in a file's path, unless it is said.\n"
    "  --kernel   what a real kernel can be asked, each script below a line `# script NAME`\n"
    "  --reverse  FILE is a script: prints the input that it is, as far as there is one\n";

struct Options {
  std::string kind;
  bool for_kernel = false;
  bool reverse = false;
  std::vector<std::string> files;
};

bool Parse(int argc, char** argv, Options& options) {
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--kind") == 0 && i + 1 < argc) {
      options.kind = argv[++i];
    } else if (std::strcmp(argv[i], "--kernel") == 0) {
      options.for_kernel = true;
    } else if (std::strcmp(argv[i], "--reverse") == 0) {
      options.reverse = true;
    } else if (argv[i][0] == '-') {
      return false;
    } else {
      options.files.emplace_back(argv[i]);
    }
  }
  return !options.files.empty();
}

bool KindOf(const std::string& name, Kind& kind) {
  constexpr struct {
    const char* name;
    Kind kind;
  } kKinds[] = {{"type1", Kind::kType1}, {"spapr", Kind::kSpapr}, {"mixed", Kind::kMixed}};
  for (const auto& each : kKinds) {
    if (name.find(each.name) == std::string::npos) continue;
    kind = each.kind;
    return true;
  }
  return false;
}

void PrintScript(Kind kind, const std::string& file, bool for_kernel) {
  std::ifstream stream(file, std::ios::binary);
  const std::string text((std::istreambuf_iterator<char>(stream)),
                         std::istreambuf_iterator<char>());
  const std::vector<uint8_t> bytes(text.begin(), text.end());
  std::vector<Step> steps = fuzz::sequence::Decode(kind, bytes);
  if (for_kernel) {
    steps = fuzz::sequence::Survivable(kind, steps);
    std::printf("# script %s\n", std::filesystem::path(file).filename().c_str());
  }
  std::fputs(fuzz::sequence::Preamble().c_str(), stdout);
  for (const Step& step : steps) std::printf("%s\n", fuzz::sequence::LineOf(step).c_str());
}

void PrintInput(Kind kind, const std::string& file) {
  std::ifstream stream(file);
  const std::vector<uint8_t> bytes =
      fuzz::sequence::Encode(kind, fuzz::sequence::ReadScript(stream));
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
}

}  // namespace

int main(int argc, char** argv) {
  Options options;
  if (!Parse(argc, argv, options)) {
    std::fputs(kUsage, stderr);
    return 2;
  }
  for (const std::string& file : options.files) {
    Kind kind;
    const std::string& named = options.kind.empty() ? file : options.kind;
    if (!KindOf(named, kind) || !std::filesystem::is_regular_file(file)) {
      std::fprintf(stderr, "%s: no such file, or its kind has to be said\n%s", file.c_str(),
                   kUsage);
      return 2;
    }
    options.reverse ? PrintInput(kind, file) : PrintScript(kind, file, options.for_kernel);
  }
  return 0;
}
