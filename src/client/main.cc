// SPDX-License-Identifier: GPL-2.0-or-later
// vncauthproxy-client: one request to the control port, its reply told to a person or a script. Exit codes:
// 0 the forwarding stands, 1 refused or out of reach, 2 wrong usage.
#include <arpa/inet.h>
#include <jansson.h>

#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <string>
#include <string_view>
#include <utility>

#include "arguments.h"
#include "connection.h"
#include "vncauthproxy/base/log.h"
#include "vncauthproxy/base/process.h"
#include "vncauthproxy/base/secret.h"
#include "vncauthproxy/proto/control.h"
#include "vncauthproxy/proto/handles.h"

namespace vncauthproxy::client {
namespace {

using base::Error;
using base::ErrorCode;
using base::Handle;
using base::Result;
using base::Secret;

constexpr size_t kMaxReply = 64 * 1024;
constexpr char kTlsAlert = 21;      // the type of the record that answers a request in clear
constexpr size_t kMaxShown = 1000;  // bytes of foreign text on the terminal

int complain(const std::string& what) {
  std::fprintf(stderr, "vncauthproxy-client: %s\n", base::escape(what, kMaxShown).c_str());
  return 1;
}

json_t* json_text(std::string_view text) {
  return json_stringn(text.data(), text.size());
}

// Errors: invalid (text that is not UTF-8).
Result<Secret> make_request(const Arguments& arguments) {
  const Handle<json_t> request(json_object());
  const auto add = [&](const char* key, json_t* value) {
    return json_object_set_new(request.get(), key, value) == 0;
  };
  const bool made =
      add("source_port", json_integer(arguments.source_port)) &&
      add("destination_address", json_text(arguments.destination)) &&
      add("destination_port", json_integer(arguments.destination_port)) &&
      add("auth_user", json_text(arguments.auth_user)) &&
      add("auth_password", json_text(arguments.auth_password.reveal())) &&
      add("type", json_text(arguments.type)) &&
      (arguments.password.empty() || add("password", json_text(arguments.password.reveal()))) &&
      (arguments.server_password.empty() ||
       add("server_password", json_text(arguments.server_password.reveal()))) &&
      (!arguments.client_address || add("client_address", json_text(*arguments.client_address))) &&
      (!arguments.connect_timeout || add("connect_timeout", json_real(*arguments.connect_timeout))) &&
      (!arguments.auth_timeout || add("auth_timeout", json_real(*arguments.auth_timeout)));
  if (!made) return Error{ErrorCode::invalid, "an argument or a password is not valid UTF-8"};
  constexpr size_t flags = JSON_ENSURE_ASCII;
  const base::SecretPages text(json_dumpb(request.get(), nullptr, 0, flags));
  const size_t size = json_dumpb(request.get(), text.room().data(), text.room().size(), flags);
  return Secret({text.room().data(), size});
}

// Until the object is whole or the stream ends. Errors: closed (nothing came), invalid, too_large, timeout.
Result<std::string> receive_reply(Connection& connection) {
  proto::ObjectFramer framer;
  std::string reply;
  std::array<char, 4096> room;
  for (;;) {
    const Result<size_t> got = connection.receive(room);
    if (!got) return got.error();
    if (*got == 0 && reply.empty())
      return Error{ErrorCode::closed, "the server closed the connection without a reply"};
    if (*got == 0)
      return Error{ErrorCode::invalid, "the server closed the connection in the middle of its reply"};
    const std::string_view chunk(room.data(), *got);
    if (reply.empty() && chunk.front() == kTlsAlert)
      return Error{ErrorCode::invalid, "the server speaks TLS on that port: add --enable-ssl"};
    if (reply.size() + chunk.size() > kMaxReply)
      return Error{ErrorCode::too_large, "the reply of the server is too large"};
    const Result<bool> whole = framer.feed(chunk);
    if (!whole) return Error{ErrorCode::invalid, "what answered is not a control server of vncauthproxy"};
    reply.append(chunk);
    if (*whole) return reply.substr(0, framer.end());
  }
}

bool is_address(const std::string& host) {
  in6_addr room;
  return ::inet_pton(AF_INET, host.c_str(), &room) == 1 || ::inet_pton(AF_INET6, host.c_str(), &room) == 1;
}

Result<std::string> ask(const Arguments& arguments, const Secret& request) {
  const Deadline deadline = std::chrono::steady_clock::now() + arguments.wait;
  auto connection = Connection::open(arguments.server, std::to_string(arguments.server_port), deadline);
  if (!connection)
    return Error{connection.error().code, "Failed to connect to server: " + connection.error().detail};
  if (arguments.enable_ssl) {
    TlsWishes wishes;
    wishes.ca_file = arguments.ca_cert;
    wishes.verify_chain = arguments.strict || !arguments.ca_cert.empty();
    if (!is_address(arguments.server)) wishes.sni = arguments.server;
    if (arguments.strict) wishes.name = arguments.server;
    if (const auto secured = connection->start_tls(wishes); !secured) return secured.error();
  }
  if (const auto sent = connection->send(request.reveal()); !sent) return sent.error();
  Result<std::string> reply = receive_reply(*connection);
  connection->close();
  // Some servers that expect TLS hang up without an alert, or a reset overtakes it.
  if (!reply && reply.error().code == ErrorCode::closed && !arguments.enable_ssl)
    return Error{ErrorCode::closed, reply.error().detail + " (if that port speaks TLS, add --enable-ssl)"};
  return reply;
}

// A value as the old tool showed it.
std::string shown(const json_t* value) {
  if (json_is_string(value))
    return base::escape({json_string_value(value), json_string_length(value)}, kMaxShown);
  if (json_is_integer(value)) return std::to_string(json_integer_value(value));
  return "None";
}

void print_json(const json_t* reply) {
  std::string text(json_dumpb(reply, nullptr, 0, JSON_ENSURE_ASCII), '\0');
  json_dumpb(reply, text.data(), text.size(), JSON_ENSURE_ASCII);
  for (size_t at; (at = text.find('\x7f')) != text.npos;)
    text.replace(at, 1, "\\u007F");  // ASCII, but no text
  std::puts(text.c_str());
}

// The first two lines, their spelling and the word None are what scripts of the old tool look for.
void print_outcome(const Arguments& arguments, const json_t* reply) {
  const auto value = [&](const char* key) { return shown(json_object_get(reply, key)); };
  std::fprintf(stderr, "Forwaring %s:%s -> %s:%u: %s\n", value("proxy_address").c_str(),
               value("source_port").c_str(), base::escape(arguments.destination).c_str(),
               unsigned{arguments.destination_port}, value("status").c_str());
  if (json_object_get(reply, "reason") != nullptr)
    std::fprintf(stderr, "Reason: %s\n", value("reason").c_str());
  else
    std::fputs("None\n", stderr);
  const std::pair<const char*, const char*> more[] = {
      {"password", "Password"}, {"url", "URL"}, {"warning", "Warning"}};
  for (const auto& [key, label] : more)
    if (json_object_get(reply, key) != nullptr) std::fprintf(stderr, "%s: %s\n", label, value(key).c_str());
}

int run(const Arguments& arguments) {
  const Result<Secret> request = make_request(arguments);
  if (!request) return complain(request.error().detail), 2;
  const Result<std::string> text = ask(arguments, *request);
  if (!text) return complain(text.error().detail);
  const Handle<json_t> reply(json_loadb(text->data(), text->size(), 0, nullptr));
  const json_t* const status = json_object_get(reply.get(), "status");
  if (!json_is_string(status)) return complain("what answered is not a control server of vncauthproxy");
  if (arguments.json)
    print_json(reply.get());
  else
    print_outcome(arguments, reply.get());
  if (std::fflush(stdout) != 0) return complain("cannot write to standard output");
  return std::string_view(json_string_value(status), json_string_length(status)) == "OK" ? 0 : 1;
}

}  // namespace
}  // namespace vncauthproxy::client

int main(int argc, char* argv[]) {
  using namespace vncauthproxy;
  if (const auto forbidden = base::forbid_inspection(); !forbidden)
    return client::complain(forbidden.error().detail);
  std::signal(SIGPIPE, SIG_IGN);
  proto::use_wiping_json_allocator();  // requests hold passwords
  client::Arguments arguments;
  if (const auto end = client::read_arguments(argc, argv, arguments)) return *end;
  return client::run(arguments);
}
