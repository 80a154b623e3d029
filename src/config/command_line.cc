// SPDX-License-Identifier: GPL-2.0-or-later
// The command line is read with getopt_long(3), then the file that it names, then what must fit together.
#include <getopt.h>

#include <algorithm>
#include <deque>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/config_file.h"
#include "config/table.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/config/options.h"

namespace vncauthproxy::config {

using base::Result;

namespace {

using Outcome = CommandLine::Outcome;

constexpr int kLongBase = 256;  // what getopt_long() returns for row i is kLongBase + i

const Row* row_of_code(int code) {
  if (code >= kLongBase && code < kLongBase + static_cast<int>(rows().size()))
    return &rows()[static_cast<size_t>(code - kLongBase)];
  if (code <= 0) return nullptr;
  if (const OldSpelling* const old = old_spelling(code)) return row_named(old->row);
  const auto all = rows();
  const auto found =
      std::find_if(all.begin(), all.end(), [&](const Row& row) { return row.short_name == code; });
  return found == all.end() ? nullptr : &*found;
}

struct Setting {
  const Row* row;
  std::string value;
};
struct Arguments {
  Outcome outcome = Outcome::run;
  std::string message;
  std::vector<Setting> settings;
  std::vector<std::string> old_spellings;
  Options options = default_options();  // with the settings applied
};

std::string suggestion(std::string_view argument) {
  const std::string meant = meant_option(argument, [](const Row&) { return true; });
  return meant.empty() ? "" : "; did you mean --" + meant + "?";
}

// getopt_long() does not tell an ambiguous beginning from an unknown one.
std::string unknown_long_option(std::string_view argument) {
  const std::string_view name = argument.substr(0, argument.find('='));
  std::string candidates;
  for (const Row& row : rows())
    if (name.size() > 2 && std::string_view(row.name).starts_with(name.substr(2)))
      candidates += (candidates.empty() ? ": --" : ", --") + std::string(row.name);
  if (!candidates.empty()) return base::escape(name) + " is ambiguous" + candidates;
  return "there is no option " + base::escape(name) + suggestion(name);
}

std::string option_trouble(int answer, int code, const char* argument) {
  const Row* const row = row_of_code(code);
  if (answer == ':' && row != nullptr) return "--" + std::string(row->name) + " needs a value";
  if (code == 0) return unknown_long_option(argument);
  if (row != nullptr) return "--" + std::string(row->name) + " takes no value";
  const char letter = static_cast<char>(code);
  return "there is no option -" + base::escape({&letter, 1});
}

// -min-port is read as letters, of which -m is none. getopt_long() is still in the midst of them then.
std::string meant_by_letters(const char* argument) {
  const std::string_view whole = argument == nullptr ? "" : argument;
  const bool is_word = whole.size() > 3 && whole[0] == '-' && whole[1] != '-';
  return is_word ? suggestion(whole) : "";
}

// What getopt_long() wants to know of the table.
struct GetoptTable {
  std::string letters = ":";  // a missing value is told from an unknown option
  std::vector<option> names;
  std::deque<std::string> beginnings;  // that are names of the table too

  // An old name counts only in full, so `args` are looked through for it: beginnings are those of today's.
  explicit GetoptTable(const std::vector<char*>& args) {
    for (const Row& row : rows()) {
      const bool has_value = row.argument != nullptr;
      const int code = kLongBase + static_cast<int>(names.size());
      names.push_back({row.name, has_value ? required_argument : no_argument, nullptr, code});
      if (row.short_name == 0) continue;
      letters += row.short_name;
      if (has_value) letters += ':';
    }
    for (const OldSpelling& old : old_spellings()) {
      letters.append({old.letter, ':'});
      if (old.name != nullptr && is_in(args, old.name))
        names.push_back({old.name, required_argument, nullptr, old.letter});
    }
    for (const std::string_view arg : args)
      if (arg.starts_with("--")) add_beginning(std::string(arg.substr(2, arg.find('=') - 2)));
    names.push_back({});
  }

 private:
  // A name that fits in full is not ambiguous to getopt_long().
  void add_beginning(const std::string& beginning) {
    const Row* const row = row_named(old_daemons_option(beginning));
    if (row == nullptr || row_named(beginning) != nullptr) return;
    option whole = names[static_cast<size_t>(row - rows().data())];
    whole.name = beginnings.emplace_back(beginning).c_str();
    names.push_back(whole);
  }

