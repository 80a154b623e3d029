// SPDX-License-Identifier: GPL-2.0-or-later
// Both RFB handshakes driven from memory, and what came of them as one line of text; for unit tests and
// fuzzers.
#pragma once

#include <string>

#include "tests/support/feeder.h"
#include "vncauthproxy/proto/rfb_client.h"
#include "vncauthproxy/proto/rfb_server.h"

namespace vncauthproxy::testing {

inline constexpr proto::Challenge kKnownChallenge = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
// What `password` answers to it.
inline constexpr std::string_view kKnownResponse =
    "\xb8\x66\x92\x41\x25\xc8\xee\xbb\x9d\xeb\xc1\xdb\x61\xc5\x38\xe2";

// Tests must know a challenge before it is sent, to write down what a viewer says.
inline proto::Trials known_trials(const base::Secret& password) {
  return proto::Trials(password, proto::make_trial(password, kKnownChallenge));
}

inline std::string outcome(std::string_view sent, const std::string& end) {
  return "sent " + visible(sent) + "; " + end;
}

inline std::string end_with_rest(std::string_view word, base::Bytes rest) {
  return std::string(word) + ", rest " + visible(rest);
}

// Toward a backend that sends the pieces and then closes.
inline std::string talk_to_backend(const base::Secret& password, const Pieces& pieces) {
  proto::RfbClient client(password);
  Inbox inbox;
  std::string sent;
  for (size_t i = 0; i < pieces.size(); ++i) {
    inbox.add(pieces[i]);
    uint8_t room[64];
    base::ByteReader in = inbox.reader();
    base::ByteWriter out(room);
    const auto progress = client.advance(in, out);
    sent += base::as_text(out.written());
    if (!out.ok()) return "too much output";
    if (!progress) return outcome(sent, visible(progress.error()));
    inbox.leave(in);
    if (*progress == proto::RfbClient::Progress::need_more) continue;
    for (size_t later = i + 1; later < pieces.size(); ++later) inbox.add(pieces[later]);
    return outcome(sent, end_with_rest("done", inbox.bytes()));
  }
  base::ByteReader in = inbox.reader();
  return outcome(sent, "ended " + visible(client.ended(in)));
}

// Toward a viewer that sends the pieces; a verified one is granted.
inline std::string talk_to_viewer(const base::Secret& password, const Pieces& pieces) {
  proto::Trials trials = known_trials(password);
  proto::RfbServer server(trials);
  Inbox inbox;
  uint8_t room[proto::RfbServer::kMaxOutput];
  base::ByteWriter greeting(room);
  server.greet(greeting);
  std::string sent(base::as_text(greeting.written()));
  for (size_t i = 0; i < pieces.size(); ++i) {
    inbox.add(pieces[i]);
    base::ByteReader in = inbox.reader();
    base::ByteWriter out(room);
    const auto verified = server.advance(in, out);
    if (verified && *verified) server.grant(out);
    sent += base::as_text(out.written());
    if (!out.ok()) return "too much output";
    if (!verified) return outcome(sent, visible(verified.error()));
    inbox.leave(in);
    if (!*verified) continue;
    for (size_t later = i + 1; later < pieces.size(); ++later) inbox.add(pieces[later]);
    return outcome(sent, end_with_rest("verified", inbox.bytes()));
  }
  const char* const stages[] = {"version", "type", "response", "over"};
  return outcome(sent, std::string("waiting for ") + stages[static_cast<size_t>(server.stage())]);
}

}  // namespace vncauthproxy::testing
