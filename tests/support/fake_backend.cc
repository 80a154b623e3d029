// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/fake_backend.h"

#include <sys/socket.h>

#include <algorithm>
#include <array>
#include <vector>

#include "tests/support/pattern.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::testing {

FakeBackend::FakeBackend(Session session, const std::string& host, uint16_t port)
    : session_(std::move(session)), listener_(host, port), acceptor_([this] { accept_all(); }) {}

FakeBackend::~FakeBackend() {
  stopping_ = true;
  // Wakes the acceptor: a listening socket that is shut down becomes readable.
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  end_all();
  for (Connection& connection : all_) connection.thread.join();
}

void FakeBackend::accept_all() {
  while (!stopping_) {
    Socket socket = listener_.accept(milliseconds(500));
    if (!socket) continue;
    const std::lock_guard lock(mutex_);
    ++made_;
    Connection& connection = all_.emplace_back();
    connection.socket = std::move(socket);
    connection.thread = std::thread([this, &connection] {
      session_(connection.socket);
      const std::lock_guard ended(mutex_);
      connection.socket.close();
      ++ended_;
      changed_.notify_all();
    });
    changed_.notify_all();
  }
}

size_t FakeBackend::connections() {
  const std::lock_guard lock(mutex_);
  return made_;
}

bool FakeBackend::wait_connections(size_t count, Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.at(), [&] { return made_ >= count; });
}

bool FakeBackend::wait_all_ended(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.at(), [&] { return made_ == ended_; });
}

void FakeBackend::end_all() {
  const std::lock_guard lock(mutex_);
  for (Connection& connection : all_) connection.socket.interrupt();
}

namespace {

std::string u32(uint32_t value) {
  return {static_cast<char>(value >> 24), static_cast<char>(value >> 16), static_cast<char>(value >> 8),
          static_cast<char>(value)};
}

bool check_password(Socket& socket, const std::string& password, bool reasons) {
  const proto::Trial trial = proto::make_trial(base::Secret(password), proto::new_challenge());
  if (!socket.send(std::span<const uint8_t>(trial.challenge))) return false;
  const auto response = socket.read(proto::kChallengeSize);
  if (!response) return false;
  if (trial.passed_by(base::as_bytes(*response))) return true;
  static constexpr std::string_view kReason = "wrong backend password";
  socket.send(u32(1) + (reasons ? u32(kReason.size()) + std::string(kReason) : std::string()));
  return false;
}

}  // namespace

bool shake_hands(Socket& socket, const BackendHandshake& handshake, std::string* client_version) {
  if (!socket.send(handshake.version)) return false;
  const auto answer = socket.read(12);
  if (!answer) return false;
  if (client_version) *client_version = *answer;
  const bool is_3_3 = *answer == "RFB 003.003\n", is_3_8 = *answer == "RFB 003.008\n";
  char type = handshake.types.at(0);
  if (is_3_3) {
    if (!socket.send(u32(static_cast<uint8_t>(type)))) return false;
  } else {
    if (!socket.send(static_cast<char>(handshake.types.size()) + handshake.types)) return false;
    const auto chosen = socket.read(1);
    if (!chosen || handshake.types.find(*chosen) == std::string::npos) return false;
    type = (*chosen)[0];
  }
  if (type == 2 && !check_password(socket, handshake.password, is_3_8)) return false;
  return (type != 2 && !is_3_8) || socket.send(u32(0));
}

void Recorder::add(std::string_view bytes) {
  const std::lock_guard lock(mutex_);
  bytes_ += bytes;
  changed_.notify_all();
}

void Recorder::end() {
  const std::lock_guard lock(mutex_);
  ended_ = true;
  changed_.notify_all();
}

std::string Recorder::bytes() {
  const std::lock_guard lock(mutex_);
  return bytes_;
}

bool Recorder::wait_size(size_t size, Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.at(), [&] { return bytes_.size() >= size; });
}

bool Recorder::wait_end(Deadline deadline) {
  std::unique_lock lock(mutex_);
  return changed_.wait_until(lock, deadline.at(), [&] { return ended_; });
}

// Sessions wait as long as the test needs them: its end interrupts their sockets.
static constexpr std::chrono::hours kForEver{1};

