// SPDX-License-Identifier: GPL-2.0-or-later
// The command line of vncauthproxy-client, and the other places its passwords may come from.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "vncauthproxy/base/secret.h"

namespace vncauthproxy::client {

struct Arguments {
  std::string server = "127.0.0.1";
  uint16_t server_port = 24999;
  bool enable_ssl = false;
  std::string ca_cert;  // empty: none
  bool strict = false;
  bool json = false;
  std::chrono::seconds wait{60};  // for everything together

  uint16_t source_port = 0;
  std::string destination;
  uint16_t destination_port = 0;
  std::string type;
  std::string auth_user;
  base::Secret auth_password;
  base::Secret password;                                // empty: the proxy makes one
  base::Secret server_password;                         // empty: none
  std::optional<std::string> client_address;            // an empty one is sent, and refused
  std::optional<double> connect_timeout, auth_timeout;  // seconds
};

// Fills `arguments`, complete and checked; or says what is wrong, or prints what was asked for, and returns
// the exit code. Passwords are gone from argv and environ afterwards in any case.
std::optional<int> read_arguments(int argc, char* argv[], Arguments& arguments);

}  // namespace vncauthproxy::client
