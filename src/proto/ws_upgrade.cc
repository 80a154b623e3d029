// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/ws_upgrade.h"

#include <algorithm>
#include <optional>

#include "vncauthproxy/proto/base64.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::proto {
namespace {

constexpr std::string_view kAcceptSuffix = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

constexpr HttpRefusal kNoPages{404, "This port is for WebSocket; there are no pages here.", ""};
constexpr HttpRefusal kMethod{405, "A WebSocket is opened with GET.", "Allow: GET\r\n"};
constexpr HttpRefusal kOldHttp{400, "A WebSocket needs HTTP/1.1.", ""};
constexpr HttpRefusal kNoUpgrade{400, "A WebSocket needs the field \"Upgrade: websocket\".", ""};
constexpr HttpRefusal kNoConnection{400, "A WebSocket needs the field \"Connection: Upgrade\".", ""};
// RFC 9110 section 15.5.22 wants an Upgrade field here, and whoever sends that must name it in Connection.
constexpr HttpRefusal kVersion{426, "Only version 13 of WebSocket is spoken here.",
                               "Sec-WebSocket-Version: 13\r\n"
                               "Upgrade: websocket\r\nConnection: Upgrade\r\n"};
constexpr HttpRefusal kKey{400, "A WebSocket needs one Sec-WebSocket-Key of 16 bytes in base64.", ""};
constexpr HttpRefusal kSubprotocol{400, "Of WebSocket subprotocols only binary and base64 are spoken here.",
                                   ""};
constexpr HttpRefusal kNoDigest{500, "SHA-1, which WebSocket needs, is not available.", ""};

bool has_one(const RequestHead& head, std::string_view name) {
  return head.count(name) == 1;
}

// Nullopt: some were offered, none of them known. A browser gives up unless one that it offered comes back,
// and also when one comes back that it did not offer.
std::optional<Subprotocol> choose_subprotocol(const RequestHead& head) {
  const auto offered = head.list("Sec-WebSocket-Protocol");
  const auto has = [&offered](std::string_view name) {
    return std::find(offered.begin(), offered.end(), name) != offered.end();
  };
  if (offered.empty()) return Subprotocol::none;
  if (has("binary")) return Subprotocol::binary;
  if (has("base64")) return Subprotocol::base64;
  return std::nullopt;
}

std::string_view protocol_field(Subprotocol subprotocol) {
  switch (subprotocol) {
    case Subprotocol::binary:
      return "Sec-WebSocket-Protocol: binary\r\n";
    case Subprotocol::base64:
      return "Sec-WebSocket-Protocol: base64\r\n";
    case Subprotocol::none:
      break;
  }
  return "";
}

// Kept, and never freed: OpenSSL cleans up behind main before a static object would go. Null: there is no
// SHA-1.
EVP_MD_CTX* sha1() {
  static EVP_MD_CTX* const context = [] {
    base::Handle<EVP_MD_CTX> made(::EVP_MD_CTX_new());
    if (made && ::EVP_DigestInit_ex(made.get(), ::EVP_sha1(), nullptr) != 1) made.reset();
    return made.release();
  }();
  return context;
}

}  // namespace

void prepare_ws_upgrade() {
  sha1();
}

bool wants_websocket(const RequestHead& head) {
  return head.lists("Upgrade", "websocket") || head.count("Sec-WebSocket-Key") != 0 ||
         head.count("Sec-WebSocket-Version") != 0;
}

std::string websocket_accept(std::string_view key) {
  const std::string text = std::string(key).append(kAcceptSuffix);
  uint8_t digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_MD_CTX* const hash = sha1();
  if (hash == nullptr || ::EVP_DigestInit_ex(hash, nullptr, nullptr) != 1 ||
      ::EVP_DigestUpdate(hash, text.data(), text.size()) != 1 ||
      ::EVP_DigestFinal_ex(hash, digest, &size) != 1)
    return {};
  return to_base64(base::Bytes(digest, size));
}

base::Result<Upgrade, HttpRefusal> decide_upgrade(const RequestHead& head) {
  if (const auto refusal = check_request(head)) return *refusal;
  if (!wants_websocket(head)) return kNoPages;
  if (head.method() != "GET") return kMethod;
  if (head.minor_version() == 0) return kOldHttp;
  if (!head.lists("Upgrade", "websocket")) return kNoUpgrade;
  if (!head.lists("Connection", "upgrade")) return kNoConnection;
  // The version goes first: what else there is depends on it.
  if (!has_one(head, "Sec-WebSocket-Version") || head.first("Sec-WebSocket-Version") != "13") return kVersion;
  const std::string_view key = head.first("Sec-WebSocket-Key");
  if (!has_one(head, "Sec-WebSocket-Key") || base64_decoded_size(key) != 16) return kKey;
  const auto subprotocol = choose_subprotocol(head);
  if (!subprotocol) return kSubprotocol;

  const std::string accept = websocket_accept(key);
  if (accept.empty()) return kNoDigest;
  Upgrade upgrade{*subprotocol,
                  "HTTP/1.1 101 Switching Protocols\r\n"
                  "Upgrade: websocket\r\n"
                  "Connection: Upgrade\r\n"
                  "Sec-WebSocket-Accept: "};
  upgrade.answer.append(accept).append("\r\n").append(protocol_field(*subprotocol)).append("\r\n");
  return upgrade;
}

}  // namespace vncauthproxy::proto