FakeBackend::Session echo(BackendHandshake handshake) {
  return [handshake = std::move(handshake)](Socket& socket) {
    if (!shake_hands(socket, handshake)) return;
    std::vector<uint8_t> room(65536);
    size_t got = 0;
    while (socket.read_some(room, &got, kForEver) == Got::data)
      if (!socket.send(std::span<const uint8_t>(room).first(got), kForEver)) return;
    // The end of the viewer's stream is echoed as well: the session ends here.
  };
}

FakeBackend::Session flood(uint64_t count, uint64_t seed, std::atomic<int64_t>* received_intact) {
  return [=](Socket& socket) {
    if (!shake_hands(socket)) return;
    std::thread sender([&] {
      Pattern stream(seed);
      std::vector<uint8_t> room(65536);
      while (stream.position() < count) {
        const std::span<uint8_t> piece(room.data(),
                                       std::min<uint64_t>(room.size(), count - stream.position()));
        stream.fill(piece);
        if (!socket.send(std::span<const uint8_t>(piece), kForEver)) break;
      }
      socket.finish_sending();
    });
    Pattern expected(seed + 1);
    std::vector<uint8_t> room(65536);
    size_t got = 0;
    while (socket.read_some(room, &got, kForEver) == Got::data)
      *received_intact = expected.check({room.data(), got}) ? static_cast<int64_t>(expected.position()) : -1;
    sender.join();
  };
}

FakeBackend::Session record(Recorder* recorder, BackendHandshake handshake) {
  return [=](Socket& socket) {
    if (shake_hands(socket, handshake)) {
      std::array<uint8_t, 65536> room;
      size_t got = 0;
      while (socket.read_some(room, &got, kForEver) == Got::data)
        recorder->add({reinterpret_cast<const char*>(room.data()), got});
    }
    recorder->end();
  };
}

FakeBackend::Session say_and_close(std::string bytes) {
  return [bytes = std::move(bytes)](Socket& socket) {
    if (shake_hands(socket)) socket.send(bytes, kForEver);
  };
}

FakeBackend::Session blurt(std::string bytes) {
  return [bytes = std::move(bytes)](Socket& socket) {
    socket.send(bytes);
    socket.read_to_end(nullptr, kForEver);
  };
}

FakeBackend::Session silent() {
  return blurt("");
}

uint32_t Picture::pixel(uint32_t x, uint32_t y) const {
  // Four quarters in plain colours, which survive JPEG, and a white cross in the middle.
  const bool right = x >= width / 2u, low = y >= height / 2u;
  if (std::max(x, width / 2u) - std::min(x, width / 2u) < 4 && y > height / 4u && y < height * 3u / 4u)
    return 0xffffff;
  if (std::max(y, height / 2u) - std::min(y, height / 2u) < 4 && x > width / 4u && x < width * 3u / 4u)
    return 0xffffff;
  return right ? (low ? 0xd0a020 : 0x2050c0) : (low ? 0x20a050 : 0xc02030);
}

