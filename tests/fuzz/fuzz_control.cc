// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz entry: the framing and the parsing of control requests, and the writing of replies.
#include <jansson.h>

#include <algorithm>

#include "tests/fuzz/cuts.h"
#include "vncauthproxy/proto/control.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::proto {
namespace {

using testing::insist;

struct Framed {
  bool complete = false;
  size_t end = 0;
};

std::string frame(const testing::Pieces& pieces, Framed& framed) {
  ObjectFramer framer;
  framed = {};
  for (const base::Bytes piece : pieces) {
    const base::Result<bool> complete = framer.feed(base::as_text(piece));
    if (!complete) return testing::visible(complete.error());
    framed = {*complete, framer.end()};
    if (*complete) break;
  }
  return (framed.complete ? "ends at " : "needs more after ") + std::to_string(framed.end);
}

void check_reply(const std::string& reply) {
  insist(reply.size() <= kMaxReplyBytes, "a reply fits one read of its caller");
  insist(std::all_of(reply.begin(), reply.end(), [](char c) { return c >= ' ' && c <= '~'; }),
         "a reply is printable ASCII");
  const base::Handle<json_t> root(::json_loadb(reply.data(), reply.size(), JSON_ALLOW_NUL, nullptr));
  insist(root != nullptr && json_is_object(root.get()), "a reply is a JSON object");
}

void check_request(const Request& request) {
  insist(request.destination_port != 0 && !request.destination_address.empty(),
         "a request has a destination");
  insist(request.source_port == 0 || request.source_port >= 1024, "no port of the system's is asked for");
  insist(request.password.reveal().find('\0') == std::string_view::npos, "no NUL in a password");
}

}  // namespace
}  // namespace vncauthproxy::proto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vncauthproxy;
  using namespace vncauthproxy::proto;
  static const bool prepared = (use_wiping_json_allocator(), true);
  const testing::FuzzInput input = testing::read_input({data, prepared ? size : 0});
  const std::string_view text = base::as_text(input.transcript);
  Framed framed;
  testing::same_in_any_pieces(input, [&](const testing::Pieces& pieces) { return frame(pieces, framed); });

  const auto parsed = parse_request(framed.complete ? text.substr(0, framed.end) : text);
  if (parsed)
    check_request(*parsed);
  else
    check_reply(to_json(parsed.error()));
  check_reply(to_json(Failure{FailureCode::internal, std::string(text)}));
  check_reply(to_json(Success{1, std::string(text)}));
  return 0;
}
