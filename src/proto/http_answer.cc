// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/http_answer.h"

#include <algorithm>

namespace vncauthproxy::proto {
namespace {

constexpr std::string_view kEveryAnswer =
    "Cache-Control: no-store\r\n"
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

std::string content(std::string_view media_type, uint64_t size, bool keep_alive) {
  std::string text = "Content-Type: ";
  text.append(media_type).append("\r\nContent-Length: ").append(std::to_string(size)).append("\r\n");
  text.append(kEveryAnswer);
  text.append(keep_alive ? "Connection: keep-alive\r\n" : "Connection: close\r\n");
  return text;
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
  text.append(content("text/plain; charset=utf-8", refusal.reason.size() + 1, false));
  text.append(refusal.fields).append("\r\n");
  if (!without_body) text.append(refusal.reason).append("\n");
  return text;
}

std::string page_head(std::string_view media_type, uint64_t size, bool keep_alive) {
  return "HTTP/1.1 200 OK\r\n" + content(media_type, size, keep_alive) + "\r\n";
}

bool keeps_alive(const RequestHead& head) {
  return head.minor_version() > 0 && !head.lists("Connection", "close");
}

}  // namespace vncauthproxy::proto
