// SPDX-License-Identifier: GPL-2.0-or-later
#include "config/near_miss.h"

#include <algorithm>
#include <numeric>
#include <utility>

namespace vncauthproxy::config {

namespace {

constexpr size_t kMaxSlips = 2;
constexpr size_t kLettersPerSlip = 4;

std::string plain(std::string_view word) {
  word.remove_prefix(std::min(word.find_first_not_of('-'), word.size()));
  word = word.substr(0, word.find_first_of("=:"));
  std::string result(word);
  std::transform(result.begin(), result.end(), result.begin(), [](char c) {
    if (c == '_') return '-';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return result;
}

std::string without_dashes(std::string word) {
  std::erase(word, '-');
  return word;
}

// How many letters have to be put in, left out, changed or swapped with the next one.
size_t distance(std::string_view a, std::string_view b) {
  std::vector<size_t> before, last(b.size() + 1), row(b.size() + 1);
  std::iota(last.begin(), last.end(), size_t{0});
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      row[j] = std::min({last[j] + 1, row[j - 1] + 1, last[j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1];
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    before = std::exchange(last, row);
  }
  return last[b.size()];
}

}  // namespace

std::string near_miss(std::string_view word, const std::vector<std::string>& names) {
  const std::string meant = plain(word.substr(0, 100));
  if (meant.empty()) return "";
  std::vector<std::string> beginnings;
  for (const std::string& name : names) {
    if (without_dashes(name) == without_dashes(meant)) return name;
    if (name.starts_with(meant)) beginnings.push_back(name);
  }
  if (beginnings.size() == 1) return beginnings.front();
  std::string nearest;
  size_t least = std::min(kMaxSlips, meant.size() / kLettersPerSlip) + 1;
  for (const std::string& name : names) {
    const size_t slips = distance(meant, name);
    if (slips < least) nearest = name;
    least = std::min(least, slips);
  }
  return nearest;
}

}  // namespace vncauthproxy::config
