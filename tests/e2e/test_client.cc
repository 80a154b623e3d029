// SPDX-License-Identifier: GPL-2.0-or-later
// The built vncauthproxy-client against control servers that answer, refuse, lie, dribble or say nothing,
// plain and over TLS.
#include <jansson.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdlib>
#include <memory>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "tests/support/daemon.h"
#include "tests/support/deadline.h"
#include "tests/support/fake_backend.h"
#include "tests/support/fake_viewer.h"
#include "tests/support/program.h"
#include "tests/support/socket.h"
#include "vncauthproxy/net/handles.h"
#include "vncauthproxy/proto/handles.h"
#include "vncauthproxy/proto/vnc_auth.h"

#include "tests/support/checks.h"

namespace vncauthproxy::testing {
namespace {

constexpr const char* kSecretA = "Session.Marker.83d1";
constexpr const char* kSecretB = "Login.Marker.83d1";
constexpr const char* kSecretC = "Backend.Marker.83d1";

const std::string kOk = R"({"source_port": 25123, "status": "OK", "proxy_address": "proxy.example"})";
const std::string kFailed =
    R"({"source_port": 0, "status": "FAILED", "proxy_address": null, "reason": "no such backend", "code": "backend_unreachable"})";

bool contains(const std::string& text, std::string_view piece) {
  return text.find(piece) != text.npos;
}

// A self-signed certificate, an authority for itself, for that name and the usual loopback addresses.
bool make_certificate(const std::string& cert_file, const std::string& key_file, const std::string& name) {
  const base::Handle<EVP_PKEY> key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"));
  const base::Handle<X509> cert(X509_new());
  const base::Handle<BIO> cert_out(BIO_new_file(cert_file.c_str(), "w")),
      key_out(BIO_new_file(key_file.c_str(), "w"));
  if (!key || !cert || !cert_out || !key_out) return false;
  X509_set_version(cert.get(), X509_VERSION_3);
  ASN1_INTEGER_set(X509_get_serialNumber(cert.get()), 1);
  X509_gmtime_adj(X509_getm_notBefore(cert.get()), -3600);
  X509_gmtime_adj(X509_getm_notAfter(cert.get()), 86400);
  X509_set_pubkey(cert.get(), key.get());
  X509_NAME* const subject = X509_get_subject_name(cert.get());
  X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8,
                             reinterpret_cast<const unsigned char*>(name.c_str()), -1, -1, 0);
  X509_set_issuer_name(cert.get(), subject);
  const std::string names = "DNS:" + name + ",IP:127.0.0.1,IP:::1";
  const base::Handle<X509_EXTENSION> extension(
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, names.c_str()));
  const bool added = extension && X509_add_ext(cert.get(), extension.get(), -1) == 1;
  return added && X509_sign(cert.get(), key.get(), EVP_sha256()) > 0 &&
         PEM_write_bio_X509(cert_out.get(), cert.get()) == 1 &&
         PEM_write_bio_PrivateKey(key_out.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) == 1;
}

struct ServerSetup {
  std::vector<std::string> pieces = {kOk};  // of the reply, each in a segment (or record) of its own
  bool close = true;                        // after the reply; else the client has to know that it is whole
  std::string host = "127.0.0.1";
  std::string cert_file = {}, key_file = {};  // TLS when set
  int max_version = TLS1_3_VERSION;
  bool close_notify = true;
  bool hold = false;  // reply only when release() is called
};

// Answers every connection in the same way and keeps what it was asked.
class ControlServer {
 public:
  explicit ControlServer(ServerSetup setup = {}) : setup_(std::move(setup)), listener_(setup_.host) {
    if (!setup_.cert_file.empty()) {
      context_.reset(SSL_CTX_new(TLS_server_method()));
      SSL_CTX_set_security_level(context_.get(), 0);
      SSL_CTX_set_min_proto_version(context_.get(), TLS1_VERSION);
      SSL_CTX_set_max_proto_version(context_.get(), setup_.max_version);
      SSL_CTX_use_certificate_chain_file(context_.get(), setup_.cert_file.c_str());
      SSL_CTX_use_PrivateKey_file(context_.get(), setup_.key_file.c_str(), SSL_FILETYPE_PEM);
    }
    held_ = setup_.hold;
    thread_ = std::thread([this] { serve(); });
  }
  ~ControlServer() {
    ending_ = true;
    held_ = false;
    thread_.join();
  }

  uint16_t port() const { return listener_.port(); }
  std::string request() {
    const std::lock_guard lock(mutex_);
    return request_;
  }
  std::string sni() {
    const std::lock_guard lock(mutex_);
    return sni_;
  }
  bool wait_request(Deadline deadline = {}) {
    return wait_until([this] { return contains(request(), "}"); }, deadline);
  }
  void release() { held_ = false; }

 private:
  void serve() {
    while (!ending_) {
      Socket peer = listener_.accept(milliseconds(20));
      if (!peer) continue;
      if (context_)
        serve_tls(peer);
      else
        serve_plain(peer);
    }
  }
  void note(std::string_view bytes) {
    const std::lock_guard lock(mutex_);
    request_ += bytes;
  }
  void wait_until_released() {
    wait_until([this] { return !held_; });
  }

