// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/config_file.h"

#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <utility>

#include "config/config_lines.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::config {

using base::Error;
using base::Result;

namespace {

// Reads the file into `options`. What the command line overrules is checked all the same.
class FileReader {
 public:
  FileReader(const std::set<const Row*>& overruled, Options& options)
      : overruled_(overruled), options_(options), discarded_(options), file_(base::escape(options.config)) {}

  // All faults, each with file and line.
  std::vector<std::string> run() {
    const Result<std::vector<ConfigLine>> lines = read_config_lines(options_.config);
    if (!lines) return {lines.error().detail};
    for (const ConfigLine& line : *lines)
      if (Result<void> taken = take(line); !taken) faults_.push_back(at(line.number) + taken.error().detail);
    return std::move(faults_);
  }

 private:
  std::string at(size_t number) const { return file_ + ":" + std::to_string(number) + ": "; }

  Result<void> take(const ConfigLine& line) {
    if (!line.fault.empty() && row_named(line.name) == nullptr) return unknown(line);
    if (!line.fault.empty()) return bad(line.fault);
    const Row* const row = row_named(line.name);
    if (row == nullptr) return unknown(line);
    if (!row->in_config) return bad(line.name + " is for the command line only");
    if (!line.has_value && row->argument != nullptr) return bad(line.name + " needs a value");
    if (line.value.starts_with("= "))
      return bad(line.name + ": there is no = between an option and its value");
    Options& target = overruled_.count(row) != 0 ? discarded_ : options_;
    if (Result<void> set = apply(*row, line.has_value ? line.value : "yes", target); !set) return set;
    note_origin(*row, at(line.number) + row->name, target);
    note_repetition(*row, line.number);
    return {};
  }

  // Shows the line as it was meant, so that "min-port=25000" explains itself.
  static Error unknown(const ConfigLine& line) {
    const std::string fault = "there is no option " + quoted(line.name);
    const std::string meant = meant_option(line.name, [](const Row& row) { return row.in_config; });
    if (meant.empty()) return bad(fault);
    const size_t glued = line.name.find_first_of("=:");
    const std::string value = glued == line.name.npos ? line.value : line.name.substr(glued + 1) + line.value;
    const std::string right_line = value.empty() ? meant : meant + " " + value;
    return bad(fault + "; did you mean " + quoted(right_line) + "?");
  }

  void note_repetition(const Row& row, size_t number) {
    const auto [first, is_new] = lines_.try_emplace(&row, number);
    if (is_new || is_repeatable(row)) return;
    options_.warnings.push_back(at(number) + row.name + " stands in line " + std::to_string(first->second) +
                                " already: the last line counts");
    first->second = number;
  }

  const std::set<const Row*>& overruled_;
  Options& options_;
  Options discarded_;
  std::string file_;
  std::map<const Row*, size_t> lines_;
  std::vector<std::string> faults_;
};

}  // namespace

std::vector<std::string> read_config_file(const std::set<const Row*>& overruled, Options& options) {
  const bool is_named = overruled.count(row_named("config")) != 0;
  struct stat status;  // of a link itself: one that leads nowhere is a mistake
  if (!is_named && ::lstat(options.config.c_str(), &status) != 0 && errno == ENOENT) return {};
  return FileReader(overruled, options).run();
}

}  // namespace vncauthproxy::config
