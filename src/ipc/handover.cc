// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/ipc/handover.h"

#include <cstring>
#include <iterator>
#include <utility>

namespace vncauthproxy::ipc {
namespace {

using base::ByteReader;
using base::Bytes;
using base::ByteWriter;
using base::Error;
using base::ErrorCode;
using base::Result;
using std::chrono::milliseconds;

// Both directions go through the same list of fields, fields() below, so that they cannot disagree about the
// order.

class Writer {
 public:
  explicit Writer(ByteWriter& out) : out_(out) {}

  void operator()(bool value) { out_.u8(value ? 1 : 0); }
  void operator()(uint16_t value) { out_.u16(value); }
  void operator()(uint32_t value) { out_.u32(value); }
  void operator()(milliseconds value) { out_.u64(static_cast<uint64_t>(value.count())); }
  void operator()(proto::ViewerType value) { out_.u8(static_cast<uint8_t>(value)); }
  void operator()(const std::string& value) { text(value); }
  void operator()(const base::Secret& value) { text(value.reveal()); }
  void operator()(const std::optional<base::Network>& value) {
    (*this)(value.has_value());
    if (!value) return;
    text({reinterpret_cast<const char*>(&value->address.storage), value->address.length});
    out_.u32(value->bits);
  }
  // Descriptors travel beside the packet; here is how many there are.
  void operator()(const base::Fd& value) { (*this)(static_cast<bool>(value)); }
  void operator()(const std::vector<base::Fd>& value) { out_.u8(static_cast<uint8_t>(value.size())); }

 private:
  void text(std::string_view value) {
    out_.u32(static_cast<uint32_t>(value.size()));
    out_.put(value);
  }

  ByteWriter& out_;
};

class Reader {
 public:
  Reader(ByteReader& in, std::vector<base::Fd> descriptors) : in_(in), descriptors_(std::move(descriptors)) {}

  // False once anything was cut or out of range. All must have been taken at the end.
  bool ok() const { return ok_; }
  bool all_taken() const { return in_.size() == 0 && taken_ == descriptors_.size(); }

  void operator()(bool& value) { value = small(1) != 0; }
  void operator()(uint16_t& value) {
    if (has(2)) value = in_.u16();
  }
  void operator()(uint32_t& value) {
    if (has(4)) value = in_.u32();
  }
  void operator()(milliseconds& value) {
    if (has(8)) value = milliseconds(static_cast<int64_t>(in_.u64() & INT64_MAX));
  }
  void operator()(proto::ViewerType& value) {
    value = static_cast<proto::ViewerType>(small(static_cast<uint8_t>(proto::kLastViewerType)));
  }
  void operator()(std::string& value) { value = std::string(text()); }
  void operator()(base::Secret& value) { value = base::Secret(text()); }
  void operator()(std::optional<base::Network>& value) {
    bool there = false;
    (*this)(there);
    if (!there) return;
    value.emplace();
    const std::string_view address = text();
    if (address.size() > sizeof value->address.storage) return broken();
    if (!address.empty()) std::memcpy(&value->address.storage, address.data(), address.size());
    value->address.length = static_cast<socklen_t>(address.size());
    (*this)(value->bits);
    if (value->bits > 128) broken();
  }
  void operator()(base::Fd& value) {
    if (small(1) != 0) value = descriptor();
  }
  void operator()(std::vector<base::Fd>& value) {
    for (uint8_t left = small(UINT8_MAX); left > 0 && ok_; --left) value.push_back(descriptor());
  }

 private:
  void broken() { ok_ = false; }
  bool has(size_t size) { return ok_ = ok_ && in_.size() >= size; }
  uint8_t small(uint8_t most) {
    const uint8_t value = has(1) ? in_.u8() : 0;
    if (value > most) broken();
    return ok_ ? value : 0;
  }
  std::string_view text() {
    const size_t size = has(4) ? in_.u32() : 0;
    return has(size) ? base::as_text(in_.take(size)) : std::string_view();
  }
  base::Fd descriptor() {
    if (taken_ < descriptors_.size()) return std::move(descriptors_[taken_++]);
    broken();
    return base::Fd();
  }

  ByteReader& in_;
  std::vector<base::Fd> descriptors_;
  size_t taken_ = 0;
  bool ok_ = true;
};

template <typename Coder, typename HandoverOrConst>
void fields_of_handover(Coder& field, HandoverOrConst& handover) {
  field(handover.id);
  field(handover.type);
  field(handover.destination_address);
  field(handover.destination_port);
  field(handover.server_password);
  field(handover.server_timeout);
  field(handover.connect_retries);
  field(handover.retry_wait);
  field(handover.password);
  field(handover.listeners);
  field(handover.client_address);
  field(handover.connect_timeout);
  field(handover.auth_timeout);
  field(handover.auth_attempts);
  field(handover.viewers_per_address);
  field(handover.tls_key);
  field(handover.web);
  field(handover.ws_ping_interval);
  field(handover.ws_timeout);
}

template <typename Coder, typename SettingsOrConst>
void fields_of_settings(Coder& field, SettingsOrConst& settings) {
  field(settings.number);
  field(settings.debug);
  field(settings.log);
  field(settings.tls.chain);
  field(settings.tls.min_version);
  field(settings.tls.ciphers);
  field(settings.tls.ciphersuites);
}

template <typename Put>
Result<Bytes> encode_long(Number number, std::span<uint8_t> room, const Put& put) {
  ByteWriter body(room.subspan(kHeaderSize));
  put(Writer(body));
  if (!body.ok()) return Error{ErrorCode::too_large, "too long for a message to a worker"};
  ByteWriter header(room.first(kHeaderSize));
  put_header(header, number, body.size());
  return Bytes(room).first(kHeaderSize + body.size());
}

}  // namespace

Result<Bytes> encode(const Handover& handover, std::span<uint8_t> room) {
  return encode_long(Number::handover, room, [&](Writer field) { fields_of_handover(field, handover); });
}

Result<Bytes> encode(const Settings& settings, std::span<uint8_t> room) {
  return encode_long(Number::settings, room, [&](Writer field) { fields_of_settings(field, settings); });
}

std::vector<int> descriptors(const Handover& handover) {
  std::vector<int> all;
  for (const base::Fd& listener : handover.listeners) all.push_back(listener.get());
  if (handover.web) all.push_back(handover.web.get());
  return all;
}

Result<Handover> decode_handover(Bytes packet, std::vector<base::Fd> descriptors) {
  auto body = body_of(packet, Number::handover);
  if (!body) return body.error();
  ByteReader in(*body);
  Reader field(in, std::move(descriptors));
  Handover handover;
  fields_of_handover(field, handover);
  if (!field.ok() || !field.all_taken()) return bad_message("Handover");
  return handover;
}

Result<Settings> decode_settings(Bytes packet) {
  auto body = body_of(packet, Number::settings);
  if (!body) return body.error();
  ByteReader in(*body);
  Reader field(in, {});
  Settings settings;
  fields_of_settings(field, settings);
  if (!field.ok() || !field.all_taken()) return bad_message("Settings");
  return settings;
}

}  // namespace vncauthproxy::ipc
