// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/control.h"

#include <malloc.h>
#include <string.h>

#include <array>
#include <cstdlib>
#include <vector>

#include "proto/json_fields.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/text_line.h"
#include "vncauthproxy/base/utf8.h"
#include "vncauthproxy/proto/vnc_auth.h"

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
constexpr size_t kMaxUrlBytes = 600;  // as JSON; a longer one is left out, since half of one leads nowhere
constexpr int64_t kFirstOpenPort = 1024;  // below it a port is the system's, and not for the asking

// ---- requests

std::optional<ViewerType> viewer_type(std::string_view word) {
  for (size_t i = 0; i < kTypeWords.size(); ++i)
    if (kTypeWords[i] == word) return static_cast<ViewerType>(i);
  return std::nullopt;
}

// "vnc, vnc-ws and vnc-tls", of those that `wanted` names.
std::string list_types(bool (*wanted)(ViewerType)) {
  std::vector<std::string_view> words;
  for (size_t i = 0; i < kTypeWords.size(); ++i)
    if (wanted(static_cast<ViewerType>(i))) words.push_back(kTypeWords[i]);
  std::string text;
  for (size_t i = 0; i < words.size(); ++i)
    text.append(i == 0 ? "" : i + 1 == words.size() ? " and " : ", ").append(words[i]);
  return text;
}

uint16_t source_port(Fields& fields) {
  const auto port = fields.integer("source_port");
  if (port && (*port == 0 || (*port >= kFirstOpenPort && *port <= UINT16_MAX)))
    return static_cast<uint16_t>(*port);
  fields.complain("source_port", "must be 0 or a port number from 1024 to 65535");
  return 0;
}

std::optional<base::Network> client_address(Fields& fields) {
  constexpr const char* key = "client_address";
  if (!fields.present(key)) return std::nullopt;
  const auto network = base::parse_network(std::string(fields.text(key)));
  if (network) return *network;
  fields.complain(key, network.error().detail);
  return std::nullopt;
}

}  // namespace

base::Result<Request, Failure> read_request(const json_t* object, bool with_login) {
  Fields fields(object);
  if (with_login && fields.present("daddr") && !fields.present("destination_address"))
    return Failure{FailureCode::bad_request, "this dialect (daddr) has no login and is not spoken here"};
  Request request;
  if (fields.present("type")) {
    const std::string_view word = fields.text("type");
    const std::optional<ViewerType> type = viewer_type(word);
    if (fields.problem().empty() && !type)
      return Failure{FailureCode::unsupported_type, base::escape(word) + " not supported: the types are " +
                                                        list_types([](ViewerType) { return true; })};
    request.type = type.value_or(ViewerType::vnc);
  }
  if (with_login) {
    request.auth_user = fields.short_text("auth_user", kMaxUserBytes);
    request.auth_password = base::Secret(fields.text("auth_password"));
  }
  request.source_port = source_port(fields);
  request.destination_address = fields.host("destination_address");
  request.destination_port = fields.port("destination_port");
  request.password = fields.secret("password");
  request.server_password = fields.secret("server_password");
  request.client_address = client_address(fields);
  request.connect_timeout = fields.seconds("connect_timeout");
  request.auth_timeout = fields.seconds("auth_timeout");
  if (!fields.problem().empty()) return Failure{FailureCode::bad_request, fields.problem()};
  return request;
}

namespace {

// ---- replies

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
    const std::string next = json_character(base::take_character(text));
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

namespace {

// In one string: of a sum of strings here g++ 14 says, wrongly, that it overflows.
std::string more_than(size_t limit, std::string_view unit) {
  std::string text = "a request of more than ";
  text.append(std::to_string(limit)).append(" ").append(unit);
  return text;
}

}  // namespace

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
  if (seen_ == kMaxRequestBytes) return Error{ErrorCode::too_large, more_than(kMaxRequestBytes, "bytes")};
  ++seen_;
  if (marked_ < base::kByteOrderMark.size() && marked_ + 1 == seen_ && c == base::kByteOrderMark[marked_]) {
    ++marked_;
    return {};
  }
  const bool half_marked = marked_ != 0 && marked_ != base::kByteOrderMark.size();
  if (half_marked) return Error{ErrorCode::invalid, "not a JSON object"};
  if (in_string_) {
    take_in_string(c);
  } else if (c == '"' && phase_ == Phase::inside) {
    in_string_ = true;
  } else if (c == '{' || (c == '[' && phase_ == Phase::inside)) {
    if (depth_ == kMaxRequestDepth) return Error{ErrorCode::too_large, more_than(kMaxRequestDepth, "levels")};
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

base::Result<Request, Failure> parse_request(std::string_view object, bool with_login) {
  const auto parsed = parse_object(object);
  if (!parsed) return parsed.error();
  return read_request(parsed->get(), with_login);
}

Failure no_certificate_for(ViewerType type) {
  return {FailureCode::unsupported_type,
          std::string(to_string(type)) + " not supported: the proxy has no certificate, so there are " +
              list_types([](ViewerType each) { return !needs_certificate(each); })};
}

base::Secret one_time_password() {
  constexpr std::string_view kCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
  std::array<char, kPasswordSize> text;
  for (char& c : text) c = kCharacters[base::random_below(kCharacters.size())];
  base::Secret password(std::string_view(text.data(), text.size()));
  base::wipe(std::span<char>(text));
  return password;
}

// A growing string leaves what it held behind: the password is written once, where there is room, and wiped.
std::string to_json(const Success& success) {
  std::string after;
  after.reserve(kMaxReplyBytes);
  const std::string url = with_text(", \"url\": ", success.url, "");
  if (!success.url.empty() && url.size() <= kMaxUrlBytes) after.append(url);
  if (!success.warning.empty()) after.append(", \"warning\": \"").append(success.warning).append("\"");
  if (!success.made_password.empty())
    after.append(", \"password\": \"").append(success.made_password).append("\"");
  after += '}';
  std::string reply = with_text("{\"source_port\": " + std::to_string(success.source_port) +
                                    ", \"status\": \"OK\", \"proxy_address\": ",
                                success.proxy_address, after);
  base::wipe(std::span<char>(after));
  return reply;
}

std::string to_json(const Failure& failure) {
  return with_text("{\"source_port\": 0, \"status\": \"FAILED\", \"proxy_address\": null, \"reason\": ",
                   failure.reason, ", \"code\": \"" + std::string(to_string(failure.code)) + "\"}");
}

void use_wiping_json_allocator() {
  ::json_set_alloc_funcs(std::malloc, wipe_and_free);
}

}  // namespace vncauthproxy::proto
