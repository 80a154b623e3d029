// SPDX-License-Identifier: GPL-2.0-or-later
// The opening handshake of WebSocket, as its server (RFC 6455 section 4.2): a request head becomes a 101 or a
// refusal. Any path will do, and no extension is ever agreed on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "vncauthproxy/base/result.h"
#include "vncauthproxy/proto/http_answer.h"
#include "vncauthproxy/proto/http_head.h"

namespace vncauthproxy::proto {

// How RFB travels in the frames. `none` and `binary` differ in the answer only.
enum class Subprotocol : uint8_t { none, binary, base64 };

struct Upgrade {
  Subprotocol subprotocol = Subprotocol::none;
  std::string answer;  // the whole 101
};

// Looks for SHA-1 now, so that forked workers share what comes of it. Else the first upgrade does.
void prepare_ws_upgrade();
// Does this head try to open a WebSocket, well or badly? If not, it asks for a page.
bool wants_websocket(const RequestHead& head);
// A head that does not even try is refused with 404: without pages there is nothing else to find here.
base::Result<Upgrade, HttpRefusal> decide_upgrade(const RequestHead& head);

// Sec-WebSocket-Accept for a Sec-WebSocket-Key; empty when the crypto policy of the machine has no SHA-1.
std::string websocket_accept(std::string_view key);

}  // namespace vncauthproxy::proto
