// SPDX-License-Identifier: GPL-2.0-or-later
// The head as a state machine over its bytes: one state for each part of a line.
#include "vncauthproxy/proto/http_head.h"

#include <algorithm>

namespace vncauthproxy::proto {
namespace {

constexpr std::string_view kVersionPrefix = "HTTP/1.";
constexpr const char* kOtherVersion = "the request is neither HTTP/1.1 nor HTTP/1.0";

bool is_alpha(uint8_t c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_digit(uint8_t c) {
  return c >= '0' && c <= '9';
}
// tchar of RFC 9110 section 5.6.2
bool is_token(uint8_t c) {
  constexpr std::string_view marks = "!#$%&'*+-.^_`|~";
  return is_alpha(c) || is_digit(c) || marks.find(static_cast<char>(c)) != marks.npos;
}
bool is_blank(uint8_t c) {
  return c == ' ' || c == '\t';
}
char lower(char c) {
  return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && is_blank(static_cast<uint8_t>(text.front()))) text.remove_prefix(1);
  while (!text.empty() && is_blank(static_cast<uint8_t>(text.back()))) text.remove_suffix(1);
  return text;
}

}  // namespace

bool same_word(std::string_view a, std::string_view b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](char x, char y) { return lower(x) == lower(y); });
}

size_t RequestHead::count(std::string_view wanted) const {
  size_t found = 0;
  for (size_t i = 0; i < field_count(); ++i) found += same_word(name(i), wanted);
  return found;
}

std::string_view RequestHead::first(std::string_view wanted) const {
  for (size_t i = 0; i < field_count(); ++i)
    if (same_word(name(i), wanted)) return value(i);
  return {};
}

std::vector<std::string_view> RequestHead::list(std::string_view wanted) const {
  std::vector<std::string_view> elements;
  for (size_t i = 0; i < field_count(); ++i) {
    if (!same_word(name(i), wanted)) continue;
    std::string_view rest = value(i);
    while (!rest.empty()) {
      const std::string_view element = rest.substr(0, rest.find(','));
      if (const auto word = trimmed(element); !word.empty()) elements.push_back(word);
      rest.remove_prefix(std::min(rest.size(), element.size() + 1));
    }
  }
  return elements;
}

bool RequestHead::lists(std::string_view wanted, std::string_view word) const {
  const auto elements = list(wanted);
  return std::any_of(elements.begin(), elements.end(),
                     [word](std::string_view element) { return same_word(element, word); });
}

RequestHead::Part HeadParser::part_so_far() const {
  return {part_at_, static_cast<uint16_t>(head_.text_.size() - part_at_)};
}

base::Result<HeadParser::Progress> HeadParser::advance(base::ByteReader& in) {
  while (!complaint_ && state_ != State::done && in.size() > 0) {
    if (head_.text_.size() == kMaxHeadBytes)
      return base::Error{base::ErrorCode::too_large, "the head of the request is larger than 48 KiB"};
    if (head_.fields_.size() == kMaxHeadLines)  // with the request line that is one too many
      return base::Error{base::ErrorCode::too_large, "the head of the request has more than 100 lines"};
    const uint8_t byte = in.u8();
    complaint_ = step(byte);
    head_.text_.push_back(static_cast<char>(byte));
  }
  if (complaint_) return base::Error{base::ErrorCode::invalid, complaint_};
  return state_ == State::done ? Progress::done : Progress::need_more;
}

// `byte` is looked at before it joins the text, so text_.size() is its place.
HeadParser::Complaint HeadParser::step(uint8_t byte) {
  switch (state_) {
    case State::method:
      return in_method(byte);
    case State::empty_line:
      if (byte != '\n') return "a carriage return without a line feed";
      part_at_ = static_cast<uint16_t>(head_.text_.size() + 1);
      state_ = State::method;
      return nullptr;
    case State::target:
      return in_target(byte);
    case State::version:
      return in_version(byte);
    case State::line_start:
      return at_line_start(byte);
    case State::name:
      return in_name(byte);
    case State::before_value:
    case State::value:
      return in_value(byte);
    case State::line_end:
      if (byte != '\n') return "a carriage return without a line feed";
      state_ = State::line_start;
      return nullptr;
    case State::last_end:
      if (byte != '\n') return "a carriage return without a line feed";
      state_ = State::done;
      return finish();
    case State::done:
      break;
  }
  return nullptr;
}

