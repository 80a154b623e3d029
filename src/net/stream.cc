// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/net/stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <new>
#include <utility>
#include <vector>

namespace vncauthproxy::net {
namespace {

// More than this is encrypted only once the socket has taken what there is.
constexpr size_t kMaxGathered = 64 * 1024;
// With more answers than this waiting for the peer to read them, it is not read either.
constexpr size_t kMaxAnswers = 64 * 1024;
// In one turn. A record takes two: its header, and its body.
constexpr unsigned kMaxReceives = 128;
// KeyUpdates of TLS 1.3, attempts to renegotiate before it. Each costs us more than the peer; honest ones
// come once in millions of records.
constexpr unsigned kMaxHandshakeMessages = 32;

Io socket_result(ssize_t count) {
  if (count > 0) return {IoStatus::ok, static_cast<size_t>(count)};
  if (count == 0) return {IoStatus::end};
  return {errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR ? IoStatus::again : IoStatus::error};
}

Io receive(int fd, std::span<uint8_t> into) {
  return socket_result(::recv(fd, into.data(), into.size(), 0));
}
Io transmit(int fd, base::Bytes bytes, int flags = 0) {
  return socket_result(::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | flags));
}

}  // namespace

// The socket of a TLS engine, and what the engine has encrypted and the socket has not taken: the records of
// one write leave in one send, which costs a third less than a send for each (measured in the design). Memory
// is held only while something is owed. And the limits on what a peer makes the engine do: left alone, that
// reads and answers on for as long as there is no data for its caller.
class Gather {
 public:
  explicit Gather(int fd) : fd_(fd) {}

  bool empty() const { return sent_ == bytes_.size(); }
  void append(base::Bytes bytes) { bytes_.insert(bytes_.end(), bytes.begin(), bytes.end()); }
  void relax() { bytes_.shrink_to_fit(); }

  void begin_turn() { receives_left_ = kMaxReceives; }
  Io receive_into(std::span<uint8_t> into) {
    if (receives_left_ == 0) return {IoStatus::again};  // the socket stays readable
    --receives_left_;
    const Io io = receive(fd_, into);
    ended_ = io.status == IoStatus::end;
    return io;
  }
  bool ended() const { return ended_; }
  size_t size() const { return bytes_.size() - sent_; }

  bool established() const { return established_; }
  void establish() {
    established_ = true;
    handshake_messages_ = 0;
  }
  void count_handshake_message() { ++handshake_messages_; }
  void forget_handshake_messages() { handshake_messages_ = 0; }
  bool too_many_handshake_messages() const { return handshake_messages_ > kMaxHandshakeMessages; }
  void count_answers(size_t size) { answers_ += size; }
  bool too_many_answers() const { return answers_ > kMaxAnswers; }

  Io flush() {
    while (!empty()) {
      const Io io = transmit(fd_, base::Bytes(bytes_).subspan(sent_));
      if (io.status != IoStatus::ok) return io;
      sent_ += io.count;
    }
    bytes_.clear();
    sent_ = 0;
    answers_ = 0;
    return {IoStatus::ok};
  }

 private:
  int fd_;
  std::vector<uint8_t> bytes_;
  size_t sent_ = 0;
  bool ended_ = false;  // the peer has sent FIN
  bool established_ = false;
  unsigned receives_left_ = kMaxReceives;
  unsigned handshake_messages_ = 0;  // since the handshake, or since data
  size_t answers_ = 0;               // appended while reading, since nothing was owed
};