  static bool is_in(const std::vector<char*>& args, const std::string& name) {
    return std::any_of(args.begin(), args.end(), [option = "--" + name](const std::string_view arg) {
      return arg == option || arg.starts_with(option + "=");
    });
  }
};

Arguments ended(Arguments arguments, Outcome outcome, std::string message = "") {
  arguments.outcome = outcome;
  arguments.message = std::move(message);
  return arguments;
}

Arguments read_arguments(int argc, char* const argv[]) {
  Arguments arguments;
  std::vector<char*> args(argv, argv + argc);  // getopt moves stray arguments to the end: not in the original
  const GetoptTable table(args);
  args.push_back(nullptr);
  ::opterr = 0;
  ::optind = 0;  // begin anew, whatever was parsed before
  for (;;) {
    const int code = ::getopt_long(argc, args.data(), table.letters.c_str(), table.names.data(), nullptr);
    if (code == -1) break;
    const Row* const row = row_of_code(code);
    if (code == '?' || code == ':' || row == nullptr) {
      const auto next = static_cast<size_t>(::optind);
      std::string trouble = option_trouble(code, ::optopt, args[next - 1]);
      if (code == '?' && ::optopt != 0 && row_of_code(::optopt) == nullptr)
        trouble += meant_by_letters(args[next]);
      return ended(std::move(arguments), Outcome::usage_error, std::move(trouble));
    }
    if (row->outcome != Outcome::run) return ended(std::move(arguments), row->outcome);
    arguments.settings.push_back({row, row->argument == nullptr ? "yes" : ::optarg});
    if (Result<void> set = apply(*row, arguments.settings.back().value, arguments.options); !set)
      return ended(std::move(arguments), Outcome::usage_error, "--" + set.error().detail);
    if (const OldSpelling* const old = old_spelling(code))
      arguments.old_spellings.push_back(to_string(*old) + " is an old spelling: say --" + old->row);
  }
  if (::optind == argc) return arguments;
  const std::string stray = quoted(args[static_cast<size_t>(::optind)]);
  return ended(std::move(arguments), Outcome::stray_argument, "stray argument " + stray);
}

// ---- together with the file

void check_fit(const Options& options, std::vector<std::string>& faults) {
  if (options.control_tls_legacy && !options.enable_ssl)
    faults.push_back(options.where("control-tls-legacy") + " is of no use without enable-ssl");
  if (options.min_port <= options.max_port) return;
  const std::string lowest = std::to_string(options.min_port), highest = std::to_string(options.max_port);
  if (options.where("min-port") == "min-port" && options.where("max-port") != "max-port")
    faults.push_back(options.where("max-port") + " " + highest + " is below min-port " + lowest);
  else
    faults.push_back(options.where("min-port") + " " + lowest + " is above max-port " + highest);
}

// The defaults, over them the file, over both the command line, whose values are known to be good. Returns
// all faults.
std::vector<std::string> combine(const Arguments& arguments, Options& options) {
  std::map<const Row*, std::string> given;
  for (const Setting& setting : arguments.settings) {
    const auto [first, is_new] = given.try_emplace(setting.row, setting.value);
    if (!is_new && !is_repeatable(*setting.row) && first->second != setting.value)
      options.warnings.push_back(std::string("--") + setting.row->name +
                                 " is given twice: the last one counts");
    first->second = setting.value;
  }
  std::set<const Row*> rows;
  for (const auto& [row, value] : given) rows.insert(row);
  options.config = arguments.options.config;
  std::vector<std::string> faults = read_config_file(rows, options);
  for (const Setting& setting : arguments.settings) {
    if (Result<void> set = setting.row->set(options, setting.value); !set)
      faults.push_back(set.error().detail);
    note_origin(*setting.row, std::string("--") + setting.row->name, options);
  }
  if (faults.empty()) check_fit(options, faults);
  options.warnings.insert(options.warnings.end(), arguments.old_spellings.begin(),
                          arguments.old_spellings.end());
  return faults;
}

}  // namespace

CommandLine read_command_line(int argc, char* const argv[]) {
  Arguments arguments = read_arguments(argc, argv);
  CommandLine result{arguments.outcome, std::move(arguments.message), {}};
  if (result.outcome != Outcome::run) return result;
  result.options = default_options();
  for (const std::string& fault : combine(arguments, result.options)) {
    result.outcome = Outcome::config_error;
    result.message += (result.message.empty() ? "" : "\n") + fault;
  }
  return result;
}

}  // namespace vncauthproxy::config
