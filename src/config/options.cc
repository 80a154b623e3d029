// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/config/options.h"

#include <algorithm>
#include <string_view>

#include "config/table.h"

namespace vncauthproxy::config {
namespace {

std::vector<OptionInfo> describe_rows() {
  std::vector<OptionInfo> table;
  for (const Row& row : rows())
    table.push_back({row.name, row.short_name, row.argument == nullptr ? "" : row.argument,
                     row.default_value == nullptr ? "" : row.default_value, row.help, row.in_config});
  return table;
}

// `text` in lines of at most `width` characters, each behind `indent` blanks.
std::string wrapped(std::string_view text, size_t indent, size_t width) {
  std::string lines;
  while (!text.empty()) {
    size_t end = text.size() <= width ? text.size() : text.rfind(' ', width);
    if (end == std::string_view::npos) end = std::min(text.find(' '), text.size());
    lines += std::string(indent, ' ').append(text.substr(0, end)) + '\n';
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

}  // namespace

const std::vector<OptionInfo>& option_table() {
  static const std::vector<OptionInfo> table = describe_rows();
  return table;
}

Options default_options() {
  Options options;
  for (const Row& row : rows())
    if (row.default_value != nullptr) (void)row.set(options, row.default_value);
  return options;
}

std::string Options::where(const std::string& option) const {
  const auto found = origins.find(option);
  return found == origins.end() ? option.substr(0, option.find(' ')) : found->second;
}

std::string usage_line() {
  return "Usage: vncauthproxy [OPTION]...";
}

std::string help_text() {
  std::string text = usage_line() +
                     "\nLets VNC viewers reach VNC servers through ports that open on request, for one\n"
                     "authenticated session each.\n\nOptions:\n";
  for (const OptionInfo& option : option_table()) {
    text += option.short_name == 0 ? "      --" : std::string("  -") + option.short_name + ", --";
    text += option.name + (option.argument.empty() ? "" : "=" + option.argument) + '\n';
    text += wrapped(option.help, 10, 68);
    if (!option.default_value.empty()) text += "          Default: " + option.default_value + '\n';
  }
  text += "\nOld spellings that still work:\n";
  for (const OldSpelling& old : old_spellings())
    text += "    " + to_string(old) + (old.name == nullptr ? "           " : " ") + "for --" + old.row + '\n';
  return text + "\nSee vncauthproxy(8) and vncauthproxy.conf(5).\n";
}

}  // namespace vncauthproxy::config
