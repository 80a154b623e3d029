// SPDX-License-Identifier: GPL-2.0-or-later
#include "vncauthproxy/base/secret_input.h"

#include <getopt.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <string>

#include "vncauthproxy/base/fd.h"
#include "vncauthproxy/base/log.h"

namespace vncauthproxy::base {

Secret take_argument(char* text) {
  const std::span<char> all(text, std::strlen(text));
  Secret secret({all.data(), all.size()});
  wipe(all);
  return secret;
}

std::optional<Secret> take_environment(const char* name) {
  char* const value = std::getenv(name);
  if (value == nullptr) return std::nullopt;
  Secret secret = take_argument(value);
  ::unsetenv(name);
  return secret;
}

Result<Secret> read_secret_line(int fd, size_t max_bytes) {
  const SecretPages pages(max_bytes + 2);  // the end of the line too
  const std::span<char> room = pages.room();
  size_t used = 0;
  while (used < room.size()) {
    // Byte by byte: the next line may be for somebody else.
    const ssize_t got = ::read(fd, &room[used], 1);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return system_error(errno, {"read"});
    if (got == 0 || room[used] == '\n') break;
    if (room[used] == '\0') return Error{ErrorCode::invalid, "a NUL byte in the line"};
    ++used;
  }
  if (used < room.size() && used > 0 && room[used - 1] == '\r') --used;
  if (used > max_bytes)
    return Error{ErrorCode::too_large, "longer than " + std::to_string(max_bytes) + " bytes"};
  return Secret({room.data(), used});
}

std::string bad_option(int code, char* const argv[]) {
  const std::string_view last = argv[optind - 1];
  const bool is_long = last.starts_with("--");
  const char letter[] = {'-', static_cast<char>(optopt), '\0'};
  const std::string name = escape(is_long ? last.substr(0, last.find('=')) : letter);
  if (code == ':') return "option " + name + " needs an argument";
  // With optopt set it is known, but was given a value it does not take.
  return (is_long && optopt != 0 ? "option takes no value: " : "unknown or ambiguous option: ") + name;
}

}  // namespace vncauthproxy::base