namespace {

struct PixelFormat {
  uint8_t bytes = 4;
  bool big_endian = false;
  uint16_t red_max = 255, green_max = 255, blue_max = 255;
  uint8_t red_shift = 16, green_shift = 8, blue_shift = 0;
};

std::string u16(unsigned value) {
  return {static_cast<char>(value >> 8), static_cast<char>(value)};
}

unsigned u16_at(const std::string& bytes, size_t at) {
  return static_cast<unsigned>(static_cast<uint8_t>(bytes[at]) << 8 | static_cast<uint8_t>(bytes[at + 1]));
}

PixelFormat parse_format(const std::string& m) {  // of SetPixelFormat, the type byte left out
  PixelFormat format;
  format.bytes = static_cast<uint8_t>(static_cast<uint8_t>(m[3]) / 8);
  format.big_endian = m[5] != 0;
  format.red_max = static_cast<uint16_t>(u16_at(m, 7));
  format.green_max = static_cast<uint16_t>(u16_at(m, 9));
  format.blue_max = static_cast<uint16_t>(u16_at(m, 11));
  format.red_shift = static_cast<uint8_t>(m[13]);
  format.green_shift = static_cast<uint8_t>(m[14]);
  format.blue_shift = static_cast<uint8_t>(m[15]);
  return format;
}

void put_pixel(std::string& out, uint32_t rgb, const PixelFormat& f) {
  const uint32_t value = ((rgb >> 16 & 255) * f.red_max / 255) << f.red_shift |
                         ((rgb >> 8 & 255) * f.green_max / 255) << f.green_shift |
                         ((rgb & 255) * f.blue_max / 255) << f.blue_shift;
  for (unsigned i = 0; i < f.bytes; ++i)
    out += static_cast<char>(value >> (8 * (f.big_endian ? f.bytes - 1 - i : i)));
}

// A rectangle of all the picture, in one of the encodings of RFC 6143 section 7.7.
constexpr uint32_t kRaw = 0, kRre = 2;

std::string raw_pixels(const Picture& picture, const PixelFormat& format) {
  std::string pixels;
  for (uint32_t y = 0; y < picture.height; ++y)
    for (uint32_t x = 0; x < picture.width; ++x) put_pixel(pixels, picture.pixel(x, y), format);
  return pixels;
}

// The colour of the first pixel everywhere, then the runs of each row that differ from it.
std::string rre_pixels(const Picture& picture, const PixelFormat& format) {
  const uint32_t ground = picture.pixel(0, 0);
  std::string runs;
  uint32_t count = 0;
  for (uint32_t y = 0; y < picture.height; ++y)
    for (uint32_t x = 0, end; x < picture.width; x = end) {
      const uint32_t colour = picture.pixel(x, y);
      for (end = x + 1; end < picture.width && picture.pixel(end, y) == colour;) ++end;
      if (colour == ground) continue;
      put_pixel(runs, colour, format);
      runs += u16(x) + u16(y) + u16(end - x) + u16(1);
      ++count;
    }
  std::string head = u32(count);
  put_pixel(head, ground, format);
  return head + runs;
}

std::string full_update(const Picture& picture, const PixelFormat& format, uint32_t encoding) {
  return std::string(2, '\0') + u16(1) + u16(0) + u16(0) + u16(picture.width) + u16(picture.height) +
         u32(encoding) + (encoding == kRre ? rre_pixels(picture, format) : raw_pixels(picture, format));
}

// Raw pixels only for those who know nothing better: noVNC 1.3 shows them right only where they happen to
// begin its buffer.
uint32_t best_encoding(std::string_view offered) {
  for (; offered.size() >= 4; offered.remove_prefix(4))
    if (offered.substr(0, 4) == u32(kRre)) return kRre;
  return kRaw;
}

// How many bytes follow the type byte of a message whose first `head` bytes are known.
size_t rest_of_message(char type, const std::string& head) {
  switch (type) {
    case 2:
      return 4 * u16_at(head, 1);  // SetEncodings: one padding byte, then the count
    case 6:                        // ClientCutText: three padding bytes, then the length
      return size_t{u16_at(head, 3)} << 16 | u16_at(head, 5);
    default:
      return 0;
  }
}

size_t head_of_message(char type) {
  switch (type) {
    case 0:
      return 19;  // SetPixelFormat
    case 2:
      return 3;  // SetEncodings
    case 3:
      return 9;  // FramebufferUpdateRequest
    case 4:
      return 7;  // KeyEvent
    case 5:
      return 5;  // PointerEvent
    case 6:
      return 7;  // ClientCutText
    default:
      return 0;
  }
}

void serve_picture(Socket& socket, const Picture& picture) {
  static constexpr std::string_view kName = "painter";
  PixelFormat format;
  uint32_t encoding = kRaw;
  if (!socket.read(1, kForEver)) return;  // ClientInit
  socket.send(u16(picture.width) + u16(picture.height) + std::string({32, 24, 0, 1}) + u16(255) + u16(255) +
              u16(255) + std::string({16, 8, 0, 0, 0, 0}) + u32(kName.size()) + std::string(kName));
  for (;;) {
    const auto type = socket.read(1, kForEver);
    if (!type || head_of_message((*type)[0]) == 0) return;
    const auto head = socket.read(head_of_message((*type)[0]));
    const auto rest = head ? socket.read(rest_of_message((*type)[0], *head)) : std::nullopt;
    if (!rest) return;
    if ((*type)[0] == 0) format = parse_format(*head);
    if ((*type)[0] == 2) encoding = best_encoding(*rest);
    // The picture never changes, so only a request for all of it is answered.
    if ((*type)[0] == 3 && (*head)[0] == 0 && !socket.send(full_update(picture, format, encoding), kForEver))
      return;
  }
}

}  // namespace

FakeBackend::Session paint(Picture picture, BackendHandshake handshake) {
  return [picture, handshake = std::move(handshake)](Socket& socket) {
    if (shake_hands(socket, handshake)) serve_picture(socket, picture);
  };
}

}  // namespace vncauthproxy::testing
