// SPDX-License-Identifier: GPL-2.0-or-later
// TLS toward viewers: what is spoken and what is not, options, certificates that come, go, expire or are
// none.
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <openssl/err.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <set>
#include <string>
#include <vector>

#include "tests/support/tls.h"
#include "tests/support/ws_stage.h"

namespace vncauthproxy::testing {
namespace {

struct Fixture : WsStage {};
struct WithControlTls : Fixture {
  Daemon second{{.options = {"--enable-ssl", "--cert-file", cert_file(), "--key-file", key_file()}}};
};

Wire connect(uint16_t port, const WireOffer& offer) {
  return Wire(Socket::connect("127.0.0.1", port), offer);
}
WireOffer only(int version, const std::string& ciphers = "ALL:COMPLEMENTOFALL:@SECLEVEL=0") {
  return {.min_version = version, .max_version = version, .ciphers = ciphers};
}
WireOffer only_suite(const std::string& suite) {
  return {.min_version = TLS1_3_VERSION, .max_version = TLS1_3_VERSION, .ciphersuites = suite};
}

// Everything this OpenSSL can be made to offer up to TLS 1.2, one name each.
std::vector<std::string> all_ciphers() {
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context(SSL_CTX_new(TLS_client_method()), SSL_CTX_free);
  SSL_CTX_set_cipher_list(context.get(), "ALL:COMPLEMENTOFALL:@SECLEVEL=0");
  std::vector<std::string> names;
  const STACK_OF(SSL_CIPHER)* ciphers = SSL_CTX_get_ciphers(context.get());
  for (int i = 0; i < sk_SSL_CIPHER_num(ciphers); ++i) {
    const SSL_CIPHER* cipher = sk_SSL_CIPHER_value(ciphers, i);
    if (std::string_view(SSL_CIPHER_get_version(cipher)) != "TLSv1.3")
      names.emplace_back(SSL_CIPHER_get_name(cipher));
  }
  return names;
}

bool is_good(const std::string& cipher, const std::string& key_type) {
  return cipher.starts_with("ECDHE-" + key_type + "-") &&
         ((cipher.find("-AES") != cipher.npos && cipher.find("-GCM-") != cipher.npos) ||
          cipher.ends_with("CHACHA20-POLY1305"));
}

void scan(Fixture& f, const std::string& key_type) {
  const uint16_t port = f.forwarding(kTls);
  std::set<std::string> accepted, expected;
  const auto ciphers = all_ciphers();
  for (const std::string& cipher : ciphers) {
    if (is_good(cipher, key_type)) expected.insert(cipher);
    const Wire wire = connect(port, only(TLS1_2_VERSION, cipher + ":@SECLEVEL=0"));
    if (wire.established()) accepted.insert(wire.cipher());
  }
  f.check(ciphers.size() > 60 && expected.size() == 3, "the scan offers what is bad too");
  f.check(accepted == expected, "ECDHE with AEAD, nothing else");
  for (const int old : {TLS1_VERSION, TLS1_1_VERSION})
    f.check(connect(port, only(old)).trouble() == "tlsv1 alert protocol version", "old versions");
  f.check(connect(port, only(TLS1_2_VERSION)).protocol() == "TLSv1.2", "TLS 1.2");
  for (const char* suite :
       {"TLS_AES_256_GCM_SHA384", "TLS_AES_128_GCM_SHA256", "TLS_CHACHA20_POLY1305_SHA256"})
    f.check(connect(port, only_suite(suite)).cipher() == suite, suite);
  f.check(connect(port, {}).protocol() == "TLSv1.3", "TLS 1.3 when both can");
}

void every_protocol_and_cipher(Fixture& f) {
  scan(f, "ECDSA");
}

void every_cipher_with_an_rsa_key(Fixture& f) {
  const auto key = make_rsa_key();
  write_file(f.cert_file(), certificate_pem(key.get()), 0644);
  write_file(f.key_file(), key_pem(key.get()), 0600);
  f.daemon.signal(SIGHUP);
  f.check(f.daemon.wait_log("Reloading"), "reload");
  scan(f, "RSA");
}

void nothing_superfluous(Fixture& f) {
  const uint16_t port = f.forwarding(kTls);
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    Wire wire = connect(port, only(version));
    // The greeting comes behind any ticket there might be.
    f.check(wire.read(12) == "RFB 003.008\n", "the greeting");
    const SSL_SESSION* session = SSL_get_session(wire.tls());
    f.check(SSL_SESSION_has_ticket(session) == 0, "no ticket");
    f.check(version == TLS1_3_VERSION || SSL_SESSION_is_resumable(session) == 0, "no resumption");
    f.check(SSL_get_current_compression(wire.tls()) == nullptr, "no compression");
    f.check(version == TLS1_3_VERSION || SSL_get_secure_renegotiation_support(wire.tls()) == 1, "RFC 5746");
  }
}

void no_renegotiation(Fixture& f) {
  const uint16_t port = f.forwarding(kTls);
  Wire wire = connect(port, only(TLS1_2_VERSION));
  f.check(wire.read(12).has_value(), "connected");
  SSL_renegotiate(wire.tls());
  SSL_do_handshake(wire.tls());
  Got how = Got::nothing;
  f.check(wire.read_to_end(&how).empty() && how != Got::nothing, "it ends there");
  WsViewer viewer = f.viewer(kTls, port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted, "and then the viewer");
}

// A TLS 1.3 server that writes after a client has gone must not die of SIGPIPE.
void clients_that_leave_early(Fixture& f) {
  const uint16_t port = f.forwarding(kWss);
  for (int i = 0; i < 50; ++i) {
    Wire wire = connect(port, {});
    i % 2 == 0 ? wire.socket.reset() : wire.socket.close();
  }
  WsViewer viewer = f.viewer(kWss, port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), "the viewer");
}