  void serve_plain(Socket& peer) {
    std::array<uint8_t, 4096> room;
    for (size_t count; !contains(request(), "}");) {
      if (peer.read_some(room, &count) != Got::data) return;
      note({reinterpret_cast<const char*>(room.data()), count});
    }
    wait_until_released();
    for (const std::string& piece : setup_.pieces)
      if (!peer.send(piece)) return;
    if (!setup_.close) peer.ended();
  }

  void serve_tls(Socket& peer) {
    const base::Handle<SSL> ssl(SSL_new(context_.get()));
    SSL_set_fd(ssl.get(), peer.get());
    const auto again = [&](int result) {
      switch (SSL_get_error(ssl.get(), result)) {
        case SSL_ERROR_WANT_READ:
          return wait_fd(peer.get(), POLLIN, {});
        case SSL_ERROR_WANT_WRITE:
          return wait_fd(peer.get(), POLLOUT, {});
        default:
          return false;
      }
    };
    for (int result; (result = SSL_accept(ssl.get())) != 1;)
      if (!again(result)) return;
    if (const char* name = SSL_get_servername(ssl.get(), TLSEXT_NAMETYPE_host_name)) {
      const std::lock_guard lock(mutex_);
      sni_ = name;
    }
    std::array<char, 4096> room;
    while (!contains(request(), "}")) {
      const int got = SSL_read(ssl.get(), room.data(), static_cast<int>(room.size()));
      if (got > 0)
        note({room.data(), static_cast<size_t>(got)});
      else if (!again(got))
        return;
    }
    for (const std::string& piece : setup_.pieces)
      for (int put; (put = SSL_write(ssl.get(), piece.data(), static_cast<int>(piece.size()))) <= 0;)
        if (!again(put)) return;
    if (!setup_.close) peer.ended();
    if (setup_.close_notify) SSL_shutdown(ssl.get());
  }

  const ServerSetup setup_;
  Listener listener_;
  base::Handle<SSL_CTX> context_;
  std::mutex mutex_;
  std::string request_, sni_;
  std::atomic<bool> ending_ = false, held_ = false;
  std::thread thread_;
};

struct Fixture : Checks {
  Fixture() {
    if (!make_certificate(cert, key, "localhost") ||
        !make_certificate(other_cert, other_key, "other.example"))
      throw std::runtime_error("no certificate");
    ::chmod(key.c_str(), 0600);
  }

  // With everything that is mandatory; what a row adds comes last and wins.
  static std::vector<std::string> command(uint16_t port, const std::vector<std::string>& more = {}) {
    std::vector<std::string> words = {built("vncauthproxy-client"),
                                      "--server-port",
                                      std::to_string(port),
                                      "--type",
                                      "vnc",
                                      "-d",
                                      "vm.example",
                                      "-p",
                                      "5901",
                                      "-P",
                                      kSecretA,
                                      "--auth-user",
                                      "tester",
                                      "--auth-password",
                                      kSecretB};
    words.insert(words.end(), more.begin(), more.end());
    return words;
  }
  Outcome ask(ControlServer& server, const std::vector<std::string>& more = {}) const {
    return run(command(server.port(), more));
  }
  // What comes of that reply.
  Outcome told(std::vector<std::string> pieces, const std::vector<std::string>& more = {}) const {
    ControlServer server({.pieces = std::move(pieces)});
    return ask(server, more);
  }
  ServerSetup tls(const std::string& certificate, const std::string& its_key) const {
    ServerSetup setup;
    setup.cert_file = certificate;
    setup.key_file = its_key;
    return setup;
  }

  Folder folder;
  std::string cert = folder.file("cert.pem"), key = folder.file("key.pem");
  std::string other_cert = folder.file("other.pem"), other_key = folder.file("other-key.pem");
};

// The request as an object whose members are compared one by one.
class Request {
 public:
  explicit Request(const std::string& text) : object_(json_loads(text.c_str(), 0, nullptr)) {}
  size_t size() const { return json_object_size(object_.get()); }
  std::string text(const char* key) const {
    const char* value = json_string_value(json_object_get(object_.get(), key));
    return value ? value : "(none)";
  }
  int64_t number(const char* key) const {
    const json_t* value = json_object_get(object_.get(), key);
    return json_is_integer(value) ? json_integer_value(value) : -1;
  }
  double seconds(const char* key) const { return json_number_value(json_object_get(object_.get(), key)); }
  bool has(const char* key) const { return json_object_get(object_.get(), key) != nullptr; }

 private:
  base::Handle<json_t> object_;
};

// ---- requests and replies

void asks_and_tells(Fixture& f) {
  ControlServer server;
  const Outcome outcome = f.ask(server, {"-s", "25123"});
  f.check(outcome.status == 0, "exit " + std::to_string(outcome.status));
  f.check(outcome.err == "Forwaring proxy.example:25123 -> vm.example:5901: OK\nNone\n", outcome.err);
  f.check(outcome.out.empty(), "nothing on stdout");
  const Request request(server.request());
  f.check(request.size() == 7, server.request());
  f.check(request.number("source_port") == 25123 && request.number("destination_port") == 5901, "ports");
  f.check(request.text("destination_address") == "vm.example" && request.text("type") == "vnc",
          "where and what");
  f.check(request.text("auth_user") == "tester" && request.text("auth_password") == kSecretB, "login");
  f.check(request.text("password") == kSecretA, "password");
}

