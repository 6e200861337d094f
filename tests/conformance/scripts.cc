#include "tests/conformance/scripts.h"

#include <algorithm>
#include <filesystem>

#include "tests/support/runfiles.h"

namespace tests::conformance {
namespace {

constexpr char kFolder[] = "tests/conformance/";

}  // namespace

std::vector<std::string> Scripts(const std::string& folder) {
  std::vector<std::string> scripts;
  for (const auto& file : std::filesystem::directory_iterator(Runfile(kFolder + folder))) {
    if (file.path().extension() == ".vc") {
      scripts.push_back(folder + "/" + file.path().stem().string());
    }
  }
  std::sort(scripts.begin(), scripts.end());
  return scripts;
}

std::string ScriptFile(const std::string& script) { return Runfile(kFolder + script + ".vc"); }

std::string ContainerOf(const std::string& script) { return script.substr(0, script.find('/')); }

std::string CaseName(const std::string& script) {
  std::string name = script.substr(script.find('/') + 1);
  std::replace(name.begin(), name.end(), '-', '_');
  return name;
}

std::string Differences(const std::string& script, const Lines& played) {
  Lines problems;
  const auto deviations =
      ParseDeviations(ReadFile(Runfile("tests/conformance/deviations.txt")), problems);
  const Lines recorded = SplitLines(ReadFile(Runfile(kFolder + script + ".out")));
  const Lines expected = Apply(deviations, script, recorded, problems);
  std::string differences;
  for (const std::string& problem : problems) differences += "\n" + problem;
  for (size_t i = 0; i < std::max(expected.size(), played.size()); ++i) {
    const std::string wanted = i < expected.size() ? expected[i] : "";
    const std::string found = i < played.size() ? played[i] : "";
    if (wanted == found) continue;
    differences += "\nwanted " + wanted + "\nfound  " + found;
  }
  return differences;
}

}  // namespace tests::conformance
