// SPDX-License-Identifier: GPL-2.0-or-later
// The answers of a one-time port to HTTP requests: a refusal in words, or the head of a page. Every answer
// forbids to keep it, to guess its type and to pass its address on, since that may hold a password.
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

// The head of a page of `size` bytes.
std::string page_head(std::string_view media_type, uint64_t size, bool keep_alive);
// May the connection serve another request after this one? After one of HTTP/1.0 it never does.
bool keeps_alive(const RequestHead& head);

}  // namespace vncauthproxy::proto