void sends_what_is_optional(Fixture& f) {
  ControlServer server;
  f.ask(server, {"--server-password", kSecretC, "--type=vnc-wss", "--dest", "10.0.0.9", "--dport=65535"});
  const Request request(server.request());
  f.check(request.size() == 8 && request.text("server_password") == kSecretC, "server_password");
  f.check(request.number("source_port") == 0, "any port by default");
  f.check(request.text("type") == "vnc-wss" && request.text("destination_address") == "10.0.0.9", "values");
  f.check(request.number("destination_port") == 65535, "the last port");

  ControlServer other;
  f.ask(other, {"--client-address", "192.0.2.0/24", "--connect-timeout=12", "--auth-timeout", "0.5"});
  const Request limits(other.request());
  f.check(limits.size() == 10 && limits.text("client_address") == "192.0.2.0/24", other.request());
  f.check(limits.seconds("connect_timeout") == 12, other.request());
  f.check(limits.seconds("auth_timeout") == 0.5, other.request());

  // A script whose variable is empty must not open the port for everybody.
  ControlServer empty;
  f.ask(empty, {"--client-address", ""});
  f.check(Request(empty.request()).text("client_address").empty(),
          "an empty one is sent: " + empty.request());
}

// What follows the two lines of the old tool.
void tells_all_that_the_reply_says(Fixture& f) {
  const std::string full =
      R"({"source_port": 25123, "status": "OK", "proxy_address": "proxy.example", "password": "Made4you", )"
      R"("url": "https://proxy.example:25123/vnc.html?autoconnect=1", "warning": "only\n8 bytes"})";
  const Outcome outcome = f.told({full});
  f.check(outcome.status == 0 && outcome.out.empty(), outcome.out);
  f.check(outcome.err ==
              "Forwaring proxy.example:25123 -> vm.example:5901: OK\nNone\nPassword: Made4you\n"
              "URL: https://proxy.example:25123/vnc.html?autoconnect=1\nWarning: only\\n8 bytes\n",
          outcome.err);
  f.check(f.told({full}, {"--json"}).out == full + "\n", "JSON");
}

void tells_a_refusal(Fixture& f) {
  const Outcome refused = f.told({kFailed});
  f.check(refused.status == 1, "exit 1");
  f.check(refused.err == "Forwaring None:0 -> vm.example:5901: FAILED\nReason: no such backend\n",
          refused.err);
  const Outcome silent = f.told({R"({"source_port": 0, "status": "FAILED", "proxy_address": null})"});
  f.check(silent.status == 1 && contains(silent.err, ": FAILED\nNone\n"), "without a reason: " + silent.err);
  const Outcome odd = f.told({R"({"status": "ok", "source_port": [1], "reason": 7})"});
  f.check(odd.status == 1, "only OK is OK");
  f.check(odd.err == "Forwaring None:None -> vm.example:5901: ok\nReason: 7\n", "odd members: " + odd.err);
}

void json_prints_the_reply_alone(Fixture& f) {
  const Outcome fine = f.told({kOk}, {"--json"});
  f.check(fine.status == 0 && fine.out == kOk + "\n" && fine.err.empty(), fine.out + fine.err);
  const Outcome refused = f.told({kFailed}, {"--json"});
  f.check(refused.status == 1 && refused.out == kFailed + "\n" && refused.err.empty(),
          refused.out + refused.err);
  const Outcome foreign =
      f.told({"{\"status\": \"OK\",\n \"x\": \"\xc3\xa9\x7f\xe2\x80\xae\\u001b[2J\\\"\", \"y\": [true]}"},
             {"--json"});
  f.check(
      foreign.out == "{\"status\": \"OK\", \"x\": \"\\u00E9\\u007F\\u202E\\u001B[2J\\\"\", \"y\": [true]}\n",
      "all in printable ASCII: " + foreign.out);
  ControlServer server;
  std::vector<std::string> full = {"sh", "-c", "exec \"$0\" \"$@\" >/dev/full"};
  const std::vector<std::string> words = f.command(server.port(), {"--json"});
  full.insert(full.end(), words.begin(), words.end());
  const Outcome nowhere = run(full);
  f.check(nowhere.status == 1 && contains(nowhere.err, "standard output"), "a full disk: " + nowhere.err);
}

void a_reply_cannot_drive_the_terminal(Fixture& f) {
  const Outcome outcome =
      f.told({"{\"status\": \"FA\\u001b[31mIL\", \"proxy_address\": \"\\u009b2J\\r\", \"source_port\": "
              "\"1\\u0007\", "
              "\"reason\": \"\\u001b]0;owned\\u0007\\nForwaring x: OK\\u202e \xc3\xa9\"}"});
  f.check(outcome.status == 1, "exit 1");
  f.check(std::count(outcome.err.begin(), outcome.err.end(), '\n') == 2, "two lines: " + outcome.err);
  const bool clean = std::all_of(outcome.err.begin(), outcome.err.end(), [](char c) {
    return (static_cast<unsigned char>(c) >= ' ' && c != 0x7f) || c == '\n';
  });
  f.check(clean, "no control character");
  f.check(!contains(outcome.err, "\xc2\x9b") && !contains(outcome.err, "\xe2\x80\xae"), "C1 and bidi marks");
  f.check(contains(outcome.err, "\xc3\xa9"), "letters stay: " + outcome.err);
}

