// SPDX-License-Identifier: GPL-2.0-or-later
// THE option table: a row for each option, with the setter that checks its values. Who reads options looks
// them up here.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/config/options.h"

namespace vncauthproxy::config {

// Checks the text of a value and stores it in a member of Options. Its error completes the sentence `"VALUE"
// ...`.
using Setter = base::Result<void> (*)(Options&, const std::string&);

struct Row {
  const char* name;
  char short_name;            // 0: none
  const char* argument;       // nullptr: a switch
  const char* default_value;  // nullptr: none
  bool in_config;
  Setter set;
  const char* help;
  CommandLine::Outcome outcome = CommandLine::Outcome::run;  // of its mere presence
};

std::span<const Row> rows();

// What snf-vncauthproxy 1.4 took and still stands in files of /etc/default. They mean a row of the table, and
// the log says so.
struct OldSpelling {
  char letter;
  const char* name;  // nullptr: it was the row's
  const char* row;
};
std::span<const OldSpelling> old_spellings();
const OldSpelling* old_spelling(int letter);  // nullptr: none
std::string to_string(const OldSpelling& old);

const Row* row_named(std::string_view name);  // nullptr: none
// The option of the old daemon (1.7) with that beginning. Empty: a beginning of none, or of several.
std::string_view old_daemons_option(std::string_view beginning);
// The name of the option that was meant, of those that `may_be`; empty: no such.
std::string meant_option(std::string_view word, bool (*may_be)(const Row&));

// The error names row and value.
base::Result<void> apply(const Row& row, const std::string& value, Options& options);
bool is_repeatable(const Row& row);  // adds to a list
// `where` completed with what was wrong is a sentence for the operator. Each value of a list has an origin of
// its own, "vncap-listen VALUE".
void note_origin(const Row& row, const std::string& where, Options& options);

base::Error bad(std::string what);
std::string quoted(const std::string& value);

}  // namespace vncauthproxy::config
