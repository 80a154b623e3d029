// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/request_reader.h"

#include "proto/json_fields.h"
#include "vncauthproxy/proto/vncap.h"

namespace vncauthproxy::proto {
namespace {

using base::Handle;

Dialect dialect_of(const json_t* object, Dialect home) {
  const bool main = ::json_object_get(object, "destination_address") != nullptr;
  const bool vncap = ::json_object_get(object, "daddr") != nullptr;
  if (main == vncap) return home;
  return main ? Dialect::main : Dialect::vncap;
}

Failure too_long(size_t limit) {
  return {FailureCode::bad_request, "a request of more than " + std::to_string(limit) + " bytes"};
}

// A line without its end.
std::string_view content(std::string_view line) {
  if (line.ends_with('\n')) line.remove_suffix(1);
  if (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

std::optional<RequestReader::Parsed> RequestReader::advance(std::string_view all) {
  const auto complete = framer_.feed(all.substr(framed_));
  framed_ = all.size();
  if (!complete) return Failure{FailureCode::bad_request, complete.error().detail};
  const bool by_line = !speech_.login && speech_.home == Dialect::vncap;
  const size_t object_end = *complete ? framer_.end() : std::string_view::npos;
  if (const size_t line_end = all.find('\n'); by_line && line_end < object_end)
    return take(all.substr(0, line_end + 1));  // not in one line, so it will not do
  if (!*complete) return go_on(all);
  if (by_line && object_end > kMaxVncapBytes + 1) return too_long(kMaxVncapBytes);  // as if it came in pieces

  const std::string_view object = all.substr(0, object_end);
  if (speech_.login) return take(object);
  if (!line_expected_) {
    const auto parsed = parse_object(object);
    if (!parsed) return parsed.error();
    dialect_ = dialect_of(parsed->get(), speech_.home);
    if (dialect_ == Dialect::main) return take(object);
    line_expected_ = true;
  }
  const size_t line_end = all.find('\n', object_end);
  return line_end == std::string_view::npos ? go_on(all) : take(all.substr(0, line_end + 1));
}

RequestReader::Parsed RequestReader::take(std::string_view text) {
  end_ = text.size();
  const std::string_view request = content(text);
  const auto parsed = parse_object(request);
  if (!parsed) return parsed.error();
  const json_t* object = parsed->get();
  dialect_ = speech_.login ? Dialect::main : dialect_of(object, speech_.home);
  if (dialect_ == Dialect::main) return read_request(object, speech_.login);
  if (request.size() > kMaxVncapBytes) return too_long(kMaxVncapBytes);
  return read_vncap_request(object);
}

// What has to be refused although it is not complete.
std::optional<RequestReader::Parsed> RequestReader::go_on(std::string_view all) const {
  const size_t limit = dialect_ == Dialect::vncap ? kMaxVncapBytes + 1 : kMaxRequestBytes - 1;
  if (all.size() <= limit) return std::nullopt;
  return too_long(dialect_ == Dialect::vncap ? kMaxVncapBytes : kMaxRequestBytes);
}

std::string to_text(Dialect dialect, const Reply& reply) {
  if (dialect == Dialect::vncap) return reply ? to_vncap(*reply) : to_vncap(reply.error());
  return reply ? to_json(*reply) : to_json(reply.error());
}

}  // namespace vncauthproxy::proto
