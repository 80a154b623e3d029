// SPDX-License-Identifier: GPL-2.0-or-later
// Names as a test wants them, for one program: host name, hosts file and resolver of its own, in namespaces
// that end with it. Takes the rights of root, which containers often have not got.
#pragma once

#include <string>
#include <vector>

#include "tests/support/program.h"

namespace vncauthproxy::testing {

struct OwnNames {
  std::string host_name = {};    // empty: the machine's
  std::string hosts = {};        // text of /etc/hosts; empty: the machine's
  std::string resolv_conf = {};  // text of /etc/resolv.conf; empty: the machine's

  bool any() const { return !host_name.empty() || !hosts.empty() || !resolv_conf.empty(); }
};

// Whether this test may do that. Says so on stderr when it may not.
bool own_names_work();
// `argv` with these names; their files are made in `folder`.
std::vector<std::string> with_own_names(const Folder& folder, const OwnNames& names,
                                        std::vector<std::string> argv);

}  // namespace vncauthproxy::testing