// ---- key updates: each costs us more than the peer, and may ask for an answer

// False when the peer is gone, or takes nothing for so long.
bool update_keys(const Wire& wire, unsigned count, milliseconds patience = seconds(20)) {
  SSL* const tls = const_cast<Wire&>(wire).tls();
  for (unsigned i = 0; i < count; ++i) {
    if (SSL_key_update(tls, SSL_KEY_UPDATE_REQUESTED) != 1) return false;
    for (;;) {
      ERR_clear_error();
      const int result = SSL_do_handshake(tls);
      if (result == 1) break;
      if (SSL_get_error(tls, result) != SSL_ERROR_WANT_WRITE) return false;
      if (!wait_fd(wire.socket.get(), POLLOUT, patience)) return false;
    }
  }
  return true;
}

bool ends(Wire& wire) {
  Got how = Got::nothing;
  wire.read_to_end(&how);
  return how == Got::end || how == Got::reset;
}

void key_updates_without_data_end_it(Fixture& f) {
  constexpr std::string_view kWhy = "TLS: more than 32 key updates without data between";
  for (const Kind& kind : {kTls, kWss}) {
    const uint16_t port = f.forwarding(kind);
    Wire stranger = connect(port, {});
    const size_t log_before = f.daemon.log_size();
    update_keys(stranger, 100);
    f.check_kind(ends(stranger), kind, "one who has not logged in");
    f.check_kind(f.daemon.wait_log(kWhy, {}, log_before), kind, "the log says why");
    WsViewer viewer = f.viewer(kind, port);
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted, kind, "a viewer");
    f.check_kind(update_keys(viewer.wire, 32) && viewer.echoes("hello"), kind, "as many as is reasonable");
    f.check_kind(update_keys(viewer.wire, 32) && viewer.echoes("hello"), kind, "and again");
    const size_t session_log = f.daemon.log_size();
    update_keys(viewer.wire, 100);
    f.check_kind(ends(viewer.wire), kind, "one who has");
    f.check_kind(f.daemon.wait_log(kWhy, {}, session_log), kind, "the log says why it ended");
  }
}

