// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/control.h"

#include <malloc.h>
#include <string.h>

#include <array>
#include <charconv>
#include <cstdlib>

#include "vncauthproxy/base/handles.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::proto {
namespace {

using base::Error;
using base::ErrorCode;

constexpr std::array<std::string_view, 4> kTypeWords = {"vnc", "vnc-ws", "vnc-wss", "vnc-tls"};
constexpr std::array<std::string_view, 11> kCodeWords = {
    "bad_request",     "unsupported_type", "auth_failed",  "no_port", "port_in_use", "backend_unreachable",
    "backend_timeout", "backend_refused",  "backend_auth", "busy",    "internal"};
static_assert(kCodeWords.size() == static_cast<size_t>(kLastFailureCode) + 1);

constexpr size_t kMaxUserBytes = 255;
constexpr size_t kMaxAddressBytes = 255;
constexpr json_int_t kFirstOpenPort = 1024;  // below it a port is the system's, and not for the asking

// ---- requests

std::optional<ViewerType> viewer_type(std::string_view word) {
  for (size_t i = 0; i < kTypeWords.size(); ++i)
    if (kTypeWords[i] == word) return static_cast<ViewerType>(i);
  return std::nullopt;
}

// What Python's int() takes, signs and underscores left out: digits between blanks.
std::optional<json_int_t> digits(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\n\v\f\r";
  const size_t first = text.find_first_not_of(kBlanks);
  if (first == text.npos || text[first] == '-') return std::nullopt;
  text = text.substr(first, text.find_last_not_of(kBlanks) + 1 - first);
  json_int_t value = 0;
  const auto [stop, trouble] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (trouble != std::errc() || stop != text.data() + text.size()) return std::nullopt;
  return value;
}

bool has_blank_or_control(std::string_view text) {
  for (const char c : text)
    if (static_cast<unsigned char>(c) <= ' ' || c == '\x7f') return true;
  return false;
}

// The values of a request by key. The first complaint is kept; what is asked for after it is empty.
class Fields {
 public:
  explicit Fields(const json_t* object) : object_(object) {}

  const std::string& problem() const { return problem_; }
  void complain(std::string problem) {
    if (problem_.empty()) problem_ = std::move(problem);
  }
  bool present(const char* key) const {
    const json_t* value = ::json_object_get(object_, key);
    return value != nullptr && !json_is_null(value);
  }

  // The views live as long as the object.
  std::string_view text(const char* key) {
    const json_t* value = required(key);
    if (value == nullptr) return {};
    if (!json_is_string(value)) return complain_empty(key, "must be a string");
    const std::string_view text(::json_string_value(value), ::json_string_length(value));
    if (text.find('\0') != text.npos) return complain_empty(key, "must not contain a NUL character");
    return text;
  }
  std::string_view short_text(const char* key, size_t max_bytes) {
    const std::string_view value = text(key);
    if (value.size() > max_bytes)
      return complain_empty(key, "must be at most " + std::to_string(max_bytes) + " bytes long");
    return value;
  }
  std::string_view nonempty(const char* key, std::string_view value) {
    if (value.empty()) complain_empty(key, "must not be empty");
    return value;
  }
  std::optional<json_int_t> integer(const char* key) {
    const json_t* value = required(key);
    if (value == nullptr) return std::nullopt;
    if (json_is_integer(value)) return ::json_integer_value(value);
    if (json_is_string(value))
      return digits(std::string_view(::json_string_value(value), ::json_string_length(value)));
    return std::nullopt;
  }
  std::string_view complain_empty(const char* key, std::string_view rule) {
    complain(std::string(key) + " " + std::string(rule));
    return {};
  }

 private:
  const json_t* required(const char* key) {
    const json_t* value = ::json_object_get(object_, key);
    if (value == nullptr) complain("missing key: " + std::string(key));
    return value;
  }

