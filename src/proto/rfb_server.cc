// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/proto/rfb_server.h"

#include <utility>

namespace vncauthproxy::proto {
namespace {

using base::Error;
using base::ErrorCode;

constexpr size_t kMaxReason = 256;

void put_reason(std::string_view reason, base::ByteWriter& out) {
  const std::string_view kept = reason.substr(0, kMaxReason);
  out.u32(static_cast<uint32_t>(kept.size()));
  out.put(kept);
}

}  // namespace

void RfbServer::greet(base::ByteWriter& out) {
  out.put(kVersion38);
  greeted_ = true;
}

base::Result<std::optional<Verified>> RfbServer::advance(base::ByteReader& in, base::ByteWriter& out) {
  if (stage_ == Stage::version) {
    const base::Result<bool> taken = take_version(in, out);
    if (!taken) return taken.error();
    if (!*taken) return std::optional<Verified>();
  }
  if (stage_ == Stage::type) {
    if (in.size() < 1) return std::optional<Verified>();
    if (in.u8() != kSecurityVncAuth) return fail(ErrorCode::unsupported, "Security type not offered", out);
    put_challenge(out);
  }
  if (stage_ == Stage::response) {
    if (in.size() < kChallengeSize) return std::optional<Verified>();
    const Trial trial = std::exchange(trial_, {});  // what is right must not stay in a worker's memory
    if (!trial.passed_by(in.take(kChallengeSize)))
      return fail(ErrorCode::denied, "Authentication failed", out);
    stage_ = Stage::over;
    return std::optional(Verified());
  }
  return Error{ErrorCode::invalid, "the handshake is over"};
}

// True: a version was taken and answered. False: more bytes are needed.
base::Result<bool> RfbServer::take_version(base::ByteReader& in, base::ByteWriter& out) {
  const auto parsed = parse_version(in.rest());
  if (parsed && !*parsed) return false;
  if (!parsed || (*parsed)->major < 3) {
    // Whoever this is (000.000 is a repeater), it would not understand an RFB refusal.
    stage_ = Stage::over;
    if (!parsed) return parsed.error();
    return Error{ErrorCode::invalid, "an RFB version below 3"};
  }
  in.take(kVersionSize);
  if ((*parsed)->major > 3) {
    stage_ = Stage::over;
    out.u8(0);  // an empty list of security types
    put_reason("RFB version not supported", out);
    return Error{ErrorCode::unsupported, "an RFB version above the one offered"};
  }
  version_ = spoken_version((*parsed)->minor);
  if (version_ == RfbVersion::v3_3) {
    out.u32(kSecurityVncAuth);
    put_challenge(out);
  } else {
    out.u8(1);
    out.u8(kSecurityVncAuth);
    stage_ = Stage::type;
  }
  return true;
}

void RfbServer::put_challenge(base::ByteWriter& out) {
  trial_ = trials_.draw();
  out.put(base::Bytes(trial_.challenge));
  stage_ = Stage::response;
}

Error RfbServer::fail(ErrorCode code, std::string_view reason, base::ByteWriter& out) {
  put_failed_result(reason, out);
  stage_ = Stage::over;
  return {code, std::string(reason)};
}

void RfbServer::put_failed_result(std::string_view reason, base::ByteWriter& out) {
  out.u32(kSecurityResultFailed);
  if (version_ == RfbVersion::v3_8) put_reason(reason, out);
}

void RfbServer::grant(base::ByteWriter& out) {
  out.u32(kSecurityResultOk);
}

void RfbServer::refuse(std::string_view reason, base::ByteWriter& out) {
  if (!greeted_) {
    // In the place of a greeting: a 3.3 server's refusal, which needs no answer and which every viewer reads.
    out.put(kVersion33);
    out.u32(kSecurityInvalid);
    put_reason(reason, out);
  } else if (stage_ != Stage::version) {
    put_failed_result(reason, out);
  }
  // Greeted but without its version nothing can be said: a refusal reads differently in 3.3 and in 3.8.
  stage_ = Stage::over;
}

}  // namespace vncauthproxy::proto