void nor_at_the_control_port(WithControlTls& f) {
  Wire fine(f.second.connect(), WireOffer{});
  f.check(update_keys(fine, 32), "as many as is reasonable");
  f.check(fine.send(Request{.destination_port = f.echo_backend.port()}.json()), "and a request");
  f.check(parse_reply(fine.read_to_end()).ok(), "is answered");
  Wire hostile(f.second.connect(), WireOffer{});
  f.check(hostile.established(), "connected");
  update_keys(hostile, 100);
  const Deadline soon(seconds(5));  // half of what a request may take
  f.check(ends(hostile) && !soon.passed(), "the end");
}

// It asks and asks, with data in between, and reads no answer.
void answers_that_nobody_reads_are_bounded(Fixture& f) {
  for (const Kind& kind : {kTls, kWss}) {
    Recorder recorder;
    const FakeBackend backend(record(&recorder));
    WsViewer viewer = f.session(kind, backend, {}, 16384);
    const long before = f.memory_kib();
    unsigned rounds = 0;
    while (rounds < 10'000 && update_keys(viewer.wire, 16, seconds(1)) && viewer.send("x")) ++rounds;
    f.check_kind(rounds > 10, kind, "some are taken");
    f.check_kind(f.memory_kib() < before + kMemorySlackKib, kind, "memory");
  }
}

// ---- viewers with Nagle's algorithm (RFC 896): their next small write waits until the last one is
// acknowledged

// The best of a few: a machine may be busy. Delayed acknowledgements come after 40 ms (tcp(7), TCP_QUICKACK).
void none_waits_for_an_acknowledgement(Fixture& f) {
  constexpr milliseconds kNoDelay{25};
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    auto best = milliseconds(1000);
    for (int i = 0; i < 10; ++i) {
      Socket socket = Socket::connect("127.0.0.1", f.forwarding(kWss));
      const int off = 0;
      ::setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &off, sizeof off);
      const auto start = Deadline::Clock::now();
      WsViewer viewer(Wire(std::move(socket), only(version)));
      f.check(viewer.upgrade() && viewer.log_in(kViewerSecret) == Verdict::admitted, "it is let in");
      best = std::min(best, std::chrono::ceil<milliseconds>(Deadline::Clock::now() - start));
    }
    f.check(best < kNoDelay, std::to_string(version) + ": " + std::to_string(best.count()) + " ms");
  }
}

// ---- the key

// As it may lie in memory: the file's text, and its number in either order of bytes.
std::vector<std::string> shapes_of_key(const std::string& file) {
  const std::string text = read_file(file);
  const base::Handle<BIO> in(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
  const base::Handle<EVP_PKEY> key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr));
  BIGNUM* number = nullptr;
  EVP_PKEY_get_bn_param(key.get(), EVP_PKEY_get_base_id(key.get()) == EVP_PKEY_EC ? "priv" : "d", &number);
  std::string bytes(static_cast<size_t>(BN_num_bytes(number)), '\0');
  BN_bn2bin(number, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_clear_free(number);
  const size_t second_line = text.find('\n') + 1;
  return {bytes,
          {bytes.rbegin(), bytes.rend()},
          text.substr(second_line, text.find('\n', second_line) - second_line)};
}

bool holds_key(pid_t pid, const std::string& file) {
  const std::string memory = memory_of(pid);
  for (const std::string& shape : shapes_of_key(file))
    if (memory.find(shape) != std::string::npos) return true;
  return memory.size() < 100000;  // it could not be read
}

