#include "tools/cli/completion.h"

#include <CLI/CLI.hpp>
#include <vector>

namespace tools::cli {
namespace {

constexpr char kListSessions[] = "vfio-compat ps --quiet 2>/dev/null";

// What a subcommand can be completed with. Option groups are apps without a name.
struct Words {
  std::string options;  // separated by spaces
  bool takes_session = false;
};

void Collect(const CLI::App& app, Words& words) {
  for (const CLI::Option* option : app.get_options()) {
    // Those without a group are not for people.
    if (option->get_group().empty()) continue;
    if (option->get_name() == "SESSION") words.takes_session = true;
    for (const std::string& name : option->get_lnames()) {
      // A group has the help of the command that it is a part of.
      if (name != "help" || !app.get_name().empty()) words.options += " --" + name;
    }
  }
  for (const CLI::App* group : app.get_subcommands({})) {
    if (group->get_name().empty()) Collect(*group, words);
  }
}

std::vector<const CLI::App*> Subcommands(const CLI::App& app) { return app.get_subcommands({}); }

std::string Bash(const CLI::App& app) {
  std::string names;
  std::string cases;
  for (const CLI::App* command : Subcommands(app)) {
    Words words;
    Collect(*command, words);
    names += " " + command->get_name();
    cases += "    " + command->get_name() + ") words=\"" + words.options.substr(1) +
             (words.takes_session ? std::string(" $(") + kListSessions + ")" : "") + "\" ;;\n";
  }
  return "_vfio_compat() {\n"
         "  local words current=${COMP_WORDS[COMP_CWORD]}\n"
         "  if ((COMP_CWORD == 1)); then\n"
         "    words=\"" +
         names.substr(1) +
         " --help --version\"\n"
         "  else case ${COMP_WORDS[1]} in\n" +
         cases +
         "    esac\n"
         "  fi\n"
         "  mapfile -t COMPREPLY < <(compgen -W \"$words\" -- \"$current\")\n"
         "}\n"
         "complete -o default -F _vfio_compat vfio-compat\n";
}

std::string FishQuoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) {
    if (c == '\'' || c == '\\') quoted += '\\';
    quoted += c;
  }
  return quoted + "'";
}

std::string Fish(const CLI::App& app) {
  std::string text;
  for (const CLI::App* command : Subcommands(app)) {
    const std::string& name = command->get_name();
    text += "complete -c vfio-compat -n __fish_use_subcommand -f -a " + name + " -d " +
            FishQuoted(command->get_description()) + "\n";
    const std::string condition =
        "complete -c vfio-compat -n '__fish_seen_subcommand_from " + name + "'";
    Words words;
    Collect(*command, words);
    for (size_t at = words.options.find("--"); at != std::string::npos;) {
      const size_t end = words.options.find(' ', at);
      text += condition + " -l " + words.options.substr(at + 2, end - at - 2) + "\n";
      at = end == std::string::npos ? end : words.options.find("--", end);
    }
    if (words.takes_session) text += condition + " -f -a '(" + kListSessions + ")'\n";
  }
  return text;
}

}  // namespace

std::string CompletionScript(const CLI::App& app, std::string_view shell) {
  if (shell == "bash") return Bash(app);
  if (shell == "zsh") return "autoload -U +X bashcompinit && bashcompinit\n" + Bash(app);
  return shell == "fish" ? Fish(app) : "";
}

}  // namespace tools::cli
