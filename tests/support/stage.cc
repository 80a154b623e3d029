// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/stage.h"

#include <cstdio>
#include <stdexcept>

#include "vncauthproxy/proto/vnc_auth.h"

namespace vncauthproxy::testing {
namespace {

// Before any member: its threads compute responses.
DaemonSetup prepared(DaemonSetup setup) {
  if (!proto::prepare_vnc_auth()) throw std::runtime_error("no cipher for VNC Authentication");
  return setup;
}

}  // namespace

Stage::Stage(DaemonSetup setup)
    : echo_backend(echo()), daemon(prepared(std::move(setup))), first_pid(daemon.pid()) {
  witness = session_to(echo_backend);
  if (!witness.socket) throw std::runtime_error("no witness session: " + daemon.log());
}

Stage::~Stage() {
  if (failures() > 0) std::fprintf(stderr, "---- log of the daemon\n%s----\n", daemon.log().c_str());
}

bool Checks::check(bool good, std::string_view what, const char* file, int line) {
  if (!good) {
    ++failures_;
    std::fprintf(stderr, "%s:%d: %.*s\n", file, line, static_cast<int>(what.size()), what.data());
  }
  return good;
}

FakeViewer Stage::session_to(const FakeBackend& backend) {
  const uint16_t port = daemon.forwarding_to(backend.port());
  if (port == 0) return {};
  FakeViewer viewer(port);
  if (viewer.log_in(kViewerSecret) != Verdict::admitted) return {};
  return viewer;
}

void Stage::check_invariants() {
  check(log_is_clean(daemon.log()), "the log holds a secret or a control byte");
  if (!daemon_expected_) return;
  if (!check(daemon.running() && daemon.pid() == first_pid, "the daemon is gone")) return;
  check(witness.echoes("still here?"), "the witness session does not echo");
  FakeViewer fresh = session_to(echo_backend);
  check(fresh.echoes("and new ones?"), "a fresh request does not work");
}

bool holds_a_secret(std::string_view text) {
  for (const char* secret : kSecrets)
    if (text.find(secret) != std::string_view::npos) return true;
  return false;
}

bool log_is_clean(std::string_view log) {
  if (holds_a_secret(log)) return false;
  for (const char c : log)
    if (static_cast<unsigned char>(c) < 0x20 && c != '\n') return false;
  return true;
}

}  // namespace vncauthproxy::testing