// In a worker for TLS until its viewer is in, and in no other.
void check_whereabouts_of_key(WsStage& f, const std::string& what) {
  f.check(wait_until([&f] { return holds_key(f.daemon.pid(), f.key_file()); }), what + ": the master has it");
  f.check(!holds_key(nursery_of(f.daemon.pid()), f.key_file()), what + ": the nursery");
  f.check(wait_until([&f] { return !spares_of(f.daemon.pid()).empty(); }), what + ": there are spares");
  for (const pid_t spare : spares_of(f.daemon.pid()))
    f.check(!holds_key(spare, f.key_file()), what + ": a spare");
  f.forwarding({"vnc", false, false});
  f.check(!holds_key(f.worker, f.key_file()), what + ": vnc");
  f.forwarding(kWs);
  f.check(!holds_key(f.worker, f.key_file()), what + ": vnc-ws");
  for (const Kind& kind : {kTls, kWss}) {
    WsViewer viewer = WsStage::viewer(kind, f.forwarding(kind));
    f.check_kind(holds_key(f.worker, f.key_file()), kind, what + ": while a viewer is awaited");
    f.check_kind(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), kind, what);
    f.check_kind(!holds_key(f.worker, f.key_file()), kind, what + ": in a session");
  }
}

// Of the start, and one that came later.
void the_key_is_nowhere_else(Fixture& f) {
  if (::geteuid() != 0) skip();  // nobody else may look
  check_whereabouts_of_key(f, "EC");
  const auto key = make_rsa_key();
  write_file(f.cert_file(), certificate_pem(key.get()), 0644);
  write_file(f.key_file(), key_pem(key.get()), 0600);
  const size_t before = f.daemon.log_size();
  f.daemon.signal(SIGHUP);
  f.check(f.daemon.wait_log("Reloading", {}, before), "reload");
  check_whereabouts_of_key(f, "RSA");
}

// ---- options

struct Only13 : WsStage {
  Only13() : WsStage({"--tls-min-version", "1.3", "--tls-ciphersuites", "TLS_CHACHA20_POLY1305_SHA256"}) {}
};
void the_oldest_version(Only13& f) {
  const uint16_t port = f.forwarding(kWss);
  f.check(!connect(port, only(TLS1_2_VERSION)).established(), "1.2 is refused");
  f.check(connect(port, {}).protocol() == "TLSv1.3", "1.3 is not");
  f.check(!connect(port, only_suite("TLS_AES_128_GCM_SHA256")).established(), "another suite");
  f.check(connect(port, {}).cipher() == "TLS_CHACHA20_POLY1305_SHA256", "the suite");
}

struct OneCipher : WsStage {
  OneCipher() : WsStage({"--tls-ciphers", "ECDHE-ECDSA-AES128-GCM-SHA256"}) {}
};
void ciphers_as_told(OneCipher& f) {
  const uint16_t port = f.forwarding(kTls);
  f.check(connect(port, only(TLS1_2_VERSION)).cipher() == "ECDHE-ECDSA-AES128-GCM-SHA256", "that one");
  f.check(!connect(port, only(TLS1_2_VERSION, "ECDHE-ECDSA-AES256-GCM-SHA384")).established(), "no other");
  f.check(connect(port, {}).protocol() == "TLSv1.3", "TLS 1.3 is another list");
}

// What the daemon says when it will not start, and that it does not.
std::string refusal(const CertificateFolder& certificates, std::vector<std::string> options) {
  options.insert(options.begin(),
                 {"--cert-file", certificates.cert_file(), "--key-file", certificates.key_file()});
  const Folder folder;
  std::vector<std::string> command =
      daemon_command(folder, find_free_range(4), {.options = std::move(options), .ports = 4});
  command.insert(command.begin() + 1, {"--foreground", "--log", "-"});
  const Outcome outcome = run(std::move(command));
  return outcome.status == 1 ? outcome.err : "status " + std::to_string(outcome.status);
}

bool says(const std::string& text, std::string_view words) {
  return text.find(words) != text.npos;
}

void options_that_make_no_sense(Fixture& f) {
  f.check(says(refusal(f, {"--tls-ciphers", "NO-SUCH-CIPHER"}), "tls-ciphers: no cipher match"), "ciphers");
  f.check(says(refusal(f, {"--tls-ciphersuites", "TLS_NO_SUCH"}), "tls-ciphersuites: "), "suites");
}

// ---- the files