void a_reply_may_come_in_any_way(Fixture& f) {
  std::vector<std::string> bytes;
  for (const char c : kOk) bytes.emplace_back(1, c);
  f.check(f.told(bytes).status == 0, "byte by byte");
  f.check(f.told({kOk + "\r\n"}).status == 0, "with an end of line");
  f.check(f.told({kOk.substr(0, 20), kOk.substr(20) + kFailed}).status == 0,
          "what follows the object does not count");
  for (const std::string& reply : {kOk, kFailed}) {
    ControlServer open({.pieces = {reply}, .close = false});
    const Outcome outcome = f.ask(open);
    f.check(outcome.status == (reply == kOk ? 0 : 1) && contains(outcome.err, "Forwaring"),
            "connection left open");
  }
  const std::string padded = R"({"status": "OK", "padding": ")" + std::string(60'000, 'x') + "\"}";
  f.check(f.told({padded}).status == 0, "60 KB");
}

void bad_replies_exit_1(Fixture& f) {
  const struct {
    const char* name;
    std::vector<std::string> pieces;
    const char* told;
  } rows[] = {{"nothing", {}, "without a reply"},
              {"half", {R"({"status": "OK")"}, "in the middle of its reply"},
              {"garbage", {"\x1b[31mRFB 003.008\n"}, "not a control server"},
              {"the other dialect", {"5801\r\n"}, "not a control server"},
              {"no status", {"{}"}, "not a control server"},
              {"status is no text", {R"({"status": 1})"}, "not a control server"},
              {"no JSON", {"{status: OK}"}, "not a control server"},
              {"a list", {R"(["OK"])"}, "not a control server"},
              {"too deep", {R"({"a":)" + std::string(1000, '[')}, "not a control server"},
              {"huge", {R"({"status": "OK", "x": ")" + std::string(100'000, 'x') + "\"}"}, "too large"},
              {"endless", {"{\"x\": \"", std::string(1'000'000, 'x')}, "too large"}};
  for (const auto& row : rows) {
    for (const std::vector<std::string>& more :
         {std::vector<std::string>{}, std::vector<std::string>{"--json"}}) {
      const Outcome outcome = f.told(row.pieces, more);
      f.check(outcome.status == 1 && outcome.out.empty(),
              std::string(row.name) + ": " + std::to_string(outcome.status));
      f.check(contains(outcome.err, row.told), std::string(row.name) + ": " + outcome.err);
      f.check(!contains(outcome.err, "\x1b"), std::string(row.name) + ": escaped");
    }
  }
}

void waits_no_longer_than_told(Fixture& f) {
  ControlServer server({.pieces = {}, .close = false, .hold = true});
  const Deadline::Clock::time_point begin = Deadline::Clock::now();
  const Outcome outcome = f.ask(server, {"--wait", "1"});
  const auto took = Deadline::Clock::now() - begin;
  server.release();
  f.check(outcome.status == 1 && contains(outcome.err, "no answer in time"), outcome.err);
  f.check(took >= milliseconds(900) && took < seconds(10), "about a second");

  // Each byte comes in good time, but all of them would take far too long.
  Listener dribbler;
  Program client(f.command(dribbler.port(), {"--wait", "1"}));
  Socket peer = dribbler.accept();
  bool sent = peer.send("{\"x\": \"");
  while (sent && client.running()) {
    sent = peer.send("x");
    ::poll(nullptr, 0, 50);
  }
  f.check(client.wait_err("no answer in time") && client.wait() == 1, "dribbled: " + client.err());

  // A TLS handshake that never comes.
  Listener mute;
  Program tls_client(f.command(mute.port(), {"--wait", "1", "--enable-ssl"}));
  const Socket unanswered = mute.accept();
  f.check(tls_client.wait_err("no answer in time") && tls_client.wait() == 1, "TLS: " + tls_client.err());
}

// ---- reaching the server

void finds_the_server(Fixture& f) {
  for (const char* host : {"127.0.0.2", "::1"}) {
    ServerSetup setup;
    setup.host = host;
    ControlServer server(setup);
    if (server.port() == 0) continue;  // no IPv6 here
    f.check(f.ask(server, {"--server", host}).status == 0, host);
  }
  ControlServer server;
  f.check(f.ask(server, {"--server=localhost"}).status == 0, "localhost, though ::1 may come first");
}

void a_server_out_of_reach_exits_1(Fixture& f) {
  uint16_t port = 0;
  {
    const Listener listener;
    port = listener.port();
  }
  const Outcome refused = run(f.command(port));
  f.check(refused.status == 1 && contains(refused.err, "Failed to connect to server: 127.0.0.1:"),
          refused.err);
  f.check(refused.out.empty(), "nothing on stdout");
  const Outcome unknown = run(f.command(port, {"--server", "no-such-host.invalid"}));
  f.check(unknown.status == 1 && contains(unknown.err, "Failed to connect to server: "), unknown.err);
}

