// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz entry: requests of both dialects on each kind of listener, and the replies to them.
#include <algorithm>
#include <string>

#include "tests/fuzz/cuts.h"
#include "vncauthproxy/proto/request_reader.h"
#include "vncauthproxy/proto/vncap.h"

namespace vncauthproxy::proto {
namespace {

using testing::insist;

constexpr Speech kListeners[] = {{true, Dialect::main}, {false, Dialect::main}, {false, Dialect::vncap}};

void check_request(const Request& request, Speech speech) {
  insist(request.destination_port != 0 && !request.destination_address.empty(), "there is a destination");
  insist(request.dialect == Dialect::main || !speech.login, "no way round a login");
  insist(request.dialect == Dialect::main || request.connect_timeout <= kMaxVncapTimeout,
         "a forwarding without a login ends");
  insist(request.source_port_is_a_wish == (request.dialect == Dialect::vncap), "wishes are of one dialect");
  insist(request.password.reveal().find('\0') == std::string_view::npos, "no NUL in a password");
}

void check_reply(Dialect dialect, const Failure& failure) {
  const std::string reply = to_text(dialect, failure);
  if (dialect == Dialect::vncap) return insist(reply == "FAILED\r\n", "a refusal is one line");
  insist(reply.size() <= kMaxReplyBytes && reply.starts_with('{') && reply.ends_with('}'), "one object");
  insist(std::all_of(reply.begin(), reply.end(), [](char c) { return c >= ' ' && c <= '~'; }), "in ASCII");
}

std::string read(Speech speech, const testing::Pieces& pieces) {
  RequestReader reader(speech);
  std::string all;
  for (const base::Bytes piece : pieces) {
    all += base::as_text(piece);
    const auto parsed = reader.advance(all);
    if (!parsed) continue;
    const std::string dialect = reader.dialect() == Dialect::vncap ? "vncap" : "main";
    if (!*parsed) {
      check_reply(reader.dialect(), parsed->error());
      return dialect +
             " refused";  // a long line may be bad in several ways, and is cut short sooner in pieces
    }
    const auto& request = **parsed;
    check_request(request, speech);
    insist(request.dialect == reader.dialect(), "the reply is in the dialect of the request");
    insist(reader.end() <= all.size(), "a request ends within what came");
    return dialect + " to " + testing::visible(request.destination_address) + ", ends at " +
           std::to_string(reader.end());
  }
  return "needs more";
}

}  // namespace
}  // namespace vncauthproxy::proto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vncauthproxy;
  using namespace vncauthproxy::proto;
  static const bool prepared = (use_wiping_json_allocator(), true);
  const testing::FuzzInput input = testing::read_input({data, prepared ? size : 0});
  for (const Speech speech : kListeners)
    testing::same_in_any_pieces(input, [&](const testing::Pieces& pieces) { return read(speech, pieces); });
  return 0;
}
