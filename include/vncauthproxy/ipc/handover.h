// SPDX-License-Identifier: GPL-2.0-or-later
// Everything a worker receives at its fork: by value, with no pointer back into the master.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "vncauthproxy/base/address.h"
#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/net/tls.h"
#include "vncauthproxy/proto/control.h"
#include "vncauthproxy/proto/vnc_auth.h"

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
  proto::Trial first_trial;                     // one for that password
  std::vector<base::Fd> listeners;              // bound and listening, all on one port
  std::optional<base::Network> client_address;  // where the viewer has to come from
  std::chrono::milliseconds connect_timeout{};  // how long the port stays open
  std::chrono::milliseconds auth_timeout{};     // how long a connected viewer has to authenticate
  unsigned auth_attempts = 1;                   // wrong responses until the forwarding ends

  net::TlsServer tls;                            // for types that need it
  base::Fd web;                                  // the folder of pages; none: no pages
  std::chrono::milliseconds ws_ping_interval{};  // 0: no pings

  base::Fd channel;  // the worker's end
};

// Those it has, each once.
std::vector<base::Fd*> descriptors(Handover& handover);

// The same in memory of the heap in use (base/heap.h): nothing in it points into another one.
Handover rehouse(Handover handover);

}  // namespace vncauthproxy::ipc