void a_server_on_its_way_up_is_found(Fixture& f) {
  const uint16_t port = find_free_range(1);
  Program client(f.command(port));
  Listener listener("127.0.0.1", port);
  f.check(listener.port() == port, "listens");
  Socket peer = listener.accept();
  f.check(static_cast<bool>(peer) && peer.send(kOk) && client.wait() == 0, "a later try: " + client.err());
}

// ---- the real thing

std::vector<std::string> without_passwords(uint16_t port, const std::vector<std::string>& more) {
  std::vector<std::string> words = {built("vncauthproxy-client"),
                                    "--server-port",
                                    std::to_string(port),
                                    "--type",
                                    "vnc",
                                    "-d",
                                    "vm.example",
                                    "-p",
                                    "5901",
                                    "--auth-user",
                                    "tester"};
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

void talks_to_the_daemon(Fixture& f) {
  Daemon daemon;
  FakeBackend backend(echo());
  const auto asked = [&](const std::string& login) {
    return run({built("vncauthproxy-client"), "--server-port", std::to_string(daemon.port()), "--type", "vnc",
                "-d", "127.0.0.1", "-p", std::to_string(backend.port()), "-P", kViewerSecret, "--auth-user",
                kUser, "--auth-password", login, "-s", std::to_string(daemon.min_port())});
  };
  const Outcome fine = asked(kLoginSecret);
  const std::string where =
      std::to_string(daemon.min_port()) + " -> 127.0.0.1:" + std::to_string(backend.port());
  f.check(fine.status == 0 && contains(fine.err, ":" + where + ": OK\nNone\n"), fine.err);
  f.check(FakeViewer(daemon.min_port()).log_in(kViewerSecret) == Verdict::admitted, "a viewer gets in");
  const Outcome refused = asked("wrong");
  f.check(refused.status == 1 && contains(refused.err, "Forwaring None:0 -> "), refused.err);
  f.check(contains(refused.err, ": FAILED\nReason: "), refused.err);
}

void a_password_is_made_when_none_is_given(Fixture& f) {
  ControlServer server;
  const std::vector<std::string> login = {"--auth-password", kSecretB};
  f.check(run(without_passwords(server.port(), login)).status == 0, "goes without");
  f.check(!Request(server.request()).has("password"), "the proxy is to make one: " + server.request());

  Daemon daemon;
  FakeBackend backend(echo());
  const Outcome made = run(without_passwords(
      daemon.port(), {"--auth-user", kUser, "--auth-password", kLoginSecret, "-d", "127.0.0.1", "-p",
                      std::to_string(backend.port()), "-s", std::to_string(daemon.min_port())}));
  const std::string label = "\nPassword: ";
  const size_t at = made.err.find(label);
  f.check(made.status == 0 && at != made.err.npos, made.err);
  const std::string password = at == made.err.npos ? "" : made.err.substr(at + label.size(), 8);
  f.check(FakeViewer(daemon.min_port()).log_in(password) == Verdict::admitted, "it lets a viewer in");

  // Text that turned out empty was meant to be a password.
  const std::string empty = f.folder.file("empty");
  write_file(empty, "");
  ControlServer unasked;
  for (const std::string& option : {std::string("-P"), "-P@" + empty, std::string("--password=@-")}) {
    std::vector<std::string> words = without_passwords(unasked.port(), login);
    words.push_back(option);
    if (option == "-P") words.emplace_back("");
    const Outcome outcome = run(words);
    f.check(outcome.status == 2 && contains(outcome.err, "--password"), option + ": " + outcome.err);
  }
  const Outcome variable = run(without_passwords(unasked.port(), login),
                               {.environment = {"VNCAUTHPROXY_PASSWORD="}, .input = {}, .descriptors = 0});
  f.check(variable.status == 2 && contains(variable.err, "VNCAUTHPROXY_PASSWORD"), variable.err);
  f.check(unasked.request().empty(), "nobody was asked");
}

// ---- TLS

void speaks_tls(Fixture& f) {
  ControlServer server(f.tls(f.cert, f.key));
  const Outcome outcome = f.ask(server, {"--enable-ssl"});
  f.check(outcome.status == 0 && contains(outcome.err, "proxy.example:25123"), outcome.err);
  f.check(contains(server.request(), kSecretB), "the request arrived");
  f.check(server.sni().empty(), "no SNI for an address");
  f.check(f.ask(server, {"--enable-ssl", "--server", "localhost"}).status == 0 && server.sni() == "localhost",
          "SNI");

  ServerSetup rude = f.tls(f.cert, f.key);
  rude.close_notify = false;
  ControlServer rude_server(rude);
  f.check(f.ask(rude_server, {"--enable-ssl"}).status == 0, "no close_notify");
  rude.pieces = {R"({"status": "O)"};
  ControlServer cutting_server(rude);
  const Outcome cut = f.ask(cutting_server, {"--enable-ssl"});
  f.check(cut.status == 1 && contains(cut.err, "in the middle"), "cut short: " + cut.err);

  ServerSetup modern = f.tls(f.cert, f.key);
  modern.max_version = TLS1_2_VERSION;
  modern.pieces = {kOk.substr(0, 9), kOk.substr(9)};
  ControlServer modern_server(modern);
  f.check(f.ask(modern_server, {"--enable-ssl"}).status == 0, "TLS 1.2, two records");
}

void verifies_what_it_is_told_to(Fixture& f) {
  const struct {
    const char* name;
    bool other;  // the server has the other certificate
    std::string host;
    std::vector<std::string> options;
    bool accepted;
  } rows[] = {
      {"nothing", true, "127.0.0.1", {}, true},
      {"chain", false, "127.0.0.1", {"--ca-cert", f.cert}, true},
      {"chain alone, name aside", true, "localhost", {"--ca-cert", f.other_cert}, true},
      {"another CA", true, "127.0.0.1", {"--ca-cert", f.cert}, false},
      {"address", false, "127.0.0.1", {"--ca-cert", f.cert, "--strict"}, true},
      {"another address", false, "127.0.0.2", {"--ca-cert", f.cert, "--strict"}, false},
      {"name", false, "localhost", {"--ca-cert", f.cert, "--strict"}, true},
      {"another name", true, "localhost", {"--ca-cert", f.other_cert, "--strict"}, false},
      {"not in the system's store", false, "localhost", {"--strict"}, false},
  };
  for (const auto& row : rows) {
    ServerSetup setup = row.other ? f.tls(f.other_cert, f.other_key) : f.tls(f.cert, f.key);
    if (row.host != "localhost") setup.host = row.host;
    ControlServer server(setup);
    std::vector<std::string> options = {"--enable-ssl", "--server", row.host};
    options.insert(options.end(), row.options.begin(), row.options.end());
    const Outcome outcome = f.ask(server, options);
    f.check(outcome.status == (row.accepted ? 0 : 1), std::string(row.name) + ": " + outcome.err);
    if (row.accepted) continue;
    f.check(contains(outcome.err, "certificate"), std::string(row.name) + ": " + outcome.err);
    f.check(server.request().empty(), std::string(row.name) + ": nothing was sent");
  }
}

void what_is_no_proper_tls_gets_nothing(Fixture& f) {
  ServerSetup old = f.tls(f.cert, f.key);
  old.max_version = TLS1_1_VERSION;
  ControlServer old_server(old);
  const Outcome refused = f.ask(old_server, {"--enable-ssl"});
  f.check(refused.status == 1 && contains(refused.err, "TLS"), "TLS 1.1: " + refused.err);
  f.check(old_server.request().empty(), "nothing was sent");

  Listener plain;
  Program client(f.command(plain.port(), {"--enable-ssl"}));
  Socket peer = plain.accept();
  f.check(peer.send("{\"status\": \"FAILED\"}\r\n"), "a plain server");
  f.check(client.wait_err("speaks no TLS") && client.wait() == 1, client.err());
  peer.finish_sending();
  f.check(!contains(peer.read_to_end(), "Marker"), "nothing was sent in clear");

  for (const std::string& file : {f.folder.file("missing.pem"), f.key}) {
    ControlServer server(f.tls(f.cert, f.key));
    const Outcome outcome = f.ask(server, {"--enable-ssl", "--ca-cert", file});
    f.check(outcome.status == 1 && contains(outcome.err, "--ca-cert"), outcome.err);
  }
}

// The two ends disagree about TLS: the message names the option. The daemon itself, since it is its way of
// refusing that has to be understood.
void a_port_of_the_other_kind_is_explained(Fixture& f) {
  const Daemon secured(DaemonSetup{.options = {"--enable-ssl", "--cert-file", f.cert, "--key-file", f.key}});
  const Outcome in_clear = run(f.command(secured.port()));
  f.check(in_clear.status == 1 && contains(in_clear.err, "--enable-ssl"), "TLS port: " + in_clear.err);
  const Daemon plain;
  const Outcome in_tls = run(f.command(plain.port(), {"--enable-ssl"}));
  f.check(in_tls.status == 1 && contains(in_tls.err, "speaks no TLS"), "plain port: " + in_tls.err);

  // Servers that hang up without a word, or with a reset, may be of the other kind.
  for (const bool reset : {false, true}) {
    Listener mute;
    Program client(f.command(mute.port()));
    Socket peer = mute.accept();
    std::array<uint8_t, 4096> room;
    size_t count = 0;
    f.check(peer.read_some(room, &count) == Got::data, "a request came");
    if (reset)
      peer.reset();
    else
      peer.close();
    f.check(client.wait_err("--enable-ssl") && client.wait() == 1, "mute: " + client.err());
  }
}

// ---- command line

void each_mandatory_argument_is_asked_for(Fixture& f) {
  const std::vector<std::pair<std::string, std::vector<std::string>>> mandatory = {
      {"dest", {"-d", "vm.example"}},
      {"dport", {"-p", "5901"}},
      {"auth-user", {"--auth-user", "u"}},
      {"auth-password", {"--auth-password", kSecretB}},
      {"type", {"--type", "vnc"}}};
  for (const auto& [missing, unused] : mandatory) {
    std::vector<std::string> words = {built("vncauthproxy-client")};
    for (const auto& [name, option] : mandatory)
      if (name != missing) words.insert(words.end(), option.begin(), option.end());
    const Outcome outcome = run(words);
    f.check(outcome.status == 2 && outcome.err == "The " + missing + " argument is mandatory.\n",
            outcome.err);
  }
  const Outcome all = run({built("vncauthproxy-client"), "--auth-user", "", "-d", ""});
  f.check(all.status == 2 && std::count(all.err.begin(), all.err.end(), '\n') == 5,
          "a line for each: " + all.err);
}

void wrong_usage_exits_2(Fixture& f) {
  const std::vector<std::vector<std::string>> rows = {{"-p", "0"},
                                                      {"-p", "65536"},
                                                      {"-p", "http"},
                                                      {"-p", "59 01"},
                                                      {"-s", "-1"},
                                                      {"-s", "70000"},
                                                      {"--server-port", "0"},
                                                      {"--server-port", "x"},
                                                      {"stray"},
                                                      {"--unknown"},
                                                      {"-x"},
                                                      {"--json=1"},
                                                      {"--serv", "x"},
                                                      {"--strict"},
                                                      {"--ca-cert", f.cert},
                                                      {"--type"},
                                                      {"--wait", "0"},
                                                      {"--wait", "3601"},
                                                      {"--wait", "soon"},
                                                      {"--connect-timeout", "0"},
                                                      {"--connect-timeout", "1e7"},
                                                      {"--connect-timeout", "nan"},
                                                      {"--auth-timeout", "-1"},
                                                      {"--auth-timeout", ""},
                                                      {"--auth-timeout", "5s"},
                                                      {"--client-address", "\xff"},
                                                      {"-P", "@/nonexistent"},
                                                      {"-P", "\xff\xfe"},
                                                      {"-d", "\xc3"},
                                                      {"--auth-user", "\xc3("},
                                                      {"--server-password", "@" + f.folder.path()}};
  ControlServer server;
  for (const auto& row : rows) {
    const Outcome outcome = f.ask(server, row);
    f.check(outcome.status == 2 && outcome.out.empty(), row[0] + ": " + std::to_string(outcome.status));
    f.check(contains(outcome.err, "vncauthproxy-client"), row[0] + ": " + outcome.err);
    f.check(!contains(outcome.err, "Marker"), row[0] + ": no secret in the text");
  }
  f.check(server.request().empty(), "nobody was asked");
}

void old_habits_work(Fixture& f) {
  ControlServer server;
  f.check(f.ask(server, {"--passw", "other", "--auth-u=me", "--ty", "vnc-ws"}).status == 0,
          "prefixes of options");
  const Request request(server.request());
  f.check(request.text("password") == "other" && request.text("auth_user") == "me", "their values");
  f.check(request.text("type") == "vnc-ws", "the last one counts");
}

void helps(Fixture& f) {
  for (const char* option : {"-h", "--help"}) {
    const Outcome help = run({built("vncauthproxy-client"), option});
    f.check(help.status == 0 && help.err.empty() && help.out.starts_with("usage: "), option);
    for (const char* each : {"--server ",         "--server-port",  "-s ",          "-d, --dest",
                             "-p, --dport",       "-P, --password", "--auth-user",  "--auth-password",
                             "--server-password", "--type",         "--enable-ssl", "--ca-cert",
                             "--strict",          "--json",         "--wait",       "--client-address",
                             "--connect-timeout", "--auth-timeout", "--version",    "VNCAUTHPROXY_PASSWORD"})
      f.check(contains(help.out, each), each);
  }
  const Outcome version = run({built("vncauthproxy-client"), "--version"});
  f.check(version.status == 0 && contains(version.out, "vncauthproxy "), version.out);
}

// ---- secrets

void passwords_come_from_many_places(Fixture& f) {
  const std::string file = f.folder.file("secret"), empty = f.folder.file("empty");
  write_file(file, "from file\r\nsecond line\n");
  write_file(empty, "");
  const std::vector<std::string> variables = {"VNCAUTHPROXY_PASSWORD=env a",
                                              "VNCAUTHPROXY_AUTH_PASSWORD=@env b",
                                              "VNCAUTHPROXY_SERVER_PASSWORD=env c"};
  const struct {
    const char* name;
    std::vector<std::string> options, environment;
    std::string input;
    std::string a, b, c;
  } rows[] = {
      {"variables", {}, variables, "", "env a", "@env b", "env c"},
      {"options win",
       {"-P", "x", "--auth-password=y", "--server-password", "z"},
       variables,
       "",
       "x",
       "y",
       "z"},
      {"a file", {"-P@" + file, "--auth-password", "@" + file}, {}, "", "from file", "from file", "(none)"},
      {"lines of stdin",
       {"--auth-password=@-", "-P", "@-", "--server-password=@-"},
       {},
       "one\ntwo\nthree",
       "one",
       "two",
       "three"},
      {"mixed",
       {"-P", "x", "--auth-password", "@-"},
       {"VNCAUTHPROXY_SERVER_PASSWORD="},
       "two\n",
       "x",
       "two",
       "(none)"},
  };
  for (const auto& row : rows) {
    ControlServer server;
    const Outcome outcome = run(without_passwords(server.port(), row.options),
                                {.environment = row.environment, .input = row.input, .descriptors = 0});
    const Request request(server.request());
    f.check(outcome.status == 0, std::string(row.name) + ": " + outcome.err);
    f.check(request.text("password") == row.a, std::string(row.name) + ": " + server.request());
    f.check(request.text("auth_password") == row.b, std::string(row.name) + ": " + server.request());
    f.check(request.text("server_password") == row.c, std::string(row.name) + ": " + server.request());
  }
  ControlServer server;
  const Outcome nothing = run(without_passwords(server.port(), {"-P", "x", "--auth-password", "@" + empty}));
  f.check(nothing.status == 2 && contains(nothing.err, "The auth-password argument is mandatory."),
          nothing.err);
}

// While the client waits for something, nobody else sees a password of it.
void check_out_of_sight(Fixture& f, Program& client) {
  const std::string proc = "/proc/" + std::to_string(client.pid());
  f.check(wait_until([&] {
            const std::string words = read_file(proc + "/cmdline");
            return contains(words, "vm.example") && !contains(words, "Marker");
          }),
          "gone from the process list");
  if (::geteuid() == 0)
    f.check(!contains(read_file(proc + "/environ"), "Marker"), "gone from the environment");
  f.check(client.running(), "the client waits");
}

void passwords_go_out_of_sight(Fixture& f) {
  const std::string a = kSecretA, b = kSecretB, c = kSecretC;
  const ProgramSetup setup{.environment = {"VNCAUTHPROXY_SERVER_PASSWORD=" + c, "VNCAUTHPROXY_PASSWORD=" + a},
                           .input = {},
                           .descriptors = 0};
  {
    ControlServer server({.hold = true});
    Program client(without_passwords(server.port(), {"-P", a, "--auth-password=" + b}), setup);
    f.check(server.wait_request(), "asked");
    check_out_of_sight(f, client);
    server.release();
    f.check(client.wait() == 0 && contains(server.request(), c), "and yet they were used");
  }
  // As early as while it reads another password: from a FIFO that nobody has written to yet.
  const std::string fifo = f.folder.file("fifo");
  f.check(::mkfifo(fifo.c_str(), 0600) == 0, "fifo");
  ControlServer server;
  Program client(without_passwords(server.port(), {"-P", "@" + fifo, "--auth-password", b}), setup);
  check_out_of_sight(f, client);
  f.check(write_file(fifo, a + "\n") && client.wait() == 0, "goes on: " + client.err());
  f.check(contains(server.request(), a) && contains(server.request(), b), "with both");
}

void output_never_repeats_a_password(Fixture& f) {
  ControlServer server;
  for (const std::vector<std::string>& row :
       std::vector<std::vector<std::string>>{{},
                                             {"--json"},
                                             {"--pasword=" + std::string(kSecretC)},
                                             {"--enable-ssl"},
                                             {"--server-password", "@" + std::string(kSecretC)}}) {
    const Outcome outcome = f.ask(server, row);
    f.check(!contains(outcome.out + outcome.err, "Marker"), outcome.out + outcome.err);
  }
}

}  // namespace
}  // namespace vncauthproxy::testing

