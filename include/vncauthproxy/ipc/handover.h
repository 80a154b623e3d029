// SPDX-License-Identifier: GPL-2.0-or-later
// Everything a spare receives to become the worker of one forwarding: one message, with its descriptors
// beside it. And the settings that the nursery prepares before it forks spares. Pure: structs <-> bytes.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/result.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/ipc/message.h"
#include "vncauthproxy/net/tls.h"
#include "vncauthproxy/proto/control.h"

namespace vncauthproxy::ipc {

struct Handover {
  uint32_t id = 0;  // the forwarding's number, F<id> in the log
  proto::ViewerType type = proto::ViewerType::vnc;

  std::string destination_address;
  uint16_t destination_port = 0;
  base::Secret server_password;                // empty: none
  std::chrono::milliseconds server_timeout{};  // one deadline for all it takes to reach the backend
  unsigned connect_retries = 1;                // rounds over all resolved addresses
  std::chrono::milliseconds retry_wait{};      // between two rounds

  base::Secret password;                        // the viewer's
  std::vector<base::Fd> listeners;              // bound and listening, all on one port
  std::optional<base::Network> client_address;  // where the viewer has to come from
  std::chrono::milliseconds connect_timeout{};  // how long the port stays open
  std::chrono::milliseconds auth_timeout{};     // how long a connected viewer has to authenticate
  unsigned auth_attempts = 1;                   // wrong responses until the forwarding ends
  unsigned viewers_per_address = 1;             // on their way in at a time

  base::Secret tls_key;  // DER, for types that need it; the certificate is the nursery's
  base::Fd web;          // the folder of pages; none: no pages
  std::chrono::milliseconds ws_ping_interval{};  // 0: no pings
  std::chrono::milliseconds ws_timeout{};        // for an answer to a ping; 0: for ever
};

// Writes the packet into `room` (kMaxLongBytes) and returns its part of it. It holds secrets: wipe it once it
// is sent. Error too_large: the request was too long.
base::Result<base::Bytes> encode(const Handover& handover, std::span<uint8_t> room);
// What goes beside the packet: loans, in the order in which decode() takes them.
std::vector<int> descriptors(const Handover& handover);
// Error invalid: not a Handover, cut, with extra bytes, a value out of range, or other descriptors than it
// names.
base::Result<Handover> decode_handover(base::Bytes packet, std::vector<base::Fd> descriptors);

struct Settings {
  uint32_t number = 0;  // of these settings: Born tells it
  bool debug = false;   // log debug lines too
  std::string log;      // where a worker logs whose master is gone: as --log has it; a file means syslog
  // Empty chain: there is no certificate. No key here: it travels with a Handover, to those that need it.
  net::TlsContextSettings tls;
};
base::Result<base::Bytes> encode(const Settings& settings, std::span<uint8_t> room);
base::Result<Settings> decode_settings(base::Bytes packet);

}  // namespace vncauthproxy::ipc
