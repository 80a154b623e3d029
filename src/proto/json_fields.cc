// SPDX-License-Identifier: GPL-2.0-or-later
#include "proto/json_fields.h"

#include <string.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "vncauthproxy/base/clock.h"
#include "vncauthproxy/base/text_line.h"

namespace vncauthproxy::proto {
namespace {

constexpr size_t kMaxAddressBytes = 255;
constexpr double kMaxSeconds = 1e6;  // far below where milliseconds overflow anything

// What Python's int() takes, signs and underscores left out: digits between blanks.
std::optional<int64_t> digits(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos || text[first] == '-') return std::nullopt;
  text = text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
  int64_t value = 0;
  const auto [stop, trouble] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (trouble != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

// What some languages make of a whole number on its way through JSON: 5900.0.
std::optional<int64_t> whole(double value) {
  constexpr double kMaxWhole = 1e15;  // far above all that is asked for, and exact
  if (std::abs(value) > kMaxWhole || value != std::trunc(value)) return std::nullopt;
  return static_cast<int64_t>(value);
}

bool has_blank_or_control(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return true;
  return false;
}

// Jansson's own text quotes what stands near the error, which may be a password.
Failure not_json(const json_error_t& error) {
  const bool duplicate = ::json_error_code(&error) == json_error_duplicate_key;
  return {FailureCode::bad_request, (duplicate ? "duplicate key" : "not valid JSON") +
                                        std::string(" (line ") + std::to_string(error.line) + ", column " +
                                        std::to_string(error.column) + ")"};
}

}  // namespace

base::Result<base::Handle<json_t>, Failure> parse_object(std::string_view text) {
  text = base::without_byte_order_mark(text);
  json_error_t error{};
  base::Handle<json_t> root(
      ::json_loadb(text.data(), text.size(), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error));
  if (root == nullptr) {
    Failure failure = not_json(error);
    ::explicit_bzero(&error, sizeof error);
    return failure;
  }
  if (!json_is_object(root.get())) return Failure{FailureCode::bad_request, "not a JSON object"};
  return root;
}

bool Fields::present(const char* key) const {
  const json_t* value = ::json_object_get(object_, key);
  return value != nullptr && !json_is_null(value);
}

const json_t* Fields::required(const char* key) {
  const json_t* value = ::json_object_get(object_, key);
  if (value == nullptr && problem_.empty()) problem_ = "missing key: " + prefix_ + key;
  return value;
}

std::string_view Fields::text(const char* key) {
  const json_t* value = required(key);
  if (value == nullptr) return {};
  if (!json_is_string(value)) return complain(key, "must be a string"), std::string_view();
  const std::string_view text(::json_string_value(value), ::json_string_length(value));
  if (text.find('\0') != text.npos)
    return complain(key, "must not contain a NUL character"), std::string_view();
  return text;
}

std::string_view Fields::short_text(const char* key, size_t max_bytes) {
  const std::string_view value = text(key);
  if (value.size() <= max_bytes) return value;
  complain(key, "must be at most " + std::to_string(max_bytes) + " bytes long");
  return {};
}

std::optional<int64_t> Fields::integer(const char* key) {
  const json_t* value = required(key);
  if (value == nullptr) return std::nullopt;
  if (json_is_integer(value)) return ::json_integer_value(value);
  if (json_is_real(value)) return whole(::json_real_value(value));
  if (json_is_string(value))
    return digits(std::string_view(::json_string_value(value), ::json_string_length(value)));
  return std::nullopt;
}

uint16_t Fields::port(const char* key) {
  const auto port = integer(key);
  if (port && *port >= 1 && *port <= UINT16_MAX) return static_cast<uint16_t>(*port);
  complain(key, "must be a port number from 1 to 65535");
  return 0;
}

std::string Fields::host(const char* key) {
  const std::string_view host = short_text(key, kMaxAddressBytes);
  if (host.empty()) complain(key, "must not be empty");
  if (has_blank_or_control(host)) complain(key, "must not contain blanks or control characters");
  return std::string(host);
}

base::Secret Fields::secret(const char* key) {
  if (!present(key)) return {};
  const std::string_view value = text(key);
  if (value.empty()) complain(key, "must not be empty");
  return base::Secret(value);
}

bool Fields::flag(const char* key) {
  if (!present(key)) return false;
  const json_t* value = ::json_object_get(object_, key);
  if (!json_is_boolean(value)) complain(key, "must be true or false");
  return json_is_true(value);
}

std::chrono::milliseconds Fields::seconds(const char* key) {
  if (!present(key)) return {};
  const json_t* value = ::json_object_get(object_, key);
  const double seconds = json_is_number(value) ? ::json_number_value(value) : 0;
  if (seconds <= 0) return complain(key, "must be a number of seconds above 0"), std::chrono::milliseconds();
  return base::to_milliseconds(std::min(seconds, kMaxSeconds));
}

const json_t* Fields::object(const char* key) {
  if (!present(key)) return nullptr;
  const json_t* value = ::json_object_get(object_, key);
  if (json_is_object(value)) return value;
  complain(key, "must be an object");
  return nullptr;
}

}  // namespace vncauthproxy::proto