int main() {
  using namespace vncauthproxy::testing;
  if (!vncauthproxy::proto::prepare_vnc_auth()) return 1;  // before any thread
  const CMUnitTest tests[] = {
      CHECKED(Fixture, asks_and_tells),
      CHECKED(Fixture, sends_what_is_optional),
      CHECKED(Fixture, tells_all_that_the_reply_says),
      CHECKED(Fixture, tells_a_refusal),
      CHECKED(Fixture, json_prints_the_reply_alone),
      CHECKED(Fixture, a_reply_cannot_drive_the_terminal),
      CHECKED(Fixture, a_reply_may_come_in_any_way),
      CHECKED(Fixture, bad_replies_exit_1),
      CHECKED(Fixture, waits_no_longer_than_told),
      CHECKED(Fixture, finds_the_server),
      CHECKED(Fixture, a_server_out_of_reach_exits_1),
      CHECKED(Fixture, a_server_on_its_way_up_is_found),
      CHECKED(Fixture, talks_to_the_daemon),
      CHECKED(Fixture, a_password_is_made_when_none_is_given),
      CHECKED(Fixture, speaks_tls),
      CHECKED(Fixture, verifies_what_it_is_told_to),
      CHECKED(Fixture, what_is_no_proper_tls_gets_nothing),
      CHECKED(Fixture, a_port_of_the_other_kind_is_explained),
      CHECKED(Fixture, each_mandatory_argument_is_asked_for),
      CHECKED(Fixture, wrong_usage_exits_2),
      CHECKED(Fixture, old_habits_work),
      CHECKED(Fixture, helps),
      CHECKED(Fixture, passwords_come_from_many_places),
      CHECKED(Fixture, passwords_go_out_of_sight),
      CHECKED(Fixture, output_never_repeats_a_password),
  };
  return run_group("vncauthproxy-client", tests);
}