HeadParser::Complaint HeadParser::in_method(uint8_t byte) {
  if (is_token(byte)) return nullptr;
  const bool first = head_.text_.size() == part_at_;
  if (byte == '\r' && first) {
    state_ = State::empty_line;
    return nullptr;
  }
  if (byte != ' ' || first) return "this is no HTTP request";
  head_.method_ = part_so_far();
  part_at_ = static_cast<uint16_t>(head_.text_.size() + 1);
  state_ = State::target;
  return nullptr;
}

HeadParser::Complaint HeadParser::in_target(uint8_t byte) {
  const bool first = head_.text_.size() == part_at_;
  if (first && byte != '/' && byte != '*' && !is_alpha(byte)) return "the request has no target";
  if (byte > ' ' && byte < 0x7F) return nullptr;
  if (byte != ' ') return "a byte in the target of the request that has no place there";
  head_.target_ = part_so_far();
  part_at_ = static_cast<uint16_t>(head_.text_.size() + 1);
  state_ = State::version;
  return nullptr;
}

HeadParser::Complaint HeadParser::in_version(uint8_t byte) {
  const size_t at = head_.text_.size() - part_at_;
  if (at < kVersionPrefix.size())
    return byte == static_cast<uint8_t>(kVersionPrefix[at]) ? nullptr : kOtherVersion;
  if (at == kVersionPrefix.size()) {
    if (!is_digit(byte)) return kOtherVersion;
    head_.minor_version_ = byte - unsigned{'0'};
    return nullptr;
  }
  if (byte != '\r') return "the request line does not end after the version";
  state_ = State::line_end;
  return nullptr;
}

HeadParser::Complaint HeadParser::at_line_start(uint8_t byte) {
  if (byte == '\r') {
    state_ = State::last_end;
    return nullptr;
  }
  if (is_blank(byte)) return "a folded line";
  if (!is_token(byte)) return "a line that does not begin with the name of a field";
  part_at_ = static_cast<uint16_t>(head_.text_.size());
  head_.fields_.emplace_back();
  state_ = State::name;
  return nullptr;
}

HeadParser::Complaint HeadParser::in_name(uint8_t byte) {
  if (is_token(byte)) return nullptr;
  if (is_blank(byte)) return "a blank before the colon";
  if (byte == '\r' || byte == '\n') return "a line without a colon";
  if (byte != ':') return "a byte in the name of a field that has no place there";
  head_.fields_.back().name = part_so_far();
  state_ = State::before_value;
  return nullptr;
}

HeadParser::Complaint HeadParser::in_value(uint8_t byte) {
  if (state_ == State::before_value && !is_blank(byte)) {
    part_at_ = static_cast<uint16_t>(head_.text_.size());
    state_ = State::value;
  }
  if (byte == '\r') {
    RequestHead::Part& value = head_.fields_.back().value;
    value = part_so_far();
    value.size = static_cast<uint16_t>(trimmed(head_.view(value)).size());  // blanks can only trail here
    state_ = State::line_end;
    return nullptr;
  }
  if (byte == '\n') return "a line feed without a carriage return";
  if ((byte < ' ' && byte != '\t') || byte == 0x7F) return "a control character in the value of a field";
  return nullptr;
}

HeadParser::Complaint HeadParser::finish() const {
  const size_t hosts = head_.count("Host");
  const bool may_lack_it = head_.minor_version_ == 0;  // HTTP/1.0 does not know the field
  return hosts == 1 || (hosts == 0 && may_lack_it) ? nullptr : "the request must have one Host field";
}

}  // namespace vncauthproxy::proto
