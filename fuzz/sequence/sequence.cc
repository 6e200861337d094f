#include "fuzz/sequence/sequence.h"

#include <cinttypes>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "fuzz/sequence/product.h"
#include "fuzz/sequence/reference.h"
#include "fuzz/sequence/request.h"
#include "fuzz/sequence/script.h"
#include "fuzz/sequence/view.h"

namespace fuzz::sequence {
namespace {

class Comparison {
 public:
  Comparison(Kind kind, std::span<const Step> steps)
      : kind_(kind), steps_(steps), product_(kind), reference_(kind) {}

  void Run() {
    for (; at_ < steps_.size(); ++at_) MakeStep(steps_[at_]);
    // What ends with the program's descriptors.
    product_.CloseAll();
    reference_.CloseAll();
    CompareStates();
  }

 private:
  void MakeStep(const Step& step) {
    Request expected;
    if (IsPlainIoctl(step.op)) expected = MakeRequest(step);
    Request actual = expected;
    const Request before = expected;
    const std::vector<uint64_t> counters = CountersOf(product_);
    const long expected_result = reference_.Make(step, expected);
    const long result = product_.Make(step, actual);
    if (result != expected_result) {
      Disagree("returned " + std::to_string(expected_result) + " expected, " +
               std::to_string(result) + " came");
    }
    if (actual.structure != expected.structure) {
      Disagree("structure expected:" + Bytes(expected.structure) +
               "\ncame:" + Bytes(actual.structure) + "\nbefore:" + Bytes(before.structure));
    }
    if (actual.bitmap != expected.bitmap) {
      Disagree("bitmap expected:" + Words(expected.bitmap) + "\ncame:" + Words(actual.bitmap));
    }
    const Facts facts = std::move(facts_);
    CompareStates();
    const bool is_as_before = result < 0 && facts_ == facts;
    if (is_as_before && CountsNothing(step) && CountersOf(product_) != counters) {
      Disagree("what failed has changed what is counted");
    }
  }

  // Whether a step that fails and leaves the state as it was counts nothing. In a window the pages
  // before the one that cannot be mapped were, and are not any more.
  bool CountsNothing(const Step& step) const {
    return step.op != Op::kMap || kind_ == Kind::kType1;
  }

  void CompareStates() {
    facts_ = FactsOf(reference_);
    const Facts& expected = facts_;
    const Facts actual = FactsOf(product_);
    if (actual != expected) {
      Disagree("states differ, - is expected, + is there:\n" + Difference(expected, actual));
    }
    const std::string wrong = CheckTranslations(product_, reference_);
    if (!wrong.empty()) Disagree(wrong);
  }

  static std::string Bytes(const std::vector<std::byte>& bytes) {
    std::string text;
    char one[8];
    for (size_t i = 0; i < bytes.size() && i < 160; ++i) {
      std::snprintf(one, sizeof(one), i % 8 == 0 ? "  %02x" : " %02x",
                    static_cast<unsigned>(bytes[i]));
      text += one;
    }
    return text;
  }

  static std::string Words(const std::vector<uint64_t>& words) {
    std::string text;
    char one[24];
    for (size_t i = 0; i < words.size() && i < 32; ++i) {
      std::snprintf(one, sizeof(one), " %016" PRIx64, words[i]);
      text += one;
    }
    return text;
  }

  [[noreturn]] void Disagree(const std::string& what) const {
    std::string script = Preamble();
    for (size_t i = 0; i <= at_ && i < steps_.size(); ++i) script += LineOf(steps_[i]) + "\n";
    std::fprintf(stderr, "%sThe last step disagrees with the reference.\n%s\n", script.c_str(),
                 what.c_str());
    std::abort();
  }

  Kind kind_;
  std::span<const Step> steps_;
  Product product_;
  Reference reference_;
  Facts facts_;  // the reference's after the last step
  size_t at_ = 0;
};

}  // namespace

void RunSequence(Kind kind, std::span<const uint8_t> input) {
  const std::vector<Step> steps = Decode(kind, input);
  Comparison(kind, steps).Run();
}

}  // namespace fuzz::sequence
