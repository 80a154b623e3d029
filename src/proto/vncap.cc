// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/vncap.h"

#include <algorithm>

#include "proto/json_fields.h"

namespace vncauthproxy::proto {
namespace {

// A wish alone: what is taken or outside of the range is replaced by a free port.
uint16_t wished_port(Fields& fields) {
  if (!fields.present("sport")) return 0;
  const auto port = fields.integer("sport");
  if (!port) fields.complain("sport", "must be a port number");
  return port && *port > 0 && *port <= UINT16_MAX ? static_cast<uint16_t>(*port) : uint16_t{0};
}

ViewerType viewer_type(Fields& fields) {
  const bool websocket = fields.flag("ws");
  const bool tls = fields.flag("tls");
  if (websocket) return tls ? ViewerType::vnc_wss : ViewerType::vnc_ws;
  return tls ? ViewerType::vnc_tls : ViewerType::vnc;
}

// The original's documents speak of an address, so a network is a mistake here.
std::optional<base::Network> one_address(Fields& client) {
  if (!client.present("ip")) return std::nullopt;
  const std::string text(client.text("ip"));
  const auto network = base::parse_network(text);
  if (network && text.find('/') == std::string::npos) return *network;
  client.complain("ip", "must be an IPv4 or IPv6 address");
  return std::nullopt;
}

void read_client(Fields& fields, Request& request) {
  const json_t* object = fields.object("client");
  if (object == nullptr) return;
  Fields client(object, "client.");
  request.client_address = one_address(client);
  if (base::Secret password = client.secret("password"); !password.empty())
    request.password = std::move(password);
  fields.adopt(client);
}

}  // namespace

base::Result<Request, Failure> read_vncap_request(const json_t* object) {
  Fields fields(object);
  Request request;
  request.dialect = Dialect::vncap;
  request.destination_address = fields.host("daddr");
  request.destination_port = fields.port("dport");
  request.source_port = wished_port(fields);
  request.source_port_is_a_wish = true;
  request.type = viewer_type(fields);
  request.password = fields.secret("password");
  request.server_password = base::Secret(request.password.reveal());
  read_client(fields, request);
  request.connect_timeout = std::min<std::chrono::milliseconds>(fields.seconds("timeout"), kMaxVncapTimeout);
  if (!fields.problem().empty()) return Failure{FailureCode::bad_request, fields.problem()};
  return request;
}

base::Result<Request, Failure> parse_vncap(std::string_view line) {
  const auto parsed = parse_object(line);
  if (!parsed) return parsed.error();
  return read_vncap_request(parsed->get());
}

std::string to_vncap(const Success& success) {
  std::string line;
  line.reserve(32);  // for a password too: a string that grows leaves a copy behind
  line += std::to_string(success.source_port);
  if (!success.made_password.empty()) line.append(" ").append(success.made_password);
  return line += "\r\n";
}

std::string to_vncap(const Failure&) {
  return "FAILED\r\n";
}

}  // namespace vncauthproxy::proto
