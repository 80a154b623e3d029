// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/rfb_client.h"

#include <algorithm>
#include <bitset>

#include "vncauthproxy/base/log.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::proto {
namespace {

using base::ByteReader;
using base::ByteWriter;
using base::Error;
using base::ErrorCode;
using base::Result;

constexpr size_t kMaxReason = 256;          // shown, once escaped
constexpr size_t kKeptReason = 260;         // so that the cut never falls on half a UTF-8 character
constexpr uint32_t kMaxDrained = 4 * 1024;  // whatever length a reason claims
constexpr size_t kMaxNamedTypes = 24;

std::string_view version_text(RfbVersion version) {
  switch (version) {
    case RfbVersion::v3_3:
      return kVersion33;
    case RfbVersion::v3_7:
      return kVersion37;
    case RfbVersion::v3_8:
      break;
  }
  return kVersion38;
}

// "19, 30": each once, in the backend's order.
std::string name_types(base::Bytes types) {
  std::bitset<256> named;
  std::string text;
  for (const uint8_t type : types) {
    if (named[type]) continue;
    if (named.count() == kMaxNamedTypes) return text + ", ...";
    named.set(type);
    if (!text.empty()) text += ", ";
    text += std::to_string(type);
  }
  return text;
}

Error no_match(const std::string& offered) {
  return {ErrorCode::unsupported, "the backend offers only security types " + offered};
}

}  // namespace

RfbClient::RfbClient(const base::Secret& password) : password_(password) {}

Result<RfbClient::Progress> RfbClient::advance(ByteReader& in, ByteWriter& out) {
  while (state_ != State::done) {
    const State before = state_;
    const Result<void> taken = take_message(in, out);
    if (!taken) return taken.error();
    if (state_ == before) return Progress::need_more;
  }
  return Progress::done;
}

// Takes the message the state waits for, once all of it is there, and moves on to the next state.
Result<void> RfbClient::take_message(ByteReader& in, ByteWriter& out) {
  switch (state_) {
    case State::version:
      return take_version(in, out);
    case State::scheme:
      return take_scheme(in);
    case State::types:
      return take_types(in, out);
    case State::challenge:
      return take_challenge(in, out);
    case State::result:
      return take_result(in);
    case State::reason_size:
      return take_reason_size(in);
    case State::reason:
      return take_reason(in);
    case State::done:
      break;
  }
  return {};
}

Result<void> RfbClient::take_version(ByteReader& in, ByteWriter& out) {
  const auto parsed = parse_version(in.rest());
  if (!parsed) return Error{ErrorCode::invalid, "the backend does not speak RFB"};
  if (!*parsed) return {};
  const auto [major, minor] = **parsed;
  if (major == 0 && minor == 0) return Error{ErrorCode::invalid, "the backend is a repeater (RFB 000.000)"};
  if (major < 3 || (major == 3 && minor < 3))
    return Error{ErrorCode::invalid, "the backend speaks RFB " + std::to_string(major) + "." +
                                         std::to_string(minor) + ", which is below 3.3"};
  offer_ = base::as_text(in.take(kVersionSize));
  version_ = major > 3 ? RfbVersion::v3_8 : spoken_version(minor);
  out.put(version_text(version_));
  state_ = version_ == RfbVersion::v3_3 ? State::scheme : State::types;
  return {};
}

// 3.3: the backend alone decides.
Result<void> RfbClient::take_scheme(ByteReader& in) {
  if (in.size() < sizeof(uint32_t)) return {};
  offer_ += base::as_text(in.rest().first(sizeof(uint32_t)));
  const uint32_t scheme = in.u32();
  switch (scheme) {
    case kSecurityInvalid:
      state_ = State::reason_size;
      return {};
    case kSecurityNone:
      state_ = State::done;
      return {};
    case kSecurityVncAuth:
      return begin_authentication();
    default:
      return no_match(std::to_string(scheme));
  }
}

