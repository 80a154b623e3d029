// SPDX-License-Identifier: GPL-2.0-or-later
// The answers of a one-time port to HTTP requests: a refusal in words, or the head of a page. Every answer
// forbids to guess its type and to pass its address on, since that may hold a password. A browser may keep a
// page for an hour, but nothing whose address has a query.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/http_head.h"

namespace vncauthproxy::proto {

struct HttpRefusal {
  unsigned status = 400;    // 400, 404, 405, 426, 431 or 500
  std::string_view reason;  // one line for people; text of ours that lives as long as the program
  std::string_view fields;  // further header lines the status asks for, each with its line end
};

// What an error of HeadParser is answered with.
HttpRefusal refusal_of(const base::Error& error);
// What every request must keep, page or WebSocket: GET or HEAD, and no body.
std::optional<HttpRefusal> check_request(const RequestHead& head);

// The whole answer; the connection is closed after it. An answer to HEAD leaves the body out.
std::string to_text(const HttpRefusal& refusal, bool without_body = false);

struct PageForm {
  std::string_view media_type;
  uint64_t size = 0;     // of what follows the head
  std::string_view tag;  // for ETag, in its quotes
  bool is_gzip = false;  // what follows is compressed
  bool may_be_kept = false;
  bool keep_alive = false;
};
std::string page_head(const PageForm& form);
// 304: the browser has that page already. Nothing follows.
std::string not_modified_head(const PageForm& form);
// Does the browser take a compressed page?
bool accepts_gzip(const RequestHead& head);
// Has it got the page of this tag? (RFC 9110 section 13.1.2)
bool has_already(const RequestHead& head, std::string_view tag);
// May the connection serve another request after this one? After one of HTTP/1.0 it never does.
bool keeps_alive(const RequestHead& head);

}  // namespace vncauthproxy::proto
