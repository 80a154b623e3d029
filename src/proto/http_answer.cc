// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/http_answer.h"

#include <algorithm>

namespace vncauthproxy::proto {
namespace {

constexpr std::string_view kNotKept = "Cache-Control: no-store\r\n";
constexpr std::string_view kKept = "Cache-Control: private, max-age=3600\r\n";
constexpr std::string_view kEveryAnswer =
    "Referrer-Policy: no-referrer\r\n"
    "X-Content-Type-Options: nosniff\r\n";

std::string_view phrase(unsigned status) {
  switch (status) {
    case 400:
      return "Bad Request";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 426:
      return "Upgrade Required";
    case 431:
      return "Request Header Fields Too Large";
    default:
      return "Internal Server Error";
  }
}

std::string content(std::string_view media_type, uint64_t size) {
  std::string text = "Content-Type: ";
  text.append(media_type).append("\r\nContent-Length: ").append(std::to_string(size)).append("\r\n");
  return text;
}

std::string common(bool may_be_kept, bool keep_alive) {
  std::string text(may_be_kept ? kKept : kNotKept);
  text.append(kEveryAnswer);
  text.append(keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
  return text;
}

std::string page_fields(const PageForm& form) {
  std::string text = "ETag: ";
  text.append(form.tag).append("\r\nVary: Accept-Encoding\r\n");
  return text + common(form.may_be_kept, form.keep_alive) + "\r\n";
}

// "gzip;q=0" is how a browser says that it does not take it (RFC 9110 section 12.4.2).
bool is_weighted_zero(std::string_view parameters) {
  const size_t weight = parameters.find_first_of("qQ");
  if (weight == parameters.npos) return false;
  const std::string_view value = parameters.substr(weight + 1);
  return value.starts_with("=0") && value.find_first_not_of("0. \t", 1) == value.npos;
}

bool has_body(const RequestHead& head) {
  if (head.count("Transfer-Encoding") != 0) return true;
  if (head.count("Content-Length") == 0) return false;
  const auto lengths = head.list("Content-Length");
  return lengths.empty() ||
         std::any_of(lengths.begin(), lengths.end(), [](std::string_view length) { return length != "0"; });
}

}  // namespace

HttpRefusal refusal_of(const base::Error& error) {
  if (error.code == base::ErrorCode::too_large) return {431, "The head of this request is too large.", ""};
  return {400, "This is no request that this port understands: it takes HTTP/1.1.", ""};
}

std::optional<HttpRefusal> check_request(const RequestHead& head) {
  if (head.method() != "GET" && head.method() != "HEAD")
    return HttpRefusal{405, "This port answers to GET and HEAD only.", "Allow: GET, HEAD\r\n"};
  if (has_body(head)) return HttpRefusal{400, "A request with a body is not accepted here.", ""};
  return std::nullopt;
}

std::string to_text(const HttpRefusal& refusal, bool without_body) {
  std::string text = "HTTP/1.1 ";
  text.append(std::to_string(refusal.status)).append(" ").append(phrase(refusal.status)).append("\r\n");
  text.append(content("text/plain; charset=utf-8", refusal.reason.size() + 1)).append(common(false, false));
  text.append(refusal.fields).append("\r\n");
  if (!without_body) text.append(refusal.reason).append("\n");
  return text;
}

std::string page_head(const PageForm& form) {
  std::string text = "HTTP/1.1 200 OK\r\n" + content(form.media_type, form.size);
  if (form.is_gzip) text.append("Content-Encoding: gzip\r\n");
  return text + page_fields(form);
}

std::string not_modified_head(const PageForm& form) {
  return "HTTP/1.1 304 Not Modified\r\n" + page_fields(form);
}

bool accepts_gzip(const RequestHead& head) {
  const auto encodings = head.list("Accept-Encoding");
  return std::any_of(encodings.begin(), encodings.end(), [](std::string_view encoding) {
    const std::string_view name = encoding.substr(0, encoding.find_first_of("; \t"));
    return same_word(name, "gzip") && !is_weighted_zero(encoding.substr(name.size()));
  });
}

bool has_already(const RequestHead& head, std::string_view tag) {
  const auto known = head.list("If-None-Match");
  return std::any_of(known.begin(), known.end(), [tag](std::string_view one) {
    if (one.starts_with("W/")) one.remove_prefix(2);
    return one == "*" || one == tag;
  });
}

bool keeps_alive(const RequestHead& head) {
  return head.minor_version() > 0 && !head.lists("Connection", "close");
}

}  // namespace vncauthproxy::proto
