// Prints the words of the command line, its subcommands and options, as a dictionary for libFuzzer.
#include <CLI/CLI.hpp>
#include <cstdio>
#include <set>
#include <string>

#include "tools/cli/options.h"

namespace {

void Collect(const CLI::App& app, std::set<std::string>& words) {
  words.insert(app.get_name());
  for (const CLI::Option* const option : app.get_options()) words.insert(option->get_name());
  for (const CLI::App* const command : app.get_subcommands(nullptr)) Collect(*command, words);
}

}  // namespace

int main() {
  CLI::App app("", "vfio-compat");
  tools::cli::Options options;
  tools::cli::AddSubcommands(app, options);
  std::set<std::string> words;
  Collect(app, words);
  for (const std::string& word : words) {
    if (!word.empty()) std::printf("\"%s\"\n", word.c_str());
  }
  return 0;
}