namespace {

int gather_write(BIO* bio, const char* data, int size) {
  static_cast<Gather*>(BIO_get_data(bio))->append(base::as_bytes({data, static_cast<size_t>(size)}));
  return size;
}

int gather_read(BIO* bio, char* data, int size) {
  BIO_clear_retry_flags(bio);
  const Io io = static_cast<Gather*>(BIO_get_data(bio))
                    ->receive_into({reinterpret_cast<uint8_t*>(data), static_cast<size_t>(size)});
  if (io.status == IoStatus::ok) return static_cast<int>(io.count);
  if (io.status == IoStatus::again) BIO_set_retry_read(bio);
  return io.status == IoStatus::end ? 0 : -1;
}

long gather_control(BIO* bio, int command, long, void*) {
  // Asked after a failed read: SSL_OP_IGNORE_UNEXPECTED_EOF tells an end from an error by it.
  if (command == BIO_CTRL_EOF) return static_cast<Gather*>(BIO_get_data(bio))->ended() ? 1 : 0;
  return command == BIO_CTRL_FLUSH || command == BIO_CTRL_DUP ? 1 : 0;
}

int gather_create(BIO* bio) {
  BIO_set_init(bio, 1);
  return 1;
}

void watch_messages(int is_written, int, int type, const void*, size_t, SSL*, void* gather) {
  if (is_written == 0 && type == SSL3_RT_HANDSHAKE) static_cast<Gather*>(gather)->count_handshake_message();
}

BIO_METHOD* gather_method() {
  static const base::Handle<BIO_METHOD> method = [] {
    base::Handle<BIO_METHOD> made(BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "gather"));
    if (!made) throw std::bad_alloc();
    BIO_meth_set_write(made.get(), gather_write);
    BIO_meth_set_read(made.get(), gather_read);
    BIO_meth_set_ctrl(made.get(), gather_control);
    BIO_meth_set_create(made.get(), gather_create);
    return made;
  }();
  return method.get();
}

}  // namespace

Stream::Stream(base::Fd socket) : socket_(std::move(socket)) {}

Stream::Stream(base::Fd socket, const TlsServer& tls)
    : socket_(std::move(socket)),
      gather_(std::make_unique<Gather>(socket_.get())),
      ssl_(SSL_new(tls.context.get())) {
  BIO* bio = BIO_new(gather_method());
  if (!ssl_ || bio == nullptr) throw std::bad_alloc();
  BIO_set_data(bio, gather_.get());
  SSL_set_bio(ssl_.get(), bio, bio);
  SSL_set_msg_callback(ssl_.get(), watch_messages);
  SSL_set_msg_callback_arg(ssl_.get(), gather_.get());
  SSL_set_accept_state(ssl_.get());
  if (SSL_use_PrivateKey(ssl_.get(), tls.key.get()) != 1)
    throw std::bad_alloc();  // it fits: checked when it was read
}

Stream::Stream(Stream&&) noexcept = default;
Stream& Stream::operator=(Stream&& other) noexcept {
  ssl_ = std::move(other.ssl_);  // before the Gather that the old one's BIO points to
  gather_ = std::move(other.gather_);
  socket_ = std::move(other.socket_);
  return *this;
}
Stream::~Stream() = default;

// Not what OpenSSL says, which sees a handshake in each key update.
bool Stream::established() const {
  return !gather_ || gather_->established();
}

// What a call of OpenSSL that did not succeed means for the caller.
Io Stream::tls_failure(int result) {
  const int why = SSL_get_error(ssl_.get(), result);
  if (why == SSL_ERROR_WANT_READ) return {IoStatus::again};
  if (why == SSL_ERROR_ZERO_RETURN) return {IoStatus::end};
  tls_error_ = ERR_peek_error();
  return {IoStatus::error};
}

Io Stream::handshake() {
  if (established()) return {IoStatus::ok};
  gather_->begin_turn();
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  const Io io = result == 1 ? Io{IoStatus::ok} : tls_failure(result);
  if (result == 1) {
    gather_->establish();
    // A client with Nagle's algorithm does not send on before its last message is acknowledged, which
    // otherwise takes 40 ms where nothing of ours goes the other way.
    const int on = 1;
    ::setsockopt(socket_.get(), IPPROTO_TCP, TCP_QUICKACK, &on, sizeof on);
  }
  // Even a handshake that failed owes the peer an alert.
  if (flush().status == IoStatus::error) return {IoStatus::error};
  return io;
}

