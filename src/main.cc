// SPDX-License-Identifier: GPL-2.0-or-later
// vncauthproxy: arguments and exit codes. 0 fine, 1 could not start, 2 wrong usage.
#include <algorithm>
#include <cstdio>
#include <cstring>
#include <exception>
#include <new>
#include <string_view>

#include "config.h"
#include "daemon.h"
#include "nursery/nursery.h"
#include "vncauthproxy/base/process.h"
#include "vncauthproxy/base/process_title.h"
#include "vncauthproxy/config/options.h"

namespace {

// Each line of `message` by itself.
void complain(std::string_view message) {
  while (!message.empty()) {
    const std::string_view line = message.substr(0, message.find('\n'));
    std::fprintf(stderr, "vncauthproxy: %.*s\n", static_cast<int>(line.size()), line.data());
    message.remove_prefix(std::min(line.size() + 1, message.size()));
  }
}

}  // namespace

int main(int argc, char* argv[]) {
  using namespace vncauthproxy;
  for (const auto prepare : {base::fill_standard_descriptors, base::forbid_inspection})
    if (const auto done = prepare(); !done) {
      complain(done.error().detail);
      return 1;
    }
  if (argc >= 2 && std::strcmp(argv[1], nursery::kArgument) == 0) {
    base::keep_title_room(argc, argv);
    return nursery::run();
  }
  const config::CommandLine line = config::read_command_line(argc, argv);
  switch (line.outcome) {
    case config::CommandLine::Outcome::help:
      std::fputs(config::help_text().c_str(), stdout);
      return 0;
    case config::CommandLine::Outcome::version:
      std::puts(PACKAGE_STRING);
      return 0;
    case config::CommandLine::Outcome::stray_argument:
      std::fputs(config::help_text().c_str(), stdout);
      complain(line.message);
      return 1;
    case config::CommandLine::Outcome::usage_error:
      std::fprintf(stderr, "%s\n", config::usage_line().c_str());
      complain(line.message);
      return 2;
    case config::CommandLine::Outcome::config_error:
      complain(line.message);
      return 2;
    case config::CommandLine::Outcome::run:
      break;
  }
  try {
    return line.options.check ? check_configuration(line.options) : run_daemon(line.options);
  } catch (const std::bad_alloc&) {
    complain("out of memory or of descriptors (ulimit -v, ulimit -n)");
    return 1;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "vncauthproxy: %s\n", error.what());
    return 1;
  }
}