  const json_t* object_;
  std::string problem_;
};

uint16_t destination_port(Fields& fields) {
  const auto port = fields.integer("destination_port");
  if (port && *port >= 1 && *port <= UINT16_MAX) return static_cast<uint16_t>(*port);
  fields.complain("destination_port must be a port number from 1 to 65535");
  return 0;
}

uint16_t source_port(Fields& fields) {
  const auto port = fields.integer("source_port");
  if (port && (*port == 0 || (*port >= kFirstOpenPort && *port <= UINT16_MAX)))
    return static_cast<uint16_t>(*port);
  fields.complain("source_port must be 0 or a port number from 1024 to 65535");
  return 0;
}

std::string destination_address(Fields& fields) {
  constexpr const char* key = "destination_address";
  const std::string_view address = fields.nonempty(key, fields.short_text(key, kMaxAddressBytes));
  if (has_blank_or_control(address))
    fields.complain_empty(key, "must not contain blanks or control characters");
  return std::string(address);
}

base::Secret nonempty_secret(Fields& fields, const char* key) {
  return base::Secret(fields.nonempty(key, fields.text(key)));
}

std::variant<Request, Failure> read_request(const json_t* object) {
  Fields fields(object);
  Request request;
  if (::json_object_get(object, "type") != nullptr) {
    const std::string_view word = fields.text("type");
    const std::optional<ViewerType> type = viewer_type(word);
    if (fields.problem().empty() && !type)
      return Failure{FailureCode::unsupported_type, base::escape(word) + " not supported"};
    request.type = type.value_or(ViewerType::vnc);
  }
  request.auth_user = fields.short_text("auth_user", kMaxUserBytes);
  request.auth_password = base::Secret(fields.text("auth_password"));
  request.source_port = source_port(fields);
  request.destination_address = destination_address(fields);
  request.destination_port = destination_port(fields);
  request.password = nonempty_secret(fields, "password");
  if (fields.present("server_password")) request.server_password = nonempty_secret(fields, "server_password");
  if (!fields.problem().empty()) return Failure{FailureCode::bad_request, fields.problem()};
  return request;
}

// Jansson's own text quotes what stands near the error, which may be a password.
Failure not_json(const json_error_t& error) {
  const bool duplicate = ::json_error_code(&error) == json_error_duplicate_key;
  return {FailureCode::bad_request, (duplicate ? "a key stands twice" : "not valid JSON") +
                                        std::string(" (line ") + std::to_string(error.line) + ", column " +
                                        std::to_string(error.column) + ")"};
}

// ---- replies

// Takes the first character of UTF-8 text, which is not empty; U+FFFD for each byte that is not part of one.
char32_t take_character(std::string_view& text) {
  constexpr char32_t kReplacement = 0xFFFD;
  const auto byte = [&text](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  const size_t size = lead < 0x80         ? 1
                      : lead >> 5 == 0x6  ? 2
                      : lead >> 4 == 0xE  ? 3
                      : lead >> 3 == 0x1E ? 4
                                          : 0;
  char32_t character = size < 2 ? lead : lead & (0x7FU >> size);
  bool valid = size != 0 && size <= text.size();
  for (size_t i = 1; valid && i < size; ++i) {
    valid = byte(i) >> 6 == 0x2;
    character = character << 6 | (byte(i) & 0x3FU);
  }
  constexpr char32_t kSmallest[] = {0, 0, 0x80, 0x800, 0x10000};  // else the form is longer than it need be
  valid = valid && character >= kSmallest[size] && character <= 0x10FFFF &&
          (character < 0xD800 || character > 0xDFFF);
  text.remove_prefix(valid ? size : 1);
  return valid ? character : kReplacement;
}

std::string unicode_escape(unsigned unit) {
  constexpr std::string_view kHex = "0123456789abcdef";
  std::string text = "\\u";
  for (int shift = 12; shift >= 0; shift -= 4) text += kHex[unit >> shift & 0xF];
  return text;
}

// As Python's json.dumps writes it: ASCII alone, surrogate pairs above U+FFFF.
std::string json_character(char32_t character) {
  switch (character) {
    case '"':
      return "\\\"";
    case '\\':
      return "\\\\";
    case '\b':
      return "\\b";
    case '\f':
      return "\\f";
    case '\n':
      return "\\n";
    case '\r':
      return "\\r";
    case '\t':
      return "\\t";
    default:
      break;
  }
  if (character >= ' ' && character <= '~') return std::string(1, static_cast<char>(character));
  if (character <= 0xFFFF) return unicode_escape(character);
  const unsigned above = character - 0x10000;
  return unicode_escape(0xD800 + (above >> 10)) + unicode_escape(0xDC00 + (above & 0x3FF));
}

// `before`, the text as a JSON string, `after`: cut within the text so that it all stays a reply's size.
std::string with_text(std::string before, std::string_view text, const std::string& after) {
  std::string reply = std::move(before) + '"';
  const size_t room = kMaxReplyBytes - 1 - after.size();
  while (!text.empty()) {
    const std::string next = json_character(take_character(text));
    if (reply.size() + next.size() > room) break;
    reply += next;
  }
  return reply + '"' + after;
}

void wipe_and_free(void* memory) {
  if (memory != nullptr) ::explicit_bzero(memory, ::malloc_usable_size(memory));
  std::free(memory);
}

}  // namespace

std::string_view to_string(ViewerType type) {
  return kTypeWords[static_cast<size_t>(type)];
}

std::string_view to_string(FailureCode code) {
  return kCodeWords[static_cast<size_t>(code)];
}

base::Result<bool> ObjectFramer::feed(std::string_view chunk) {
  for (const char c : chunk) {
    if (failed_ || phase_ == Phase::done) break;
    const base::Result<void> taken = take(c);
    if (!taken) failed_ = taken.error();
  }
  if (failed_) return *failed_;
  return phase_ == Phase::done;
}

base::Result<void> ObjectFramer::take(char c) {
  if (seen_ == kMaxRequestBytes)
    return Error{ErrorCode::too_large,
                 "a request of more than " + std::to_string(kMaxRequestBytes) + " bytes"};
  ++seen_;
  if (in_string_) {
    take_in_string(c);
  } else if (c == '"' && phase_ == Phase::inside) {
    in_string_ = true;
  } else if (c == '{' || (c == '[' && phase_ == Phase::inside)) {
    if (depth_ == kMaxRequestDepth)
      return Error{ErrorCode::too_large,
                   "a request of more than " + std::to_string(kMaxRequestDepth) + " levels"};
    ++depth_;
    phase_ = Phase::inside;
  } else if ((c == '}' || c == ']') && phase_ == Phase::inside) {
    if (--depth_ == 0) phase_ = Phase::done;
  } else if (phase_ == Phase::before && c != ' ' && c != '\t' && c != '\n' && c != '\r') {
    return Error{ErrorCode::invalid, "not a JSON object"};
  }
  return {};
}

void ObjectFramer::take_in_string(char c) {
  if (escaped_)
    escaped_ = false;
  else if (c == '\\')
    escaped_ = true;
  else if (c == '"')
    in_string_ = false;
}

std::variant<Request, Failure> parse_request(std::string_view object) {
  json_error_t error{};
  const base::Handle<json_t> root(
      ::json_loadb(object.data(), object.size(), JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, &error));
  if (root == nullptr) {
    Failure failure = not_json(error);
    ::explicit_bzero(&error, sizeof error);
    return failure;
  }
  if (!json_is_object(root.get())) return Failure{FailureCode::bad_request, "not a JSON object"};
  return read_request(root.get());
}

std::string to_json(const Success& success) {
  std::string more;
  if (!success.url.empty()) more = with_text(", \"url\": ", success.url, "");
  return with_text("{\"source_port\": " + std::to_string(success.source_port) +
                       ", \"status\": \"OK\", \"proxy_address\": ",
                   success.proxy_address, more + "}");
}

std::string to_json(const Failure& failure) {
  return with_text("{\"source_port\": 0, \"status\": \"FAILED\", \"proxy_address\": null, \"reason\": ",
                   failure.reason, ", \"code\": \"" + std::string(to_string(failure.code)) + "\"}");
}

void use_wiping_json_allocator() {
  ::json_set_alloc_funcs(std::malloc, wipe_and_free);
}

}  // namespace vncauthproxy::proto
