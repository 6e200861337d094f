// The reference answers what real kernels answered: the recordings of tests/conformance.
#include "fuzz/sequence/reference.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <map>
#include <set>
#include <string>

#include "compat/abi/vfio_container.h"
#include "compat/abi/vfio_spapr.h"
#include "fuzz/sequence/script.h"

namespace fuzz::sequence {
namespace {

namespace fs = std::filesystem;

constexpr char kRecordings[] = "tests/conformance";

// Lines that sequences have otherwise: "SCRIPT LINE".
const std::set<std::string> kOtherwise = {
    // Deviations of the product's (tests/conformance/deviations.txt).
    "type1/01-select 9",
    "spapr/02-map 20",
    "spapr/02-map 33",
    "spapr/03-windows 37",
    "spapr/03-windows 40",
    "spapr/03-windows 41",
    // BIND_IOMMUFD on a device's descriptor, which depends on the kernel's configuration.
    "type1/06-numbers 45",
};

// What was recorded of a script, by the lines' numbers.
std::map<int, std::string> ReadRecording(const fs::path& file) {
  std::map<int, std::string> results;
  std::ifstream stream(file);
  for (std::string text; std::getline(stream, text);) {
    const size_t arrow = text.find(" => ");
    if (text.find("| ") == 4 && arrow != std::string::npos) {
      results[std::stoi(text)] = text.substr(arrow + 4);
    }
  }
  return results;
}

std::string Text(long result) {
  return result >= 0 ? std::to_string(result) : "-1 " + std::string(strerrorname_np(-result));
}

// As vconf prints the result, as far as sequences know of it.
std::string Answer(const Step& step, long result, const Request& request) {
  std::string text = Text(result);
  char size[40];
  if (step.op == Op::kUnmap && result >= 0) {
    std::snprintf(size, sizeof(size), " size=0x%lx", request.As<compat::abi::DmaUnmap>().size);
    text += size;
  }
  return text;
}

// Makes a script's calls on the reference, up to the first fork: a child's are none of a
// sequence's. Returns how many were recorded.
int CompareScript(Kind kind, const std::string& script) {
  const fs::path path = fs::path(kRecordings) / script;
  std::map<int, std::string> recorded = ReadRecording(path.string() + ".out");
  Reference reference(kind);
  ScriptReader reader;
  int compared = 0;
  int number = 0;
  std::ifstream stream(path.string() + ".vc");
  for (std::string line; std::getline(stream, line) && line != "fork";) {
    ++number;
    const auto step = reader.Read(line);
    if (!step || !recorded.contains(number)) continue;
    Request request;
    if (IsPlainIoctl(step->op)) request = MakeRequest(*step);
    const std::string answer = Answer(*step, reference.Make(*step, request), request);
    if (step->op == Op::kCreate && answer == "0") {
      reader.Set("start", request.As<compat::abi::SpaprTceCreate>().start_addr);
    }
    const std::string name = script + " " + std::to_string(number);
    if (kOtherwise.contains(name)) continue;
    ++compared;
    EXPECT_EQ(answer, recorded[number].substr(0, answer.size())) << name << ": " << line;
  }
  return compared;
}

class RecordingTest : public testing::TestWithParam<const char*> {};

TEST_P(RecordingTest, AnswersOfTheReferenceAreTheKernels) {
  const std::string folder = GetParam();
  const Kind kind = folder == "type1" ? Kind::kType1 : Kind::kSpapr;
  int compared = 0;
  for (const auto& file : fs::directory_iterator(fs::path(kRecordings) / folder)) {
    if (file.path().extension() != ".out") continue;
    compared += CompareScript(kind, folder + "/" + file.path().stem().string());
  }
  EXPECT_GT(compared, 150);
}

INSTANTIATE_TEST_SUITE_P(Folders, RecordingTest, testing::Values("type1", "spapr"),
                         [](const auto& folder) { return std::string(folder.param); });

}  // namespace
}  // namespace fuzz::sequence