// 3.7 and 3.8: of a list we take what we like best, whatever its order.
Result<void> RfbClient::take_types(ByteReader& in, ByteWriter& out) {
  if (in.size() < 1) return {};
  const size_t count = in.rest()[0];
  if (in.size() < 1 + count) return {};
  const base::Bytes types = in.take(1 + count).subspan(1);
  offer_ += base::as_text(types);
  const auto offered = [types](uint8_t type) {
    return std::find(types.begin(), types.end(), type) != types.end();
  };
  if (types.empty()) {
    state_ = State::reason_size;
    return {};
  }
  if (offered(kSecurityNone)) {
    out.u8(kSecurityNone);
    state_ = version_ == RfbVersion::v3_8 ? State::result : State::done;  // 3.7 has no result for None
    return {};
  }
  if (!offered(kSecurityVncAuth)) return no_match(name_types(types));
  const Result<void> begun = begin_authentication();
  if (begun) out.u8(kSecurityVncAuth);
  return begun;
}

Result<void> RfbClient::begin_authentication() {
  if (password_.empty()) return Error{ErrorCode::denied, "the backend asks for a password (server_password)"};
  authenticating_ = true;
  state_ = State::challenge;
  return {};
}

Result<void> RfbClient::take_challenge(ByteReader& in, ByteWriter& out) {
  if (in.size() < kChallengeSize) return {};
  Challenge challenge;
  const base::Bytes bytes = in.take(kChallengeSize);
  std::copy(bytes.begin(), bytes.end(), challenge.begin());
  Response response = vnc_response(password_, challenge);
  out.put(base::Bytes(response));
  base::wipe(response);
  state_ = State::result;
  return {};
}

Result<void> RfbClient::take_result(ByteReader& in) {
  if (in.size() < sizeof(uint32_t)) return {};
  if (in.u32() == kSecurityResultOk) {
    state_ = State::done;
    return {};
  }
  if (version_ != RfbVersion::v3_8) return refusal();  // no reason is going to come
  state_ = State::reason_size;
  return {};
}

Result<void> RfbClient::take_reason_size(ByteReader& in) {
  if (in.size() < sizeof(uint32_t)) return {};
  reason_left_ = std::min(in.u32(), kMaxDrained);
  state_ = State::reason;
  return {};
}

// The one message taken in pieces: its length is only the backend's word.
Result<void> RfbClient::take_reason(ByteReader& in) {
  const base::Bytes piece = in.take(reason_left_);
  reason_left_ -= static_cast<uint32_t>(piece.size());
  reason_ += base::as_text(piece).substr(0, kKeptReason - reason_.size());
  if (reason_left_ == 0) return refusal();
  return {};
}

Error RfbClient::refusal() const {
  std::string_view reason = reason_;
  while (!reason.empty() && reason.back() == '\0') reason.remove_suffix(1);  // QEMU counts its NUL
  const std::string tail = reason.empty() ? ", without a reason" : ": " + base::escape(reason, kMaxReason);
  if (authenticating_) return {ErrorCode::denied, "the backend does not accept server_password" + tail};
  return {ErrorCode::refused, "the backend refuses" + tail};
}

std::string_view RfbClient::step() const {
  switch (state_) {
    case State::version:
      return "greeting";
    case State::scheme:
    case State::types:
      return "security types";
    case State::challenge:
      return "challenge";
    case State::result:
    case State::reason_size:
    case State::reason:
    case State::done:
      break;
  }
  return "security result";
}

Error RfbClient::ended(ByteReader& in) {
  switch (state_) {
    case State::reason: {
      const Result<void> taken = take_reason(in);
      if (!taken) return taken.error();
      return refusal();
    }
    case State::reason_size:
      return refusal();
    case State::version:
      return {ErrorCode::closed, "the backend closed the connection before its RFB version"};
    case State::scheme:
    case State::types:
      return {ErrorCode::closed, "the backend closed the connection before its security types"};
    case State::challenge:
      return {ErrorCode::closed, "the backend closed the connection before its challenge"};
    case State::result:
      return {ErrorCode::closed, "the backend closed the connection before its security result"};
    case State::done:
      break;
  }
  return {ErrorCode::closed, "the backend closed the connection"};
}

}  // namespace vncauthproxy::proto
