// SPDX-License-Identifier: GPL-2.0-or-later
#include "tests/support/own_names.h"

#include <cstdio>

namespace vncauthproxy::testing {
namespace {

// $1 and $2: files to put in the places of those in /etc; $3: a name; empty ones change nothing.
constexpr const char* kScript =
    "[ -z \"$1\" ] || mount --bind \"$1\" /etc/hosts || exit 99\n"
    "[ -z \"$2\" ] || mount --bind \"$2\" /etc/resolv.conf || exit 99\n"
    "[ -z \"$3\" ] || hostname \"$3\" || exit 99\n"
    "shift 3\n"
    "exec \"$@\"";

std::string file_with(const Folder& folder, const char* name, const std::string& text) {
  if (text.empty()) return {};
  write_file(folder.file(name), text);
  return folder.file(name);
}

}  // namespace

bool own_names_work() {
  const Folder folder;
  const bool work =
      installed("unshare") &&
      run(with_own_names(folder, {"host", "127.0.0.1 localhost\n", "nameserver 127.0.0.1\n"}, {"true"}))
              .status == 0;
  if (!work) std::fprintf(stderr, "skipped: this test may not make namespaces\n");
  return work;
}

std::vector<std::string> with_own_names(const Folder& folder, const OwnNames& names,
                                        std::vector<std::string> argv) {
  argv.insert(argv.begin(), {"unshare", "--mount", "--uts", "sh", "-c", kScript, "sh",
                             file_with(folder, "hosts", names.hosts),
                             file_with(folder, "resolv.conf", names.resolv_conf), names.host_name});
  return argv;
}

}  // namespace vncauthproxy::testing