void a_key_that_others_can_read(Fixture& f) {
  for (const unsigned mode : {0604u, 0602u, 0601u, 0644u, 0666u}) {
    ::chmod(f.key_file().c_str(), mode);
    f.check(says(refusal(f, {}), f.key_file() + ": the key must not be accessible by others"), "refused");
  }
  ::chmod(f.key_file().c_str(), 0640);
  f.daemon.signal(SIGHUP);
  f.check(f.daemon.wait_log("Reloading"), "reload");
  f.check(connect(f.forwarding(kTls), {}).established(), "its group may");
}

void files_that_are_no_pair(Fixture& f) {
  const std::string good_key = read_file(f.key_file()), good_cert = read_file(f.cert_file());
  const auto other = make_ec_key();
  const auto starts = [&](const std::string& cert, const std::string& key) {
    write_file(f.cert_file(), cert, 0644);
    write_file(f.key_file(), key, 0600);
    return refusal(f, {});
  };
  f.check(says(starts(good_cert, key_pem(other.get())), "does not fit " + f.cert_file()), "another key");
  f.check(says(starts(good_cert, "nonsense"), f.key_file() + ": "), "no key");
  f.check(says(starts("nonsense", good_key), f.cert_file() + ": "), "no certificate");
  f.check(says(starts(good_cert, key_pem(other.get(), "secret")), f.key_file() + ": "), "a passphrase");
  ::unlink(f.key_file().c_str());
  f.check(says(refusal(f, {}), f.key_file() + ": "), "a certificate without its key");
  ::mkfifo(f.key_file().c_str(), 0600);
  f.check(says(refusal(f, {}), "not a regular file"), "a FIFO does not hang the start");
}

void a_new_certificate_at_sighup(Fixture& f) {
  WsViewer live = f.session(kWss);
  const std::string first = read_file(f.cert_file());
  f.check(connect(f.forwarding(kTls), {}).certificate() == first, "the first one");
  const uint16_t waiting = f.forwarding(kTls);
  f.renew();
  const std::string second = read_file(f.cert_file());
  f.daemon.signal(SIGHUP);
  f.check(f.daemon.wait_log("Reloading"), "reload");
  f.check(second != first && connect(f.forwarding(kTls), {}).certificate() == second, "the second one");
  f.check(connect(waiting, {}).established(), "a port that waits");
  f.check(live.echoes("still here"), "a session lives on");
}

void a_bad_certificate_at_sighup(Fixture& f) {
  const std::string good = read_file(f.cert_file()), good_key = read_file(f.key_file());
  const auto reload_says = [&](std::string_view words) {
    const size_t before = f.daemon.log_size();
    f.daemon.signal(SIGHUP);
    f.check(f.daemon.wait_log("the old certificate stays in force: ", {}, before), "an error in the log");
    f.check(f.daemon.wait_log(words, {}, before), words);
    f.check(connect(f.forwarding(kTls), {}).certificate() == good, "the old one stays");
    WsViewer viewer = f.session(kWss);
    f.check(viewer.echoes("hello"), "and works");
  };
  write_file(f.cert_file(), "nonsense", 0644);
  reload_says(f.cert_file());
  f.renew();
  write_file(f.key_file(), good_key, 0600);
  reload_says("does not fit");
  ::chmod(f.key_file().c_str(), 0644);
  write_file(f.cert_file(), good, 0644);
  reload_says("must not be accessible by others");
  ::unlink(f.cert_file().c_str());
  ::mkfifo(f.cert_file().c_str(), 0600);
  reload_says(f.cert_file() + ": is a FIFO, not a regular file");
  ::unlink(f.key_file().c_str());
  reload_says(f.cert_file());
  ::unlink(f.cert_file().c_str());
  reload_says("missing");
}

