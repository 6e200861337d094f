// What operators write: the command lines of vfio-compat and vfio-compat-control, the environment,
// and the grammar of both. What is accepted says the same when it is written out and read again,
// and is in its range; what is refused is refused with one line that says where.
//
// An input: what it is read as, and words that a zero byte ends.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <iterator>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compat/decode/call.h"
#include "compat/decode/documentation.h"
#include "compat/settings/environment.h"
#include "compat/settings/settings.h"
#include "compat/settings/text.h"
#include "fuzz/input.h"
#include "tools/cli/options.h"

namespace {

namespace decode = compat::decode;
namespace settings = compat::settings;

constexpr const char* kVariables[] = {
    settings::kBackendVariable,    settings::kDevicesVariable,   settings::kFaultsVariable,
    settings::kIommuVariable,      settings::kContainerVariable, settings::kPlatformVariable,
    settings::kTce64StartVariable, settings::kLogVariable,       settings::kLogFileVariable,
    settings::kHostVariable,       settings::kControlVariable,   settings::kSummaryVariable,
};

std::vector<std::string> TakeWords(fuzz::Input& input) {
  std::vector<std::string> words(1);
  for (const uint8_t byte : input.TakeRest()) {
    if (byte == 0) {
      words.emplace_back();
    } else {
      words.back() += static_cast<char>(byte);
    }
  }
  return words;
}

// A reason that is shown to people, and stands in logs.
void CheckMessage(const std::string& message) {
  FUZZ_REQUIRE(!message.empty());
  FUZZ_REQUIRE(std::none_of(message.begin(), message.end(),
                            [](unsigned char c) { return c < 32 || c == 127; }));
}

// Reads words as arguments, and returns what they name; nothing if they were refused.
CLI::App* Parse(CLI::App& app, const std::vector<std::string>& words) {
  try {
    app.parse(std::vector<std::string>(words.rbegin(), words.rend()));
  } catch (const CLI::ParseError& error) {
    FUZZ_REQUIRE(error.get_exit_code() == 0 || !std::string(error.what()).empty());
    return nullptr;
  }
  FUZZ_REQUIRE(app.get_subcommands().size() == 1);
  return app.get_subcommands().front();
}

bool IsOneOf(const std::string& text, std::initializer_list<std::string_view> texts) {
  return std::find(texts.begin(), texts.end(), text) != texts.end();
}

void CheckArguments(const std::vector<std::string>& words) {
  CLI::App app("", "vfio-compat");
  tools::cli::Options options;
  tools::cli::AddSubcommands(app, options);
  CLI::App* const chosen = Parse(app, words);
  if (chosen == nullptr) return;
  const std::string name = chosen->get_name();
  const auto& common = options.common;
  const auto& control = options.control;
  FUZZ_REQUIRE(common.timeout >= 0.1 && common.timeout <= 3600);
  FUZZ_REQUIRE(control.interval >= 0.1 && control.interval <= 3600);
  FUZZ_REQUIRE(IsOneOf(control.access, {"", "r", "w", "rw"}));
  if (name == "faults") FUZZ_REQUIRE(IsOneOf(control.call, {"", "list", "clear", "restore"}));
  // Two ways to say what is concerned would be two things.
  FUZZ_REQUIRE((control.group.has_value() ? 1 : 0) + (control.device.empty() ? 0 : 1) <= 1);
  if (name == "completion") FUZZ_REQUIRE(IsOneOf(options.shell, {"bash", "zsh", "fish"}));
  if (tools::control::IsCommand(name)) {
    // vfio-compat hands these over: its helper has to understand them as well.
    CLI::App helper("", "vfio-compat");
    helper.require_subcommand(1);
    tools::control::CommonOptions its_common;
    tools::control::CommandOptions its_options;
    tools::control::AddCommands(helper, its_common, its_options);
    const CLI::App* const its = Parse(helper, words);
    FUZZ_REQUIRE(its != nullptr && its->get_name() == name);
    FUZZ_REQUIRE(its_options.session == control.session && its_options.range == control.range);
  }
}

void SetEnvironment(const std::vector<std::string>& values) {
  for (size_t i = 0; i < std::size(kVariables); ++i) {
    if (i < values.size()) {
      setenv(kVariables[i], values[i].c_str(), 1);
    } else {
      unsetenv(kVariables[i]);
    }
  }
}

void SetAssignments(const std::vector<std::string>& assignments) {
  SetEnvironment({});
  for (const std::string& assignment : assignments) {
    const size_t equals = assignment.find('=');
    FUZZ_REQUIRE(equals != std::string::npos);
    setenv(assignment.substr(0, equals).c_str(), assignment.c_str() + equals + 1, 1);
  }
}

void CheckSettings(const settings::Settings& read) {
  std::set<std::string> addresses;
  for (const settings::DeviceSettings& device : read.devices) {
    FUZZ_REQUIRE(addresses.insert(device.address.ToString()).second);
    FUZZ_REQUIRE(device.group <= INT32_MAX && device.image.starts_with('/'));
    FUZZ_REQUIRE(device.block_size == 512 || device.block_size == 4096);
  }
  for (const settings::FaultRange& fault : read.faults) FUZZ_REQUIRE(fault.first <= fault.last);
  FUZZ_REQUIRE(!read.tce64_start || (*read.tce64_start != 0 && *read.tce64_start % 4096 == 0));
  FUZZ_REQUIRE(read.devices.empty() || settings::ResolveBackend(read) == settings::Backend::kSoft);
  for (const std::string* path : {&read.log_file, &read.host, &read.control}) {
    FUZZ_REQUIRE(path->empty() || path->starts_with('/'));
  }
}

void CheckEnvironment(const std::vector<std::string>& values) {
  SetEnvironment(values);
  const auto first = settings::FromEnvironment();
  if (!first.ok()) {
    CheckMessage(first.message());
    // It names the variable.
    FUZZ_REQUIRE(std::any_of(std::begin(kVariables), std::end(kVariables), [&](std::string name) {
      return first.message().starts_with(name + ": ");
    }));
    return;
  }
  CheckSettings(*first);
  const std::vector<std::string> written = settings::ToEnvironment(*first);
  SetAssignments(written);
  FUZZ_REQUIRE(settings::EnvironmentAsksForHost());
  const auto second = settings::FromEnvironment();
  FUZZ_REQUIRE(second.ok() && settings::ToEnvironment(*second) == written);
  FUZZ_REQUIRE(second->devices.size() == first->devices.size());
  for (size_t i = 0; i < first->devices.size(); ++i) {
    FUZZ_REQUIRE(second->devices[i].address == first->devices[i].address);
    FUZZ_REQUIRE(second->devices[i].image == first->devices[i].image);
    FUZZ_REQUIRE(second->devices[i].group == first->devices[i].group);
  }
  FUZZ_REQUIRE(second->faults == first->faults && second->host == first->host);
}

// A number by the rules of arithmetic on paper; nothing if it is none of 64 bits.
std::optional<uint64_t> NumberOf(std::string text) {
  const bool is_hexadecimal = text.starts_with("0x") || text.starts_with("0X");
  if (is_hexadecimal) text.erase(0, 2);
  const std::string_view suffixes = "KMGT";
  unsigned __int128 factor = 1;
  const size_t suffix = text.empty() ? std::string::npos : suffixes.find(text.back());
  if (suffix != std::string::npos) {
    for (size_t i = 0; i <= suffix; ++i) factor *= 1024;
    text.pop_back();
  }
  if (text.empty()) return std::nullopt;
  unsigned __int128 value = 0;
  for (const char c : text) {
    const std::string_view digits = is_hexadecimal ? "0123456789abcdef" : "0123456789";
    const size_t digit = digits.find(c >= 'A' && c <= 'F' ? static_cast<char>(c - 'A' + 'a') : c);
    if (digit == std::string::npos) return std::nullopt;
    value = value * digits.size() + digit;
    if (value > UINT64_MAX) return std::nullopt;
  }
  value *= factor;
  if (value > UINT64_MAX) return std::nullopt;
  return static_cast<uint64_t>(value);
}

void CheckWord(const std::string& word) {
  const auto number = settings::ParseNumber(word);
  const std::optional<uint64_t> expected = NumberOf(word);
  FUZZ_REQUIRE(number.ok() == expected.has_value());
  if (number.ok()) {
    FUZZ_REQUIRE(*number == *expected);
    FUZZ_REQUIRE(*settings::ParseNumber(settings::HexNumber(*number)) == *number);
  } else {
    CheckMessage(number.message());
  }
  const auto address = settings::ParsePciAddress(word);
  if (address.ok()) {
    FUZZ_REQUIRE(address->device < 32 && address->function < 8);
    FUZZ_REQUIRE(*settings::ParsePciAddress(address->ToString()) == *address);
  } else {
    CheckMessage(address.message());
  }
  const auto device = settings::ParseDevice(word);
  if (device.ok()) {
    const auto again = settings::ParseDevice(settings::ToString(*device));
    FUZZ_REQUIRE(again.ok() && settings::ToString(*again) == settings::ToString(*device));
    FUZZ_REQUIRE(again->image == device->image && !device->image.empty());
  } else {
    CheckMessage(device.message());
  }
  const auto fault = settings::ParseFault(word);
  if (fault.ok()) {
    FUZZ_REQUIRE(*settings::ParseFault(settings::ToString(*fault)) == *fault);
  } else {
    CheckMessage(fault.message());
  }
}

// What `decode` is asked for: names, kinds and types are as the rows have them, and numbers in any
// form mean what the rows say that they mean.
void CheckCalls(const std::string& word) {
  const auto all = decode::AllCalls();
  const auto named = decode::CallsNamed(word);
  const auto has_name = [&](const decode::CallRow& row) { return row.name == word; };
  FUZZ_REQUIRE(static_cast<size_t>(std::ranges::count_if(all, has_name)) == named.size());
  FUZZ_REQUIRE(std::ranges::all_of(named, has_name));
  if (const auto kind = decode::KindNamed(word)) FUZZ_REQUIRE(decode::Name(*kind) == word);
  if (const auto type = decode::TypeNamed(word)) FUZZ_REQUIRE(decode::Name(*type) == word);

  const auto number = settings::ParseNumber(word);
  if (!number.ok() || *number > UINT32_MAX) return;
  uint32_t request = static_cast<uint32_t>(*number);
  // Offsets from VFIO_BASE, which is 100, and lower bytes of requests.
  if (request < 256) request = 0x3b00 + request + (request < 100 ? 100 : 0);
  const auto has_number = [&](const decode::CallRow& row) { return row.request == request; };
  const auto numbered = decode::CallsNumbered(static_cast<uint32_t>(*number));
  FUZZ_REQUIRE(static_cast<size_t>(std::ranges::count_if(all, has_number)) == numbered.size());
  FUZZ_REQUIRE(std::ranges::all_of(numbered, has_number));
  for (const decode::CallRow& row : numbered) {
    FUZZ_REQUIRE(!decode::WhereValid(row).empty() && !decode::ArgumentText(row).empty());
    FUZZ_REQUIRE(!decode::FlagsText(row).empty());
  }
}

// What is joined with separators comes apart as it was.
void CheckLists(const std::vector<std::string>& words) {
  std::string joined;
  for (const std::string& word : words) {
    // An element that is empty, or begins with a separator, cannot be told from an escape.
    if (word.empty() || word.front() == ',') return;
    if (!joined.empty()) joined += ',';
    joined += settings::Escape(word, ',');
  }
  FUZZ_REQUIRE(settings::SplitEscaped(joined, ',') == words);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  fuzz::Input input(data, size);
  const uint32_t kind = input.TakeBelow(3);
  const std::vector<std::string> words = TakeWords(input);
  switch (kind) {
    case 0:
      CheckArguments(words);
      break;
    case 1:
      CheckEnvironment(words);
      break;
    default:
      for (const std::string& word : words) {
        CheckWord(word);
        CheckCalls(word);
      }
      CheckLists(words);
      break;
  }
  return 0;
}
