// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/config_lines.h"

#include <algorithm>
#include <string_view>
#include <utility>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/text_line.h"

namespace vncauthproxy::config {

using base::OpenedFile;
using base::Result;

namespace {

constexpr std::string_view kBlanks = " \t\r";

// A FIFO is refused: without a writer it would read as empty, and all options would be at their defaults.
Result<std::string> read_whole(const std::string& path) {
  const Result<OpenedFile> file = base::open_for_reading(path);
  if (!file) return file.error();
  if (!S_ISCHR(file->status.st_mode))  // /dev/null stands for no file
    if (Result<void> checked = check_regular(*file, path); !checked) return checked.error();
  std::string content(base::kMaxFileBytes + 1, '\0');
  const Result<size_t> size = base::read_to_end(file->fd.get(), content, path);
  if (!size) return size.error();
  content.resize(*size);
  return content;
}

// `"text"`, where a backslash makes a quote or a backslash plain; behind it only a comment may follow.
void take_quoted(std::string_view text, ConfigLine& line) {
  for (size_t i = 1; i < text.size(); ++i) {
    if (text[i] == '"') {
      const std::string_view rest = base::without_blanks(text.substr(i + 1));
      if (!rest.empty() && rest[0] != '#')
        line.fault = line.name + ": there is text behind the closing quote";
      return;
    }
    if (text[i] == '\\' && i + 1 < text.size() && (text[i + 1] == '"' || text[i + 1] == '\\')) ++i;
    line.value += text[i];
  }
  line.fault = line.name + ": the closing quote is missing";
}

// A value ends where a blank and a # begin a comment, or with the line.
std::string plain_value(std::string_view text) {
  size_t end = text.find('#');
  while (end != std::string_view::npos && end > 0 && kBlanks.find(text[end - 1]) == std::string_view::npos)
    end = text.find('#', end + 1);
  return std::string(base::without_blanks(text.substr(0, end)));
}

ConfigLine take_apart(size_t number, std::string_view text) {
  ConfigLine line;
  line.number = number;
  const size_t name_size = std::min(text.find_first_of(kBlanks), text.size());
  line.name = text.substr(0, name_size);
  const std::string_view rest = base::without_blanks(text.substr(name_size));
  const bool has_quotes = !rest.empty() && rest[0] == '"';
  if (text.find('\0') != std::string_view::npos)
    line.fault = "there is a NUL in this line";
  else if (has_quotes)
    take_quoted(rest, line);
  else
    line.value = plain_value(rest);
  line.has_value = has_quotes || !line.value.empty();
  return line;
}

}  // namespace

Result<std::vector<ConfigLine>> read_config_lines(const std::string& path) {
  const Result<std::string> content = read_whole(path);
  if (!content) return content.error();
  std::vector<ConfigLine> lines;
  std::string_view rest = base::without_byte_order_mark(*content);
  for (size_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = base::without_blanks(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!text.empty() && text[0] != '#') lines.push_back(take_apart(number, text));
  }
  return lines;
}

}  // namespace vncauthproxy::config
