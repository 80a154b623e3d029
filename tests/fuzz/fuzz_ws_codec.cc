// SPDX-License-Identifier: GPL-2.0-or-later
// Fuzz entry: WebSocket frames of a client that sends anything. Bit 3 of the first byte ('8') asks for
// base64, bit 6 ('p', 'x') has the server close before the first byte comes.
#include <array>

#include "tests/fuzz/cuts.h"
#include "vncauthproxy/proto/ws_codec.h"

namespace vncauthproxy::proto {
namespace {

using testing::insist;

std::string take(WsCodec& codec) {
  std::array<uint8_t, WsCodec::kMaxControlOutput> room{};
  const size_t size = codec.take_control(room);
  insist(!codec.has_control() && codec.take_control(room) == 0, "what is taken is gone");
  return std::string(base::as_text(base::Bytes(room).first(size)));
}

// What the server sends: whole unmasked control frames, and nothing behind a close.
void check_control(std::string_view sent, bool closes) {
  bool closed = false;
  base::ByteReader in(base::as_bytes(sent));
  while (in.size() > 0) {
    insist(!closed, "nothing follows a close");
    const uint8_t head = in.u8(), payload = in.u8();
    insist(head == 0x88 || head == 0x89 || head == 0x8A, "only control frames are queued");
    insist(payload <= kMaxControlPayload && payload <= in.size(), "a control frame is whole");
    closed = head == 0x88;
    base::ByteReader body(in.take(payload));
    if (closed && payload != 0)
      insist(payload >= 2 && legal_close_code(body.u16()), "a close has a legal code");
  }
  insist(closed == closes, "a close is sent when there is cause");
}

std::string talk(bool base64, bool closing, const testing::Pieces& pieces) {
  WsCodec codec(base64 ? WsCodec::Mode::base64 : WsCodec::Mode::binary);
  if (closing) codec.close(kCloseNormal, "enough");
  std::string payload;
  size_t received = 0;
  for (const base::Bytes piece : pieces) {
    std::vector<uint8_t> out(piece.size() + WsCodec::kDecodeSlack);
    const size_t size = codec.decode(piece, out);
    insist(size <= out.size(), "the room suffices");
    payload += base::as_text(base::Bytes(out).first(size));
    received += piece.size();
  }
  insist(payload.size() <= received, "payload is made of what came");
  insist(!closing || payload.empty(), "after our close nothing is decoded");
  const WsCodec::Close failure = codec.failure(), close = codec.peer_close();
  insist(failure.code == 0 || close.code == 0, "a session ends once");
  insist(failure.code == 0 || legal_close_code(failure.code), "a breach has a legal code");
  insist(close.code == 0 || close.code == kCloseNoCode || legal_close_code(close.code), "so has a close");
  insist(codec.input_over() == (failure.code != 0 || close.code != 0), "either ends the input");
  const std::string sent = take(codec);
  check_control(sent, closing || codec.input_over());

  std::string outcome = std::to_string(failure.code) + " " + std::string(failure.reason) + " " +
                        std::to_string(close.code) + " " + std::string(close.reason) + " " +
                        std::to_string(codec.frames()) + " " + std::to_string(codec.pongs()) + " ";
  return outcome.append(sent).append("|").append(payload);
}

}  // namespace
}  // namespace vncauthproxy::proto

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace vncauthproxy;
  const testing::FuzzInput input = testing::read_input({data, size});
  testing::same_in_any_pieces(input, [&](const testing::Pieces& pieces) {
    return proto::talk((input.flags & 0x08) != 0, (input.flags & 0x40) != 0, pieces);
  });
  return 0;
}
