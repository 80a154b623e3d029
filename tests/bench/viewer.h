// SPDX-License-Identifier: GPL-2.0-or-later
// One viewer, and the control client that gets its port: request, reply, connection, wrapping, handshake,
// then a flood to drain, messages to echo, or silence. What happens is told to an Observer.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "line.h"
#include "loop.h"

namespace vncauthproxy::bench {

// The one credential of a run: it guards nothing but a bench on loopback.
inline constexpr const char* kUserPassword = "bench login";
inline constexpr const char* kVncPassword = "benchvnc";
std::string user_name(unsigned number);

enum class Behaviour : uint8_t { flood, verified_flood, echo, idle };

// How to come to a backend.
struct Route {
  bool by_control = false;  // `port` is our daemon's control port; else viewers connect to it directly
  uint16_t port = 0;
  Wrapping wrapping = Wrapping::plain;
  uint16_t backend_port = 0;
};

class Viewer : public Handler {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    virtual void replied(Viewer&) {}                       // the control reply said OK
    virtual void authenticated(Viewer&) {}                 // SecurityResult said OK
    virtual void running(Viewer&) {}                       // ServerInit is here
    virtual void echoed(Viewer&) {}                        // the message sent came back
    virtual void failed(Viewer&, const std::string& why);  // dies, unless overridden
  };
  enum class Phase : uint8_t {
    asking,      // the control request is under way
    granted,     // port known, no viewer connected
    connecting,  // ... and so on, each named for what is awaited
    tls,
    upgrade,
    version,
    types,
    challenge,
    result,
    server_init,
    running,
    over
  };

  Viewer(Loop& loop, const Route& route, Behaviour behaviour, Observer& observer);
  ~Viewer() override;

  // `source` spreads control clients over addresses of loopback; the daemon limits each of them.
  void ask(unsigned user, unsigned source);
  void connect();                               // after replied(), or at once where there is no control port
  void send_message(std::string_view message);  // in behaviour echo; one at a time
  void close();

  Phase phase() const { return phase_; }
  uint64_t received() const { return received_; }
  Clock::time_point asked_at, replied_at, authenticated_at;

  void ready(uint32_t events) override;

 private:
  void fail(const std::string& why);
  void read_reply();
  void parse_reply();
  bool step_connection();  // false: nothing more to do with what came
  void start_rfb();
  void handshake();
  bool advance();
  bool choose_type();
  bool answer_challenge();
  void start_running();
  void run();
  void take_echo(base::Bytes bytes);
  void verify(base::Bytes bytes);

  Loop& loop_;
  Route route_;
  Behaviour behaviour_;
  Observer& observer_;
  Phase phase_ = Phase::over;
  base::Fd control_;
  std::string request_, reply_;
  uint16_t port_ = 0;
  std::optional<Line> line_;
  std::string input_;  // of the handshake
  std::string expected_;
  uint64_t received_ = 0;
  bool corrupt_ = false;
};

const char* name_of(Viewer::Phase phase);

}  // namespace vncauthproxy::bench