struct NoCertificate : CertificateFolder, Stage {
  NoCertificate()
      : Stage({.options = {"--cert-file", cert_file() + ".none", "--key-file", key_file() + ".none"}}) {}
};
void without_a_certificate(NoCertificate& f) {
  const auto ask = [&f](const char* type) {
    return f.daemon.request(Request{.destination_port = f.echo_backend.port(), .type = type});
  };
  for (const char* type : {"vnc-wss", "vnc-tls"}) {
    const Reply reply = ask(type);
    f.check(reply.failed("unsupported_type"), reply.text);
    f.check(reply.reason == std::string(type) +
                                " not supported: the proxy has no certificate, so there are vnc and vnc-ws",
            reply.reason);
  }
  f.check(ask("vnc").ok(), "vnc works");
  WsViewer viewer = WsStage::viewer(kWs, ask("vnc-ws").port);
  f.check(viewer.log_in(kViewerSecret) == Verdict::admitted && viewer.echoes("hello"), "vnc-ws works");
  // And when it comes it is taken.
  ::rename(f.cert_file().c_str(), (f.cert_file() + ".none").c_str());
  ::rename(f.key_file().c_str(), (f.key_file() + ".none").c_str());
  f.daemon.signal(SIGHUP);
  f.check(wait_until([&] { return ask("vnc-wss").ok(); }), "after SIGHUP");
}

struct Expiring : CertificateFolder, Stage {
  explicit Expiring(long seconds_left)
      : CertificateFolder(seconds_left),
        Stage({.options = {"--cert-file", cert_file(), "--key-file", key_file()}}) {}
};
struct Soon : Expiring {
  Soon() : Expiring(86400L * 3 + 600) {}
};
struct Expired : Expiring {
  Expired() : Expiring(-600) {}
};
void a_certificate_that_expires_soon(Soon& f) {
  f.check(f.daemon.wait_log("the certificate in " + f.cert_file() + " expires in 3 days"), "a warning");
}
void an_expired_certificate(Expired& f) {
  f.check(f.daemon.wait_log("the certificate in " + f.cert_file() + " has expired"), "an error");
  const uint16_t port =
      f.daemon.request(Request{.destination_port = f.echo_backend.port(), .type = "vnc-tls"}).port;
  f.check(connect(port, {}).established(), "it is the viewer who decides about that");
  f.renew();
  const size_t before = f.daemon.log_size();
  f.daemon.signal(SIGHUP);
  f.check(f.daemon.wait_log("Reloading", {}, before), "reload");
  f.check(wait_until([&] {
            const uint16_t next =
                f.daemon.request(Request{.destination_port = f.echo_backend.port(), .type = "vnc-tls"}).port;
            return connect(next, {}).certificate() == read_file(f.cert_file());
          }),
          "the new one");
  f.check(f.daemon.log().find("expire", before) == std::string::npos, "no word about it any more");
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  const CMUnitTest tests[] = {
      STAGED(Fixture, every_protocol_and_cipher),
      STAGED(Fixture, every_cipher_with_an_rsa_key),
      STAGED(Fixture, nothing_superfluous),
      STAGED(Fixture, no_renegotiation),
      STAGED(Fixture, key_updates_without_data_end_it),
      STAGED(WithControlTls, nor_at_the_control_port),
      STAGED(Fixture, answers_that_nobody_reads_are_bounded),
      STAGED(Fixture, none_waits_for_an_acknowledgement),
      STAGED(Fixture, clients_that_leave_early),
      STAGED(Only13, the_oldest_version),
      STAGED(Fixture, the_key_is_nowhere_else),
      STAGED(OneCipher, ciphers_as_told),
      STAGED(Fixture, options_that_make_no_sense),
      STAGED(Fixture, a_key_that_others_can_read),
      STAGED(Fixture, files_that_are_no_pair),
      STAGED(Fixture, a_new_certificate_at_sighup),
      STAGED(Fixture, a_bad_certificate_at_sighup),
      STAGED(NoCertificate, without_a_certificate),
      STAGED(Soon, a_certificate_that_expires_soon),
      STAGED(Expired, an_expired_certificate),
  };
  return run_group("tls", tests);
}