Io Stream::read(std::span<uint8_t> into) {
  if (!ssl_) return receive(fd(), into);
  if (const Io io = handshake(); io.status != IoStatus::ok) return io;
  if (clogged())
    if (const Io io = flush(); io.status != IoStatus::ok) return io;
  gather_->begin_turn();
  const Io io = read_records(into);
  // Alerts and key updates are owed even when nothing was read.
  if (owes() && flush().status == IoStatus::error) return {IoStatus::error};
  return io;
}

Io Stream::read_records(std::span<uint8_t> into) {
  const size_t owed_before = gather_->size();
  size_t count = 0;
  Io io{IoStatus::ok};
  ERR_clear_error();
  while (count < into.size() && io.status == IoStatus::ok) {
    size_t got = 0;
    const int result = SSL_read_ex(ssl_.get(), into.data() + count, into.size() - count, &got);
    if (result != 1) io = tls_failure(result);
    if (gather_->too_many_handshake_messages()) {
      io = {IoStatus::error};
    } else if (result == 1) {
      gather_->forget_handshake_messages();
      count += got;
    }
  }
  gather_->count_answers(gather_->size() - owed_before);
  return count > 0 ? Io{IoStatus::ok, count} : io;
}

bool Stream::clogged() const {
  return gather_ && gather_->too_many_answers();
}

bool Stream::pending() const {
  return ssl_ && SSL_has_pending(ssl_.get());
}

Io Stream::write(base::Bytes bytes, bool more) {
  if (!ssl_) return transmit(fd(), bytes, more ? MSG_MORE : 0);
  if (!established()) return {IoStatus::again};
  if (gather_->size() > kMaxGathered) {
    const Io io = flush();
    if (io.status != IoStatus::ok) return io;
  }
  size_t written = 0;
  ERR_clear_error();
  const int result = SSL_write_ex(ssl_.get(), bytes.data(), bytes.size(), &written);
  // The engine wants to read first: the peer has sent half a handshake message, in records of its own. Nobody
  // does that who means well, and waiting for the socket to take something would be waiting for nothing.
  if (const Io io = tls_failure(result); result != 1)
    return {io.status == IoStatus::again ? IoStatus::error : io.status};
  if (!more && flush().status == IoStatus::error) return {IoStatus::error};
  return {IoStatus::ok, written};
}

Io Stream::flush() {
  return gather_ ? gather_->flush() : Io{IoStatus::ok};
}
void Stream::relax() {
  if (gather_) gather_->relax();
}
bool Stream::owes() const {
  return gather_ && !gather_->empty();
}

void Stream::finish() {
  if (ssl_ && established()) {
    ERR_clear_error();
    SSL_shutdown(ssl_.get());
    flush();
  }
  ::shutdown(fd(), SHUT_WR);
}

void Stream::forget_key() {
  if (ssl_) SSL_certs_clear(ssl_.get());
}

std::string Stream::trouble() const {
  if (gather_ && gather_->too_many_handshake_messages())
    return "TLS: more than " + std::to_string(kMaxHandshakeMessages) + " key updates without data between";
  const char* reason = tls_error_ == 0 ? nullptr : ERR_reason_error_string(tls_error_);
  return reason == nullptr ? "" : std::string("TLS: ") + reason;
}

void tune_socket(int fd) {
  const auto set = [fd](int level, int name, int value) {
    ::setsockopt(fd, level, name, &value, sizeof value);
  };
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  set(SOL_SOCKET, SO_KEEPALIVE, 1);
  set(IPPROTO_TCP, TCP_KEEPIDLE, 60);
  set(IPPROTO_TCP, TCP_KEEPINTVL, 15);
  set(IPPROTO_TCP, TCP_KEEPCNT, 4);
}

}  // namespace vncauthproxy::net
