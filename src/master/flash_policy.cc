// SPDX-License-Identifier: GPL-2.0-or-later
#include "master/flash_policy.h"

#include <sys/socket.h>

#include <array>
#include <string_view>
#include <utility>

#include "vncauthproxy/base/bytes.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/net/stream.h"

namespace vncauthproxy::master {
namespace {

using namespace std::string_view_literals;
using net::Io;
using net::IoStatus;

constexpr std::string_view kRequest = "<policy-file-request/>\0"sv;

std::string policy_for(uint16_t min_port, uint16_t max_port) {
  std::string policy =
      "<?xml version=\"1.0\"?>\n"
      "<!DOCTYPE cross-domain-policy SYSTEM \"http://www.adobe.com/xml/dtds/cross-domain-policy.dtd\">\n"
      "<cross-domain-policy>\n"
      "  <site-control permitted-cross-domain-policies=\"master-only\"/>\n"
      "  <allow-access-from domain=\"*\" to-ports=\"";
  policy += std::to_string(min_port) + "-" + std::to_string(max_port);
  policy += "\"/>\n</cross-domain-policy>\n";
  policy += '\0';
  return policy;
}

}  // namespace

struct FlashPolicy::Client {
  Client(FlashPolicy& server, base::Fd socket)
      : stream(std::move(socket)),
        readable(server.loop_, stream.fd(), net::Watch::For::reading,
                 [&server, this] { server.read(*this); }),
        deadline(server.loop_, [&server, this] { server.remove(*this); }) {
    readable.arm();
    deadline.start(kPatience);
  }

  net::Stream stream;
  size_t matched = 0;  // bytes of the request
  net::Watch readable;
  net::Timer deadline;
};

FlashPolicy::FlashPolicy(net::Loop& loop, std::vector<base::Fd> listeners, uint16_t min_port,
                         uint16_t max_port)
    : loop_(loop), policy_(policy_for(min_port, max_port)) {
  for (base::Fd& listener : listeners)
    acceptors_.emplace_back(loop, std::move(listener),
                            [this](base::Fd socket, const base::Endpoint&) { admit(std::move(socket)); });
}

FlashPolicy::~FlashPolicy() = default;

void FlashPolicy::admit(base::Fd socket) {
  if (clients_.size() == kMaxClients) clients_.pop_front();
  clients_.emplace_back(*this, std::move(socket));
}

void FlashPolicy::read(Client& client) {
  std::array<uint8_t, 64> room;
  const Io io = client.stream.read(room);
  if (io.status == IoStatus::again) return;
  if (io.status != IoStatus::ok) return remove(client);
  // What comes behind the request is read and dropped until the client goes: closing on unread input would
  // take the answer along.
  if (client.matched == kRequest.size()) return;
  const std::string_view text = base::as_text(base::Bytes(room).first(io.count));
  const std::string_view expected = kRequest.substr(client.matched);
  if (!text.starts_with(expected) && !expected.starts_with(text)) return remove(client);
  client.matched += std::min(text.size(), expected.size());
  if (client.matched < kRequest.size()) return;
  // An empty socket buffer has room for the few hundred bytes of the policy.
  if (client.stream.write(base::as_bytes(policy_)).count != policy_.size()) return remove(client);
  client.stream.finish();
}

void FlashPolicy::remove(const Client& client) {
  clients_.remove_if([&client](const Client& other) { return &other == &client; });
}

}  // namespace vncauthproxy::master
